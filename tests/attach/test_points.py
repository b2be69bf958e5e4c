"""Places in the kernel's map of points are given, given back, and given again."""

from __future__ import annotations

import pytest

from pellucid.attach.points import Point, Points
from pellucid.libbpf import BpfError

FOUR = [Point("call", offset) for offset in range(4)]


class Array:
    """A map with room for ten."""

    max_entries = 10

    def __init__(self):
        self.rows = {}

    def update(self, key, value):
        """Set one element."""
        self.rows[int.from_bytes(key, "little")] = value


class Value:
    """Writes a point as its target's number."""

    def write(self, *, target, **_):
        """The value of an element."""
        return target


@pytest.fixture
def array():
    return Array()


@pytest.fixture
def points(array):
    return Points(array, Value())


def test_each_its_own(points, array):
    """No two points share a place, and each place is the target's in the kernel."""
    one, two = points.add(FOUR, 1), points.add(FOUR, 2)
    assert len({*one, *two}) == 8
    assert array.rows == dict.fromkeys(one, 1) | dict.fromkeys(two, 2)
    assert [points[cookie] for cookie in two] == FOUR


def test_full(points, array):
    """A target for whose points there is no room gets none of them."""
    for target in (1, 2):
        points.add(FOUR, target)
    with pytest.raises(BpfError, match="no room for its probes: 8 are in use"):
        points.add(FOUR, 3)
    assert 3 not in array.rows.values()


def test_given_back(points):
    """Places that were given back serve again, for ever; till then they name no point."""
    for target in range(100):
        cookies = points.add(FOUR, target)
        points.remove(cookies)
        assert [points[cookie] for cookie in cookies] == [None] * 4
    assert len({*points.add(FOUR, 0), *points.add(FOUR, 1)}) == 8


def test_crowded(points):
    """It is crowded when more than half of the places are taken."""
    assert not points.crowded
    points.add(FOUR, 1)
    assert not points.crowded
    cookies = points.add(FOUR, 2)
    assert points.crowded
    points.remove(cookies)
    assert not points.crowded
