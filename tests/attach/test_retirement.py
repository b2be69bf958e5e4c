"""Which watched files are left, and when."""

from __future__ import annotations

import pytest

from pellucid.attach.images import Key
from pellucid.attach.retirement import MOST_AT_ONCE, UNUSED_S, Retirement

FILE, OTHER = Key(1, 2), Key(1, 3)


@pytest.fixture
def retirement():
    """One file is watched."""
    watched = Retirement()
    watched.add(FILE)
    return watched


def never(key):
    return False


def always(key):
    return True


def test_unused_for_long(retirement):
    """A file that nobody maps is left after its time, once, and not before."""
    assert [retirement.due(set(), now, never) for now in (5, UNUSED_S + 4, UNUSED_S + 5)] == [[], [], [FILE]]
    assert len(retirement) == 0
    assert retirement.due(set(), 2 * UNUSED_S, never) == []


def test_used_again(retirement):
    """The time begins anew when somebody uses the file."""
    retirement.due(set(), 0, never)
    retirement.due({FILE, OTHER}, UNUSED_S - 1, never)
    assert retirement.due(set(), UNUSED_S, never) == []
    assert retirement.due(set(), 2 * UNUSED_S - 1, never) == []
    assert retirement.due(set(), 2 * UNUSED_S, never) == [FILE]


def test_at_once(retirement):
    """A file that need not be waited for is left when two looks in a row find nobody who uses it."""
    assert [retirement.due(set(), 0, always), retirement.due({FILE}, 1, always)] == [[], []]
    assert [retirement.due(set(), now, always) for now in (2, 3)] == [[], [FILE]]


def test_each_for_itself(retirement):
    """What is said of one file decides nothing for another."""
    retirement.add(OTHER)
    for now in (0, 1):
        due = retirement.due(set(), now, lambda key: key == OTHER)
    assert due == [OTHER]


def test_many(retirement):
    """Of many files the longest unused go first, no more at once than detaching is to take time for."""
    late = [Key(0, number) for number in range(MOST_AT_ONCE)]
    retirement.due(set(), 0, never)
    for key in late:
        retirement.add(key)
    retirement.due(set(), 1, never)
    assert retirement.due(set(), 2, always) == [FILE, *late[:-1]]
    assert retirement.due(set(), 3, always) == late[-1:]
