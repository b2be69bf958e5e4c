"""Sinks on descriptors that somebody else has opened: which kind of output each place needs."""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from pellucid.errors import UsageError
from pellucid.log import log_also_to
from pellucid.outputs import name_of
from pellucid.packets import PacketSink
from pellucid.places import rotates
from pellucid.sink import Output, Rotation, SinkOptions
from pellucid.sink.compressed import Compressed
from pellucid.sink.framing import Plain
from pellucid.sink.log import LogSink
from pellucid.sink.remote import Remote
from pellucid.sink.style import columns, has_colors
from pellucid.specs import WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pellucid.inbox import Inbox
    from pellucid.memory import Memory
    from pellucid.settings import Show
    from pellucid.sink import Sink, SinkSpec
    from pellucid.sink.base import View

_MIB = 1 << 20


def make_sinks(
    specs: Sequence[SinkSpec],
    fds: Sequence[int],
    formats: dict[str, type[Sink]],
    settings: Show,
    memory: Memory,
    inbox: Inbox,
    *,
    patient: bool = False,
) -> list[Sink]:
    """One sink for each place, on the descriptor with the same number. A connection that the log goes to gets it.

    With `patient`, readers of connections are waited for, as those of pipes always are.
    """

    def output(number: int, spec: SinkSpec, fd: int) -> Output:
        name = name_of(spec.place)
        if spec.endpoint is not None:
            framed, framing = _framing(spec, binary=spec.format in formats and formats[spec.format].binary)
            remote = Remote(fd, name, number, inbox, framing, memory.queue, framed=framed, patient=patient)
            if spec.shared:
                inbox.log = lambda line: remote.write(f"{line}\n".encode())
                log_also_to(inbox.log)
            return remote
        kind = Compressed if spec.compressed else Output
        return kind(fd, name, _rotation(number, settings, inbox) if spec.may_rotate else None)

    make: dict[str, Callable[[Output, SinkOptions], Sink]] = {
        **formats,
        LogSink.format: LogSink,
        PacketSink.format: partial(PacketSink, held=memory.aside),
    }
    made = enumerate(zip(specs, fds, strict=False))
    return [make[spec.format](output(number, spec, fd), options(settings, fd)) for number, (spec, fd) in made]


def _framing(spec: SinkSpec, *, binary: bool) -> tuple[bool, Callable[[], Plain]]:
    """Whether the place keeps messages apart, and how."""
    if spec.place.startswith("ws:"):
        framing = import_module(WEBSOCKET)
        return True, partial(framing.WebSocket, spec.place, binary=binary)
    return False, Plain


def _rotation(number: int, settings: Show, inbox: Inbox) -> Rotation | None:
    if not rotates(settings):
        return None
    return Rotation(settings.rotate_size * _MIB, settings.rotate_time, partial(inbox.next_file, number))


def options(settings: Show, fd: int) -> SinkOptions:
    """How a sink on this descriptor shows things."""
    terminal = os.isatty(fd)
    return SinkOptions(
        color=has_colors(fd),
        hex=settings.hex,
        truncate=settings.tsize,
        verbose=settings.connections,
        view=view_of(settings),
        terminal=terminal,
        width=columns(fd) if terminal else 80,
    )


def view_of(settings: Show) -> View:
    """What of each message the text format shows. UsageError where two views are asked for."""
    views: dict[View, bool] = {"quiet": settings.quiet, "headers": settings.headers, "body": settings.body}
    asked = [view for view, wanted in views.items() if wanted]
    if len(asked) > 1:
        raise UsageError(f"--{asked[0]} and --{asked[1]} exclude each other: each is a view of its own")
    return asked[0] if asked else "all"
