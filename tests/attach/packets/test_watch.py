"""What the watch of packets does when the tracer wakes it."""

from __future__ import annotations

from types import SimpleNamespace

from pellucid.clock import wall_less_boot
from pellucid.settings import Tls
from pellucid.watches import About, Packets


def test_the_clock_is_set() -> None:
    """When the wall clock was set, the kernel's correction of it is set at once, and not before."""
    steps, told = [False, True, False], list[int]()
    watch = Packets(About(Tls(), None, []), [], {}, "")
    watch._steps = SimpleNamespace(stepped=lambda: steps.pop(0))
    watch.loaded = SimpleNamespace(
        set_clock=told.append,
        networks=SimpleNamespace(meet=lambda _: None),
        detach_overwritten=dict,
    )
    seen = []
    for _ in range(3):
        watch.meet(None)
        seen.append(len(told))
    assert seen == [0, 1, 1]
    assert abs(told[0] - wall_less_boot()) < 10**9
