"""Times as messages carry them."""

import pytest

from pellucid.parse.times import milliseconds, rfc3339


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000_000_001_999, "2023-11-14T22:13:20.000001Z"),
        (1_700_000_000_999_999_999, "2023-11-14T22:13:20.999999Z"),
        (1_700_000_001_000_000_000, "2023-11-14T22:13:21.000000Z"),
    ],
)
def test_rfc3339(nanoseconds, text):
    """Six decimals, always, and cut: a time is never later than it was."""
    assert text == rfc3339(nanoseconds)


def test_milliseconds():
    """A duration has the resolution of a microsecond."""
    assert 1.235 == milliseconds(1_234_567)
