"""What the commands do, once the command line is understood."""

from __future__ import annotations

import dataclasses
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pellucid import plugins
from pellucid.attach.containers import find_container
from pellucid.attach.features import PROCESS_NUMBERS, ROOT, missing_requirement, require, unsupported
from pellucid.attach.filters import comms
from pellucid.attach.given import given_target, named_addresses, parse_addresses
from pellucid.attach.images import Images
from pellucid.attach.packets.pcap_filter import compile_filters
from pellucid.attach.pids import check_process
from pellucid.attach.shells.find import find_shells
from pellucid.attach.targets import find_targets
from pellucid.channel import Channel
from pellucid.decoder import run_decoder
from pellucid.ends import resolved
from pellucid.errors import PellucidError, UsageError
from pellucid.keys import with_key_log
from pellucid.libbpf import BpfError
from pellucid.log import log
from pellucid.making import view_of
from pellucid.memory import tracer_and_decoder
from pellucid.preparing import divided, redactor_of, schema_of
from pellucid.privileges import decoder_ids
from pellucid.settings import DEFAULT_ESTABLISHED, Bash, Capture, Sql, Tls
from pellucid.signals import interruptions
from pellucid.specs import sink_specs
from pellucid.tracer import Tracer
from pellucid.watches import About, Keys, Packets, Plaintext, Shells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pellucid.attach.library import Library
    from pellucid.attach.targets import FoundTarget
    from pellucid.parse import Protocol
    from pellucid.parse.grpc.schema import Schema
    from pellucid.probes.shell.probe import ShellProbe
    from pellucid.redact import Redactor
    from pellucid.settings import Shell
    from pellucid.sink import Sink, SinkSpec
    from pellucid.watches import Watch

C = TypeVar("C", bound=Capture)


def capture(settings: Capture) -> None:
    """Watch the library that the settings name, until the end that they name."""
    _capture(settings, Plaintext)


def capture_tls(settings: Tls, words: Sequence[str]) -> None:
    """Watch TLS libraries for what `--model` names: with packets, those that pass the filter of these words."""
    settings = with_key_log(settings)
    if settings.ssl_version:
        log.info("--ssl_version is not needed: no version is assumed")
    if settings.packets:
        filters = compile_filters(words)
        _capture(settings, lambda about: Packets(about, settings.interfaces, filters, " ".join(words)))
        return
    if words:
        raise UsageError(
            f"the filter {' '.join(words)!r} is for packets: say -m pcap, or with -m text --port and --host"
        )
    older = DEFAULT_ESTABLISHED if settings.established is None else settings.established
    _capture(settings, (lambda about: Keys(about, older)) if settings.keys else Plaintext)


def _capture(settings: Capture, watch: Callable[[About], Watch[Any]]) -> None:
    prepared = _prepared(settings)
    library: Library = plugins.load(plugins.PROBES)[settings.probe]
    given = _addresses(library, settings)
    _require_root()
    settings = _resolved(settings)
    _carry_out(settings, prepared, watch(About(settings, library, _targets(library, settings, given))))


def capture_shell(settings: Shell) -> None:
    """Watch the shells that the settings name, until the end that they name."""
    if isinstance(settings, Bash) and settings.readlineso:
        log.info("--readlineso is not needed: what bash calls in that library is found in bash")
    prepared = _prepared(settings)
    probe: ShellProbe = plugins.load(plugins.SHELLS)[settings.probe]
    wanted = probe.with_commands() if settings.commands else probe
    _require_root()
    settings = _resolved(settings)
    if settings.pid is not None:
        require(PROCESS_NUMBERS)
    pid = None if settings.follow else settings.pid  # a child may run another shell than its parent
    with _requirements_told(), Images() as images:
        shells = find_shells(wanted, images, settings.files, pid)
    _carry_out(settings, prepared, Shells(About(settings, wanted.family, shells), wanted))


@contextmanager
def _requirements_told() -> Iterator[None]:
    """Where the kernel refuses, say first what it lacks."""
    try:
        yield
    except BpfError as error:
        raise missing_requirement() or error from error


class _Prepared(NamedTuple):
    """What a capture needs beside its settings and its targets."""

    parsers: dict[str, type[Protocol]]
    sinks: dict[str, type[Sink]]
    redact: Redactor | None
    specs: list[SinkSpec]
    schema: Schema | None


def _prepared(settings: Capture) -> _Prepared:
    """Refuse what can be refused before anything is opened, and load what the decoder cannot."""
    _remove_stale(settings.ready_file)
    view_of(settings)
    sinks = plugins.load(plugins.SINKS)
    files = {"the recording": settings.record, "the ready file": settings.ready_file}
    specs = sink_specs(settings, sinks, files, also=settings.eventaddr)
    return _Prepared(_parsers(settings), sinks, redactor_of(settings), specs, schema_of(settings.proto))


def _require_root() -> None:
    if os.geteuid() != 0:
        raise unsupported(ROOT)


def _carry_out(settings: Capture, prepared: _Prepared, watch: Watch[Any]) -> None:
    """Fork the decoder, begin, and see it through to the end."""
    parsers, sinks, redact, specs, schema = prepared
    memory = divided(settings, specs, tracer_and_decoder())
    ours, theirs = Channel.pair()
    ids, tracer = decoder_ids(), os.getpid()
    with interruptions() as interrupted:
        decoder = os.fork()
        if decoder == 0:
            run_decoder(theirs, settings, memory, parsers, sinks, ids, tracer, schema, redact)
        theirs.close()
        run = Tracer(ours, decoder, settings, watch)
        try:
            run.begin(specs)
            run.wait(interrupted)
        except BpfError as error:
            run.abandon()
            raise missing_requirement() or error from error
        except BaseException:
            run.abandon()
            raise
        run.finish(interrupted)


def _remove_stale(ready_file: Path | None) -> None:
    """What an earlier run left must not tell that this one is ready, whatever happens to it."""
    try:
        if ready_file is not None and stat.S_ISREG(ready_file.lstat().st_mode):
            ready_file.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise PellucidError(f"cannot remove the old {ready_file}: {error.strerror}") from error


def _resolved(settings: C) -> C:
    """The settings with what only this process can look up: names of hosts, and a container's cgroup.

    UsageError for filters that cannot be.
    """
    if settings.container is not None and settings.cgroup_path is not None:
        raise UsageError("--container and --cgroup_path exclude each other: a container is a cgroup")
    comms(settings.comm)  # refused here, before anything is opened
    group = settings.cgroup_path if settings.container is None else find_container(settings.container)
    return dataclasses.replace(settings, host=resolved(settings.host), cgroup_path=group)


def _targets(library: Library, settings: Capture, given: dict[str, int]) -> list[FoundTarget]:
    """The files to watch, each once under however many names it was given."""
    pid = None if settings.follow else settings.pid  # a child may run another program than its parent
    files = settings.files or [None]
    if settings.pid is not None:
        check_process(settings.pid)
        require(PROCESS_NUMBERS)
    with _requirements_told(), Images() as images:
        if given:
            return [given_target(library, images, settings.files[0], given)]
        found = [target for file in files for target in find_targets(library, images, file, pid)]
    return list({target.key: target for target in found}.values())


def _addresses(library: Library, settings: Capture) -> dict[str, int]:
    """What the user says of where the functions of the only file are; none where nothing is said."""
    names = settings.funcname if isinstance(settings, Sql) else None
    if names is not None and "=" not in names:
        log.info(
            "--funcname %s is not needed: %s", names, f"what is probed is {' and '.join(library.required)}"
        )
        names = None
    if settings.addresses is None and names is None:
        return {}
    flag, text = settings.addresses or ("--funcname", names or "")
    if names is not None and settings.addresses is not None:
        raise UsageError(f"--funcname and {flag} exclude each other: both say where the functions are")
    if len(settings.files) != 1:
        raise UsageError(f"{flag} needs exactly one {settings.file_flag}: the file that it is about")
    if names is not None:
        return named_addresses(names, library, settings.files[0])
    return parse_addresses(text, library, flag)


def _parsers(settings: Capture) -> dict[str, type[Protocol]]:
    """The parsers of the protocols that the command is about."""
    parsers = plugins.load(plugins.PARSERS)
    return {
        name: parser
        for name, parser in parsers.items()
        if settings.parsers is None or name in settings.parsers
    }
