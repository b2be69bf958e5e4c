"""Selecting by ports and addresses: what is held, released, dropped, and what the totals then say."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.ends import ends
from pellucid.join import Select
from pellucid.join.select import HELD_BYTES, HELD_NS, PIECE_BYTES
from pellucid.model import Chunk, Close, Connection, Direction, Gap, Open, Totals

READ, WRITE = Direction.READ, Direction.WRITE
HELD_IN_ALL = 16 << 20
WANTED, OTHER = ("10.0.0.1:1000", "10.0.0.2:443"), ("10.0.0.1:1000", "10.0.0.2:80")


def connection(number=1, at=(None, None)):
    made = Connection(number, pid=1, tid=1, uid=0, comm="", library="", mid=False)
    made.local, made.remote = at
    return made


def chunk(of, data, offset=0, time=0, direction=WRITE):
    return Chunk(of, direction, offset, time, data)


def gap(of, size, offset=0, reason="ring_full"):
    return Gap(of, WRITE, offset, 0, size, reason)


def totals(seen, **lost):
    return Totals(time=0, seconds=1.0, targets=1, seen_bytes=seen, lost=lost)


class Selecting:
    """A selection by port 443, fed step by step."""

    def __init__(self):
        self._select = Select(ends((443,), ()), HELD_IN_ALL)

    def __call__(self, *flows):
        """What follows from these."""
        return [*self._select(flows)]

    def end(self, seen, **lost):
        """The totals' bytes, losses and number of undecided connections, after what was released by then."""
        *rest, last = self(totals(seen, **lost))
        return rest, (last.seen_bytes, last.lost, last.undecided)


@pytest.fixture
def select():
    return Selecting()


def test_a_connection_that_is_known_passes(select):
    """A wanted one passes as it comes."""
    one = connection(at=WANTED)
    flows = [Open(one, 0), chunk(one, b"a"), gap(one, 3, 1), Close(one, 9)]

    assert select(*flows) == flows
    assert select.end(4, ring_full=3) == ([], (4, {"ring_full": 3}, 0))


def test_an_unwanted_connection_never_was(select):
    """Of one that is not wanted nothing passes, and the totals know neither its bytes nor its losses."""
    one = connection(at=OTHER)

    assert select(Open(one, 0), chunk(one, b"abc"), gap(one, 4, 3, "unreadable"), Close(one, 9)) == []
    assert select.end(10, unreadable=5, ring_full=1) == ([], (3, {"unreadable": 1, "ring_full": 1}, 0))


def test_held_until_its_addresses_are_known(select):
    """What came before the addresses is released by what comes after, in order."""
    one = connection()
    before = [Open(one, 0), chunk(one, b"abc"), gap(one, 2, 3), chunk(one, b"d", direction=READ)]
    assert select(*before) == []
    one.local, one.remote = WANTED

    assert select(after := chunk(one, b"e", 5)) == [*before, after]
    assert select.end(7, ring_full=2) == ([], (7, {"ring_full": 2}, 0))


def test_held_and_then_not_wanted(select):
    """What was held of a connection that is not wanted is not counted, like the rest of it."""
    one = connection()
    select(Open(one, 0), chunk(one, b"abc"), gap(one, 2, 3))
    one.local, one.remote = OTHER

    assert select(Close(one, 1)) == []
    assert select.end(5, ring_full=2) == ([], (0, {}, 0))


def test_known_only_at_the_end(select):
    """Addresses that came after the last bytes count when the capture ends: before its totals."""
    one, other = connection(1), connection(2)
    held = [Open(one, 0), chunk(one, b"abc")]
    select(*held, Open(other, 0), chunk(other, b"xy"))
    one.local, one.remote = WANTED
    other.local, other.remote = OTHER

    assert select.end(5) == (held, (3, {}, 0))


@pytest.mark.parametrize("ends_by", ["close", "totals"])
def test_never_known(select, ends_by):
    """A connection that ends undecided is dropped, and its bytes are said; a hole keeps its own reason."""
    one = connection()
    select(Open(one, 0), chunk(one, b"abc"), gap(one, 4, 3), chunk(one, b"d", 7))
    if ends_by == "close":
        assert select(Close(one, 1)) == []

    assert select.end(8, ring_full=4) == ([], (8, {"ring_full": 4, "undecided": 4}, 1))


def test_the_limit_of_bytes(select):
    """Just what the limit allows is held; one byte more gives the connection up, and all that follows."""
    room = HELD_BYTES - 2 * PIECE_BYTES
    for number, size in ((1, room), (2, room + 1)):
        one = connection(number)
        select(Open(one, 0), chunk(one, bytes(size)))
        one.local, one.remote = WANTED
        (first, *rest) = select(chunk(one, b"next", size))
        assert first == Open(one, 0)
        assert [(type(at), at.offset) for at in rest] == [(Chunk if number == 1 else Gap, 0), (Chunk, size)]
    _, (_, lost, undecided) = select.end(10**6)
    assert (lost, undecided) == ({"undecided": room + 1}, 1)


def test_the_limit_of_time(select):
    """Records up to 5 s younger than the first are held, by the records' own times; others are not."""
    one, late = connection(1), connection(2)
    for of, after in ((one, HELD_NS), (late, HELD_NS + 1)):
        select(Open(of, 1), chunk(of, b"a", time=2), chunk(of, b"b", 1, time=1 + after))
        of.local, of.remote = WANTED

    assert [type(at) for at in select(Close(one, 0))] == [Open, Chunk, Chunk, Close]
    assert select(Close(late, 3)) == [Open(late, 1), Gap(late, WRITE, 0, 3, 2, "undecided"), Close(late, 3)]
    assert select.end(4) == ([], (4, {"undecided": 2}, 1))


def test_the_limit_of_all(select):
    """When all together are too much, the one that has been held longest is given up, and no other."""
    each = HELD_BYTES - 2 * PIECE_BYTES
    held = [connection(number) for number in range(HELD_IN_ALL // HELD_BYTES + 1)]
    for one in held:
        select(Open(one, 0), chunk(one, bytes(each)))
    for one in held:
        one.local, one.remote = WANTED

    released, (_, lost, undecided) = select.end(10**8)
    assert (lost, undecided) == ({"undecided": each}, 1)
    assert {at.connection.id for at in released} == {one.id for one in held[1:]}


def test_a_hole_that_the_kernel_had_no_room_to_explain(select):
    """It shows as a full ring whatever it was counted as; the totals lose it all the same."""
    one = connection(at=OTHER)
    select(Open(one, 0), gap(one, 7))

    assert select.end(9, unreadable=5, over_limit=4) == ([], (2, {"over_limit": 2}, 0))


def test_totals_of_a_stream_that_broke_off(select):
    """Where the tracer's totals are missing, seen is what came: holes are not in it, and not taken from it."""
    one = connection(at=OTHER)
    select(Open(one, 0), chunk(one, b"abc"), gap(one, 7, 3))

    assert select.end(5) == ([], (2, {}, 0))


KNOWN = st.sampled_from([None, WANTED, OTHER])
STEPS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from([READ, WRITE]),
        st.one_of(st.integers(1, 2000), st.just(HELD_BYTES)),
        st.booleans(),
        KNOWN,
    ),
    max_size=30,
)


@given(STEPS)
def test_every_byte_is_somewhere(steps):
    """Whatever becomes known when: seen = passed + lost; each direction passes without an overlap or an unsaid hole;
    what passes was wanted by the end.
    """
    select, connections, offsets, fed = Select(ends((443,), ()), HELD_IN_ALL), {}, Counter(), Counter()
    passed = []
    for number, direction, size, lost, known in steps:
        if number not in connections:
            connections[number] = connection(number)
            passed += select([Open(connections[number], 0)])
        one, at = connections[number], (number, direction)
        if known and one.local is None:
            one.local, one.remote = known
        if lost:
            passed += select([Gap(one, direction, offsets[at], 0, size, "ring_full")])
        else:
            passed += select([Chunk(one, direction, offsets[at], 0, bytes(size))])
        offsets[at] += size
        fed["lost" if lost else "seen"] += size
    passed += select([totals(fed["seen"] + fed["lost"], ring_full=fed["lost"])])

    *flows, last = passed
    positions = Counter()
    for flow in flows:
        assert (flow.connection.local, flow.connection.remote) == WANTED
        if not isinstance(flow, Open):
            assert flow.offset == positions[flow.connection.id, flow.direction]
            positions[flow.connection.id, flow.direction] += getattr(flow, "size", 0) or len(flow.data)
    shown = sum(len(flow.data) for flow in flows if isinstance(flow, Chunk))
    assert last.seen_bytes == shown + sum(last.lost.values())
    opened = [flow.connection.id for flow in flows if isinstance(flow, Open)]
    assert len(opened) == len(set(opened))
