"""What the commands do, once the command line is understood."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pellucid import plugins
from pellucid.attach.features import ROOT, missing_requirement, unsupported
from pellucid.attach.targets import find_targets
from pellucid.capture.recording import read_recording
from pellucid.channel import MAX_FDS, Channel
from pellucid.decoder import limits, options, run_decoder
from pellucid.errors import FormatError, PellucidError, UsageError
from pellucid.libbpf import BpfError
from pellucid.log import log
from pellucid.outputs import open_output
from pellucid.pipeline import Pipeline
from pellucid.privileges import decoder_ids
from pellucid.signals import interruptions
from pellucid.sink import STDOUT, Output, SinkSpec, parse_spec
from pellucid.tracer import Tracer

if TYPE_CHECKING:
    from pathlib import Path

    from pellucid.attach.library import Library
    from pellucid.settings import Show, Tls


def capture(settings: Tls) -> None:
    """Watch the library that the settings name, until the end that they name."""
    parsers, sinks = plugins.load(plugins.PARSERS), plugins.load(plugins.SINKS)
    library: Library = plugins.load(plugins.PROBES)["openssl"]
    specs = _specs(settings, list(sinks), {"the recording": settings.record}, also=settings.eventaddr)
    if os.geteuid() != 0:
        raise unsupported(ROOT)
    if settings.ssl_version:
        log.info("--ssl_version is not needed: no version is assumed")
    targets = find_targets(settings.libssl, settings.pid)
    ours, theirs = Channel.pair()
    ids, tracer = decoder_ids(), os.getpid()
    with interruptions() as interrupted:
        decoder = os.fork()
        if decoder == 0:
            run_decoder(theirs, settings, parsers, sinks, ids, tracer)
        theirs.close()
        run = Tracer(ours, decoder, settings)
        try:
            run.begin(specs, library, targets)
            run.wait(interrupted)
        except BpfError as error:
            run.abandon()
            raise missing_requirement() or error from error
        except BaseException:
            run.abandon()
            raise
        run.finish(interrupted)


def replay(path: Path, settings: Show) -> None:
    """Show a recording as the live capture would have been shown."""
    parsers, sinks = plugins.load(plugins.PARSERS), plugins.load(plugins.SINKS)
    specs = _specs(settings, list(sinks), {"the recording": path})
    try:
        file = path.open("rb")
    except OSError as error:
        raise PellucidError(f"cannot read {path}: {error.strerror}") from error
    fds = [open_output(spec.place) for spec in specs]
    opened = [
        sinks[spec.format](Output(fd, spec.place), options(settings, fd))
        for spec, fd in zip(specs, fds, strict=True)
    ]
    pipeline = Pipeline([*parsers.values()], limits(settings), opened, settings.count)

    def cut() -> None:
        log.warning("%s was cut short: it is shown as far as it goes", path)

    with file:
        try:
            pipeline.run(read_recording(file, cut))
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from error


def _specs(
    settings: Show, formats: list[str], taken: dict[str, Path | None], also: Path | None = None
) -> list[SinkSpec]:
    """The sinks that were asked for; text on stdout where none was. No two in one place, none in `taken`."""
    specs = [parse_spec(text, formats) for text in settings.output]
    if also is not None:
        specs.append(SinkSpec("text", str(also)))
    others = {**taken, "the log": settings.logaddr}
    users = {os.path.realpath(path): user for user, path in others.items() if path is not None}
    for spec in specs:
        place = spec.place if spec.place == STDOUT else os.path.realpath(spec.place)
        if place in users:
            raise UsageError(f"cannot write to {spec.place}: {users[place]} is there already")
        users[place] = "another output"
    if len(specs) >= MAX_FDS:
        raise UsageError(f"{len(specs)} outputs are too many: at most {MAX_FDS - 1}")
    return specs or [SinkSpec("text", STDOUT)]
