"""The decoder: the unprivileged process that touches captured bytes, and nothing else."""

from __future__ import annotations

import os
import signal
import traceback
from typing import TYPE_CHECKING, NoReturn

from pellucid.capture.recording import Recorder
from pellucid.capture.ring import Live
from pellucid.channel import Channel, Done, Enough, Failed, Outputs
from pellucid.errors import PellucidError
from pellucid.log import log
from pellucid.parse import Limits
from pellucid.pipeline import Pipeline, only_context
from pellucid.privileges import give_up_privileges
from pellucid.sink import Output, SinkOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.parse import Protocol
    from pellucid.settings import Show, Tls
    from pellucid.sink import Sink

ORPHAN_SECONDS = 0.8
"""How long the decoder may still write after its tracer ended; then the kernel ends it."""


def run_decoder(
    channel: Channel,
    settings: Tls,
    parsers: dict[str, type[Protocol]],
    sinks: dict[str, type[Sink]],
    uid: int,
    tracer: int,
) -> NoReturn:
    """Be the decoder, in a freshly forked child that holds `channel` and the standard streams. Never returns."""
    status = 1
    try:
        _ignore_terminal()
        os.closerange(3, channel.fileno())
        os.closerange(channel.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        give_up_privileges(uid, tracer)
        _decode(channel, settings, parsers, sinks)
        status = 0
    except PellucidError as error:
        channel.send(Failed(str(error)))
    except BaseException:  # noqa: BLE001 - a fork must never return into its parent's code
        channel.send(Failed(f"the decoder failed, please report this: {traceback.format_exc()}"))
    finally:
        os._exit(status)


def _ignore_terminal() -> None:
    """Ctrl-C reaches the whole process group: the tracer decides how the capture ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _tracer_died)


def _tracer_died(*_: object) -> None:
    """The kernel's word that the tracer is gone; the closed channel says it too, and ends the stream.

    Whatever holds the decoder up after that (a parser in a loop, a reader that does not read), the
    alarm's default action ends it.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, ORPHAN_SECONDS)


def _decode(
    channel: Channel, settings: Tls, parsers: dict[str, type[Protocol]], sinks: dict[str, type[Sink]]
) -> None:
    outputs, fds = channel.receive()
    if not isinstance(outputs, Outputs):
        return  # the tracer could not even begin, and has said why
    opened = [
        sinks[format](Output(fd, name), options(settings, fd))
        for (format, name), fd in zip(outputs.sinks, fds, strict=False)
    ]
    said_enough = False

    def enough() -> None:
        nonlocal said_enough
        if not said_enough:
            said_enough = True
            channel.send(Enough())

    live = Live(channel)
    batches: Iterable[bytes | memoryview] = live
    if outputs.recording is not None:
        batches = _recorded(batches, Output(fds[-1], outputs.recording), settings)
    if not settings.output and outputs.recording is not None:
        batches = only_context(batches)
    Pipeline([*parsers.values()], limits(settings), opened, settings.count, enough).run(batches)
    live.close()
    channel.send(Done())
    if live.tracer_gone:
        log.error("the tracer ended unexpectedly: what was captured until then is written")


def _recorded(
    batches: Iterable[bytes | memoryview], output: Output, settings: Tls
) -> Iterator[bytes | memoryview]:
    """Write each batch to the recording before anything is made of it."""

    def full() -> None:
        log.warning("the recording %s is full at %d MiB and has ended", output.name, settings.record_limit)

    recorder = Recorder(output, settings.record_limit << 20, full)
    for batch in batches:
        recorder.write(batch)
        yield batch
        recorder.flush()
    output.close()


def options(settings: Show, fd: int) -> SinkOptions:
    """How a sink on this descriptor shows things."""
    return SinkOptions(
        color=os.isatty(fd) and "NO_COLOR" not in os.environ,
        hex=settings.hex,
        truncate=settings.tsize,
        verbose=settings.connections,
    )


def limits(settings: Show) -> Limits:
    """The bounds of the parse stage."""
    return Limits(max_body=settings.max_body, max_decoded=settings.max_body)
