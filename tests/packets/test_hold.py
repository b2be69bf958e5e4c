"""Packets that wait: in order, bounded by memory and by time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.packets.hold import Hold

FLOWS = st.integers(1, 4)
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "release", "overdue"]), FLOWS, st.integers(1, 400)), max_size=60
)
LIMIT = 2000


@given(STEPS)
def test_nothing_is_lost_or_doubled(steps: list[tuple[str, int, int]]) -> None:
    """Invariant: each packet comes out once, in the order of its flow, and what waits is never above the limit."""
    hold, given_blocks, out, now = Hold(LIMIT), dict[int, list[bytes]](), dict[int, list[bytes]](), 0
    for number, (what, flow, size) in enumerate(steps):
        now += size * 10_000_000
        if what == "add":
            block = number.to_bytes(4, "little") + bytes(size)
            given_blocks.setdefault(flow, []).append(block)
            hold.add(flow, block, now)
        elif what == "release":
            out.setdefault(flow, []).extend(hold.release(flow))
        else:
            for late, _ in hold.overdue(now):
                out.setdefault(late, []).extend(hold.release(late))
            waiting = [
                len(block) for flow in given_blocks for block in given_blocks[flow][len(out.get(flow, [])) :]
            ]
            assert sum(waiting) <= LIMIT
    for flow in hold.flows():
        out.setdefault(flow, []).extend(hold.release(flow))
    assert {flow: blocks for flow, blocks in out.items() if blocks} == given_blocks


def test_the_longest_waiting_goes_first() -> None:
    """Where there is too much, flows give way in the order in which they began to wait, and no more of them than must."""
    hold = Hold(1000)
    for flow in (3, 1, 2):
        hold.add(flow, bytes(400), flow)
    overdue = hold.overdue(0)
    assert next(overdue) == (3, False)
    assert hold.release(3) == [bytes(400)]
    assert list(overdue) == []
    assert hold.flows() == [1, 2]


def test_a_flow_of_which_nothing_is_heard() -> None:
    """It waits a bounded time: what the kernel says of it may have been lost."""
    hold = Hold(1000)
    hold.add(1, b"hello", 0)
    assert list(hold.overdue(3_000_000_000)) == []
    assert next(hold.overdue(60_000_000_000)) == (1, True)
