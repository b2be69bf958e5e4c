"""Which outputs a command line means, and which cannot be."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from pellucid.channel import MAX_FDS
from pellucid.errors import PellucidError, UsageError
from pellucid.outputs import beginning_of, name_of
from pellucid.packets import PacketSink
from pellucid.places import rotates
from pellucid.settings import Tls, check_for_text
from pellucid.sink import STDOUT, ZSTD, SinkSpec, Tap, parse_spec
from pellucid.sink.log import LogSink
from pellucid.sink.text import TextSink

if TYPE_CHECKING:
    from pathlib import Path

    from pellucid.settings import Show
    from pellucid.sink import Sink


DEFAULT_FILE = "save.pcapng"
"""Where packets go without `-w`: eCapture's name."""

_STDOUT = 1
_FILE = "say a file, or pipe it to a program that reads it"
_PIPE = "pipe it (| wireshark -k -i -), or say a file"
_PIPES = {"packets": _PIPE, "pcapng": _PIPE}
"""What to do with a format that would command a terminal, for it has bytes of others as they are."""

WEBSOCKET = "pellucid.sink.websocket"
"""The module of `ws://`."""


def sink_specs(
    settings: Show, sinks: dict[str, type[Sink]], taken: dict[str, Path | None], also: str | None = None
) -> list[SinkSpec]:
    """The sinks that were asked for; text on stdout where none was. No two in one place, none in `taken`."""
    specs = [parse_spec(text, sinks) for text in settings.output]
    if also is not None:
        specs.append(parse_spec(f"text:{also}", sinks))
    sinks = {**sinks, PacketSink.format: PacketSink}
    specs += _packets(settings)
    specs = [spec._replace(appends=sinks[spec.format].appends) for spec in specs]
    _check_kinds(specs, sinks, settings)
    others = [*taken.items(), ("the log", settings.logaddr)]
    places = [(user, str(path)) for user, path in others if path is not None]
    places += [("another output", spec.place) for spec in specs]
    specs += _default_specs(settings, asked=bool(specs))
    if not any(spec.format == TextSink.format for spec in specs):
        check_for_text(settings)
    users: dict[str, str] = {}
    for user, place in places:
        if place == STDOUT and user != "another output":
            raise UsageError(f"{user} needs a file: it cannot be stdout")
        real = os.path.realpath(place) if SinkSpec("", place).is_file else place
        if real in users:
            raise UsageError(f"cannot write to {name_of(place)}: {users[real]} is there already")
        users[real] = user
    if len(specs) >= MAX_FDS:
        raise UsageError(f"{len(specs)} outputs are too many: at most {MAX_FDS - 1}")
    if any(spec.place.startswith("ws:") for spec in specs):
        import_module(WEBSOCKET)  # while this process may still read files
    return specs


def _default_specs(settings: Show, *, asked: bool) -> list[SinkSpec]:
    """Text on stdout, and where the log goes, if nothing was asked for; and the log itself, if that is a connection."""
    shown = [] if asked else [SinkSpec("text", STDOUT)]
    if settings.logaddr is None or settings.logaddr == STDOUT:
        return shown
    log_place = SinkSpec(LogSink.format if asked else "text", settings.logaddr, shared=True)
    return [*shown, log_place] if log_place.endpoint or not asked else shown


def _check_kinds(specs: list[SinkSpec], sinks: dict[str, type[Sink]], settings: Show) -> None:
    """UsageError for a format that cannot go where it should, and for a rotation of nothing."""
    for spec in specs:
        _check_kind(spec, sinks[spec.format], settings)
    if rotates(settings) and specs and all(spec.appends for spec in specs):
        raise UsageError(f"{specs[0].format} does not rotate: leave out --rotate-size and --rotate-time")
    if rotates(settings) and not any(spec.may_rotate for spec in specs):
        raise UsageError("--rotate-size and --rotate-time need an output to a file: say -o json:FILE")
    if settings.rotate_keep and not rotates(settings):
        raise UsageError("--rotate-keep needs --rotate-size or --rotate-time")


def _check_kind(spec: SinkSpec, sink: type[Sink], settings: Show) -> None:
    """UsageError for a format that cannot go where it should, or has nothing of what is captured."""
    if reason := sink.not_with.get(settings.mode):
        raise UsageError(f"-o {spec.format} does not go with {settings.how}: {reason}")
    if sink.needs_file and not spec.is_file:
        raise UsageError(f"{spec.format} needs a file: say {spec.format}:FILE")
    if sink.needs_file and spec.compressed:
        raise UsageError(f"{spec.format} cannot be compressed: cannot write to {spec.place}")
    if sink.binary and spec.place == STDOUT and os.isatty(_STDOUT):
        raise UsageError(f"{spec.format} is not for a terminal: {_PIPES.get(spec.format, _FILE)}")
    if sink.has_head and spec.endpoint:
        raise UsageError(f"cannot write {spec.format} to {spec.place}: say a file or -")
    if issubclass(sink, Tap) and settings.masks:
        raise UsageError(
            f"{spec.format} has every byte as it was, which --redact cannot mask: leave out one of them"
        )
    if sink.appends and spec.place.endswith(ZSTD):
        raise UsageError(f"{spec.format} is appended to: it cannot be compressed, as {spec.place} would be")
    if sink.appends and spec.is_file and not sink.continues(beginning_of(spec.place)):
        raise PellucidError(
            f"cannot write to {spec.place}: it holds something else than {spec.format} lines, which would be "
            "appended to it; name another file"
        )


def _packets(settings: Show) -> list[SinkSpec]:
    """Where packets go, if these are what is captured."""
    if not isinstance(settings, Tls) or not settings.packets:
        return []
    return [SinkSpec(PacketSink.format, DEFAULT_FILE if settings.pcapfile is None else settings.pcapfile)]
