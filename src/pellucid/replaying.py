"""`pellucid replay`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from pellucid import plugins
from pellucid.capture.recording import read_recording
from pellucid.counter import counter_for
from pellucid.decoder import limits
from pellucid.ends import ends, resolved
from pellucid.errors import FormatError, PellucidError
from pellucid.helper import opened_by_helper
from pellucid.join.select import Select
from pellucid.libbpf.drain import return_memory_early
from pellucid.log import log
from pellucid.making import make_sinks
from pellucid.memory import this_process
from pellucid.outputs import name_of
from pellucid.pipeline import Pipeline
from pellucid.preparing import divided, redactor_of, schema_of
from pellucid.privileges import decoder_ids, drop_privileges
from pellucid.specs import sink_specs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pellucid.model import Summary
    from pellucid.settings import Show
    from pellucid.sink import Sink, SinkSpec


def replay(path: Path, settings: Show, *, drop_root: bool = False) -> None:
    """Show a recording as the live capture would have been shown.

    With `drop_root` this process, where it is root's, gives that up for good before it reads any of it.
    """
    parsers, sinks = plugins.load(plugins.PARSERS), plugins.load(plugins.SINKS)
    redact = redactor_of(settings)
    specs = sink_specs(settings, sinks, {"the recording": path})
    wanted = ends(settings.port, resolved(settings.host))
    schema = schema_of(settings.proto)
    memory = divided(settings, specs, this_process())

    def cut() -> None:
        log.warning("%s was cut short: it is shown as far as it goes", path)

    with _reading(path) as file, opened_by_helper(specs, settings) as (fds, inbox):
        opened = make_sinks(specs, fds, sinks, settings, memory, inbox, patient=True)
        if drop_root and os.geteuid() == 0:
            _become_nobody()
        select = Select(wanted, memory.aside) if wanted else None
        bounds = limits(settings, memory, schema)
        counter = counter_for(fds, recording=False)
        everywhere = [counter, *opened] if counter else opened
        pipeline = Pipeline(
            [*parsers.values()], bounds, everywhere, settings.count, select=select, redact=redact
        )
        return_memory_early()
        batches = _while_listening(pipeline, read_recording(file, cut))
        pipeline.run(counter.watch(batches) if counter else batches)
    if pipeline.summary:
        _say_empty(path, specs, sinks, pipeline.summary)


def _say_empty(path: Path, specs: list[SinkSpec], sinks: dict[str, type[Sink]], summary: Summary) -> None:
    """Which outputs the recording had nothing for."""
    for spec in specs:
        sink = sinks.get(spec.format)  # the log's is none of them
        if sink and sink.kinds and sink.kinds.isdisjoint(summary.captured):
            log.warning(
                "%s has no %s to show: nothing is written to %s", path, sink.content, name_of(spec.place)
            )


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """The open recording; what is wrong with it is told with its name."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:  # an output's is a PellucidError already
        raise PellucidError(f"cannot read {path}: {error.strerror}") from error
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def _become_nobody() -> None:
    """A recording is input from strangers: root is not needed to parse it, as the decoder does not need it."""
    try:
        drop_privileges(decoder_ids())
    except OSError as error:  # a container may lack CAP_SETUID, or have no other user (user_namespaces(7))
        log.warning(
            "the recording is read with root's rights, which cannot be dropped here: %s", error.strerror
        )


def _while_listening(pipeline: Pipeline, batches: Iterable[bytes]) -> Iterator[bytes]:
    """Read on only as long as somebody takes what comes of it (`| head`)."""
    for batch in batches:
        if not pipeline.listening:
            break
        yield batch
