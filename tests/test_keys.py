"""What -m keylog and -k mean for the other settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.keys import DEFAULT_FILE, with_key_log
from pellucid.settings import Tls


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Tls(), ()),
        (Tls(model="keylog"), (f"keylog:{DEFAULT_FILE}",)),
        (Tls(model="key", keylogfile="k"), ("keylog:k",)),
        (Tls(model="keylog", output=("json:-",)), ("json:-",)),
        (Tls(model="keylog", output=("json:-",), keylogfile="k"), ("json:-", "keylog:k")),
        (Tls(model="keylog", record=Path("r")), ()),
    ],
    ids=str,
)
def test_outputs(settings: Tls, expected: tuple[str, ...]) -> None:
    """Secrets go where they are told to go, and to the file that eCapture's users know where nothing is told."""
    assert with_key_log(settings).output == expected
