"""The decoder: the unprivileged process that touches captured bytes, and nothing else."""

from __future__ import annotations

import logging
import os
import signal
import traceback
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NoReturn

from pellucid.attach.features import DECODER, unsupported
from pellucid.audit import Audit, Wanted
from pellucid.capture.recording import Recorder
from pellucid.capture.ring import Live
from pellucid.channel import Channel, Done, Enough, Failed, Outputs
from pellucid.counter import EVERY, counter_for
from pellucid.ends import ends
from pellucid.errors import PellucidError
from pellucid.inbox import Inbox
from pellucid.join.select import Select
from pellucid.join.status import ByStatus
from pellucid.libbpf.drain import return_memory_early
from pellucid.log import log, log_fds
from pellucid.making import make_sinks
from pellucid.outputs import write_only
from pellucid.packets import PacketSink
from pellucid.parse import Limits
from pellucid.pipeline import Pipeline, only_context
from pellucid.privileges import give_up_privileges
from pellucid.settings import Shell, Sql
from pellucid.signals import SIGNALS
from pellucid.sink import STDOUT, Output, OutputClosed
from pellucid.sink.totals import left_out_words, lost_sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from pellucid.memory import Memory
    from pellucid.model import Summary
    from pellucid.parse import Protocol
    from pellucid.parse.grpc.schema import Schema
    from pellucid.privileges import Ids
    from pellucid.redact import Redactor
    from pellucid.settings import Capture, Show
    from pellucid.sink import Sink


def run_decoder(
    channel: Channel,
    settings: Capture,
    memory: Memory,
    parsers: dict[str, type[Protocol]],
    sinks: dict[str, type[Sink]],
    ids: Ids,
    tracer: int,
    schema: Schema | None,
    redact: Redactor | None,
) -> NoReturn:
    """Be the decoder, in a freshly forked child that holds `channel` and the log, nothing else. Never returns."""
    status = 1
    try:
        _leave_session()
        _close_all_but(channel.fileno(), *log_fds())
        _change_user(ids, tracer)
        _decode(channel, settings, memory, parsers, sinks, schema, redact)
        status = 0
    except PellucidError as error:
        channel.send(Failed(str(error)))
    except BaseException:  # noqa: BLE001 - a fork must never return into its parent's code
        channel.send(Failed(f"the decoder failed, please report this: {traceback.format_exc()}"))
    finally:
        os._exit(status)


def _change_user(ids: Ids, tracer: int) -> None:
    try:
        give_up_privileges(ids, tracer)
    except OSError as error:  # EPERM without the capabilities, EINVAL where a user namespace lacks the ids
        raise unsupported(DECODER) from error


def _leave_session() -> None:
    """Have no terminal, where input could be read or forged (TIOCSTI), and leave signals to the tracer.

    It decides how the capture ends, also when a service manager signals both processes.
    """
    stderr = write_only(2)  # before the session goes, and with it the meaning of /dev/tty
    os.dup2(stderr, 2)
    os.close(stderr)
    os.setsid()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _close_all_but(*kept: int) -> None:
    """Close what the tracer has open, and its stdin and stdout: an output comes by the channel."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    after = 3
    for fd in sorted({*kept} - {0, 1, 2}):
        os.closerange(after, fd)
        after = fd + 1
    os.closerange(after, os.sysconf("SC_OPEN_MAX"))


def _decode(
    channel: Channel,
    settings: Capture,
    memory: Memory,
    parsers: dict[str, type[Protocol]],
    sinks: dict[str, type[Sink]],
    schema: Schema | None,
    redact: Redactor | None,
) -> None:
    outputs, fds = channel.receive()
    if not isinstance(outputs, Outputs):
        return  # the tracer could not even begin, and has said why
    inbox = Inbox(channel)
    specs = outputs.sinks
    opened = make_sinks(specs, fds, sinks, settings, memory, inbox)
    shown = bool(outputs.recording is None or settings.output or settings.eventaddr or settings.count)
    packets = [sink for sink in opened if isinstance(sink, PacketSink)]
    counter = counter_for(fds[: len(opened)] if shown else (), recording=bool(packets) or not shown)
    said_enough = False

    def enough() -> None:
        nonlocal said_enough
        if not said_enough:
            said_enough = True
            channel.send(Enough())

    wanted = ends(settings.port, settings.host)
    status = settings.errnumber if isinstance(settings, Shell) else None
    select = Select(wanted, memory.aside) if wanted else None if status is None else ByStatus(status)
    bounds = limits(settings, memory, schema)
    everywhere = [counter, *opened] if counter else opened
    pipeline = Pipeline(
        [*parsers.values()], bounds, everywhere, settings.count, enough, select, redact, _audit(settings)
    )
    return_memory_early()
    idle = EVERY if counter or packets else None  # packets wait for their keys no longer than they may
    with closing(Live(inbox, memory.drain, idle)) as live:
        moving = counter.watch(live) if counter else live
        if outputs.recording is None:
            pipeline.run(moving)
        else:
            with closing(_recorded(moving, Output(fds[-1], outputs.recording), settings, enough)) as batches:
                pipeline.run(batches if shown else only_context(batches))
    if packets:
        _say_packets(packets[0])
    elif pipeline.unheard:
        _say_to_the_log("a reader of the output has left", pipeline.unheard)
    elif pipeline.summary and all(spec.place != STDOUT for spec in specs):
        _say_to_the_log("everything is written", pipeline.summary)
    channel.send(Done())
    if live.tracer_gone:
        log.error("the tracer ended unexpectedly: what was captured until then is written")


def _audit(settings: Capture) -> Audit | None:
    """What becomes of queries, where queries are what is captured."""
    if not isinstance(settings, Sql):
        return None
    wanted = Wanted(settings.user, settings.database, settings.kind, settings.slower_than)
    return Audit(wanted, fingerprint=settings.fingerprint)


def _recorded(
    batches: Iterable[bytes | memoryview], output: Output, settings: Capture, enough: Callable[[], None]
) -> Generator[bytes | memoryview]:
    """Write each batch to the recording before anything is made of it.

    When the recording's reader leaves, or the rest of the pipeline fails, what came until then is kept.
    """
    full = False

    def on_full() -> None:
        nonlocal full
        full = True
        log.warning("the recording has reached %d MiB and ends; the capture goes on", settings.record_limit)

    recorder = Recorder(output, settings.record_limit << 20, on_full)
    try:
        for batch in batches:
            try:
                if len(batch):
                    recorder.write(batch)
                    recorder.flush()
            except OutputClosed:
                enough()
            yield batch
    finally:
        with suppress(OutputClosed):
            recorder.break_off()
            output.close()
    limited = " (up to --record-limit: what came later is not in it)" if full else ""
    log.info("recorded %d bytes%s: pellucid replay %s", recorder.size, limited, output.name)


def _say_to_the_log(how: str, summary: Summary) -> None:
    """The closing line for somebody who does not see it in an output: these have gone, or are files."""
    lost = lost_sizes(summary.lost)
    level = logging.WARNING if lost else logging.INFO
    log.log(level, "%s; seen: %d bytes, lost: %s", how, summary.bytes, lost or "nothing")


def _say_packets(packets: PacketSink) -> None:
    """What became of packets, and of whose keys nothing was heard in time."""
    seen, lost = packets.totals
    level = logging.WARNING if lost else logging.INFO
    log.log(level, "%d packets are written; lost: %s", seen - lost, f"{lost} packets" if lost else "nothing")
    if packets.left_out and any(packets.left_out.values()):
        log.info("left out, of nobody who is known: %s", left_out_words(packets.left_out))
    if packets.late:
        log.warning("connections whose keys came after packets that need them: %d", packets.late)
    if packets.keyless:
        log.info("connections whose keys have not come, which stay encrypted: %d", packets.keyless)


def limits(settings: Show, memory: Memory, schema: Schema | None) -> Limits:
    """The bounds of the parse stage, and what `--proto` has told it."""
    return Limits(
        max_body=settings.max_body, max_decoded=settings.max_body, max_held=memory.held, schema=schema
    )
