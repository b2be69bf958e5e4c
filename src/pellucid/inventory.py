"""`pellucid targets`: which files can be watched, who uses them, what will be seen, and why not where it cannot."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pellucid import plugins
from pellucid.attach.images import Image, Images
from pellucid.attach.keys.secrets import find_key_log
from pellucid.attach.loader import find_fields, find_sites
from pellucid.attach.maps import Maps
from pellucid.attach.pids import check_process
from pellucid.attach.symbols import Elf
from pellucid.attach.targets import FoundTarget, Refused, installed_targets, mapped_targets, named_target
from pellucid.attach.version import version_of
from pellucid.container import container_of
from pellucid.errors import PellucidError
from pellucid.escape import escape
from pellucid.sink.style import has_colors, painter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pellucid.attach.library import Library
    from pellucid.attach.sites import Site
    from pellucid.attach.targets import View
    from pellucid.sink.style import Paint, Style

SESSION = {
    "is_server": "role",
    "version": "version",
    "cipher": "cipher",
    "server_name": "server name",
    "alpn": "ALPN",
}
"""What the library's object says, by what `find_fields` calls it."""
HANDSHAKE = {"is_server", "client_random", "server_random"}
"""What it takes to know a connection by its handshake (bpf/hello.h)."""

COMMANDS = {"tls": "openssl", "postgres": "postgres", "mysqld": "mysqld"}
"""What each command watches."""

PARTIAL = "without root only your own processes are seen, and files in containers are not"
_FOUND_BY = {"symbols": "its symbols", "code": "its code", "given": "the addresses given"}
SHOWN = 5
"""Processes of a target that are named; the others are counted."""


class Process(NamedTuple):
    """One that has the file mapped."""

    pid: int
    comm: str
    container: str | None


@dataclass(frozen=True)
class Row:
    """What there is to say of one file."""

    path: str
    library: str
    version: str | None
    processes: list[Process]
    how: str | None = None
    """`symbols`, `code` or `given`; None where it cannot be watched."""
    sites: Sequence[Site] = ()
    addresses: Sequence[str] = ()
    """Ways in which the addresses of a connection will become known."""
    session: Sequence[str] = ()
    """What will be known of each TLS session."""
    keys: str | None = None
    """By what it was found where secrets are logged, `symbols` or `code`; None where that is not known."""
    why_no_keys: str | None = None
    unseen: Sequence[str] = ()
    """Functions of the file that move data past the probes."""
    why_not: str | None = None
    command: str = "tls"
    """Which command watches it."""


def run(files: Sequence[Path], pid: int | None, *, as_json: bool) -> int:
    """Write the list on stdout; the exit status: 0 if anything can be watched, else 1."""
    probes: dict[str, Library] = plugins.load(plugins.PROBES)
    commands = {"tls": "openssl"} if files else COMMANDS
    with _view() as view:
        mapped = view.mapped(pid)
        rows = [
            _row(command, probes[name], image, verdict, _beside(image, mapped))
            for command, name in commands.items()
            for image, verdict in _found(probes[name], view, files, pid)
        ]
    if as_json:
        sys.stdout.writelines(msgspec.json.encode(_document(row)).decode() + "\n" for row in rows)
    else:
        lines = report(rows, painter(has_colors(sys.stdout.fileno())))
        sys.stdout.writelines(f"{line}\n" for line in lines)
    if os.geteuid() != 0 and not files:
        sys.stderr.write(f"pellucid: {PARTIAL}\n")
    return 0 if any(row.how for row in rows) else 1


@contextmanager
def _view() -> Iterator[View]:
    """Who maps what: the kernel's own list, which only root may ask for."""
    if os.geteuid() != 0:
        yield Maps()
        return
    with Images() as images:
        yield images


def _found(
    library: Library, view: View, files: Sequence[Path], pid: int | None
) -> Iterator[tuple[Image, FoundTarget | Refused]]:
    check_process(pid)
    if files:
        pids = {image.key: image.pids for image in view.mapped(pid)}
        for target in {(target := named_target(library, view, file)).key: target for file in files}.values():
            yield Image(target.key, target.path, target.display, pids.get(target.key, ())), target
        return
    known = []
    for image, found in mapped_targets(library, view, pid):
        known.append(image.key)
        yield image, found
    if pid is None:
        yield from installed_targets(library, view, known)


# --- one file ----------------------------------------------------------------------------------------


def _beside(image: Image, mapped: Sequence[Image]) -> dict[str, Path]:
    """By name: what processes that use this file have mapped too."""
    users = set(image.pids)
    return {Path(each.display).name: each.path for each in mapped if users.intersection(each.pids)}


def _row(
    command: str, library: Library, image: Image, found: FoundTarget | Refused, beside: Mapping[str, Path]
) -> Row:
    processes = [process for pid in image.pids if (process := _process(pid)) is not None]
    version = version_of(image.path, beside) if command == "tls" else None  # it knows OpenSSL and its kin
    if isinstance(found, Refused):
        name = Path(found.display).name
        return Row(found.display, name, version, processes, why_not=found.reason, command=command)
    with Elf(found.path) as elf:
        unseen = list(elf.symbols(library.unseen))
        keys, why_no_keys = _keys(elf, found) if command == "tls" else (None, None)
    fields = find_fields(found)
    handshake = ["handshake"] if fields.keys() >= HANDSHAKE else []
    setters = [name for name in library.socket if name in found.functions]
    return Row(
        found.display,
        found.library,
        version,
        processes,
        found.how,
        find_sites(found, library),
        [*handshake, "socket calls", *setters],
        [said for name, said in SESSION.items() if name in fields],
        keys,
        why_no_keys,
        unseen,
        command=command,
    )


def _keys(elf: Elf, found: FoundTarget) -> tuple[str | None, str | None]:
    """How the place is known where the file logs secrets, or why it is not."""
    try:
        return find_key_log(elf, found.functions).how, None
    except PellucidError as error:
        return None, str(error)


def _process(pid: int) -> Process | None:
    """What the kernel says of a process; None once it has ended."""
    proc = Path(f"/proc/{pid}")
    try:
        comm = (proc / "comm").read_text(errors="backslashreplace").removesuffix("\n")
        return Process(pid, comm, container_of((proc / "cgroup").read_text()))
    except (FileNotFoundError, ProcessLookupError):
        return None


def _document(row: Row) -> dict[str, Any]:
    """One line of JSON: see docs/targets.md."""
    return {
        "path": row.path,
        "library": row.library,
        "command": row.command,
        "version": row.version,
        "how": row.how,
        "why_not": row.why_not,
        "processes": [process._asdict() for process in row.processes],
        "captures": {
            "text": row.how is not None,
            "addresses": row.addresses,
            "session": row.session,
            "keys": row.keys,
        },
        "why_no_keys": row.why_no_keys,
        "sites": [
            {
                "direction": site.direction.name.lower(),
                "symbol": site.symbol,
                "offset": site.offset,
                "kind": site.kind,
                "emulated": site.emulated,
                "reason": site.reason or None,
            }
            for site in row.sites
        ],
        "unseen": row.unseen,
    }


# --- for people --------------------------------------------------------------------------------------


def report(rows: Sequence[Row], paint: Paint) -> Iterator[str]:
    """The lines of the list: what can be watched, what cannot, and what holds for all."""
    watched = [row for row in rows if row.how]
    refused = [row for row in rows if not row.how]
    for row in watched:
        yield _head(row, paint, "success")
        yield from _fields(_watched(row))
        yield ""
    for row in refused:
        yield _head(row, paint, "failure")
        yield from _fields([("path", row.path), *_users(row), ("why not", row.why_not or "")])
        yield ""
    yield _conclusion(watched, refused)


def _head(row: Row, paint: Paint, style: Style) -> str:
    return f"{paint(style, escape(row.library))}  {escape(row.version or 'of no stated version')}"


def _fields(fields: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"  {name:<10} {escape(text)}" for name, text in fields)


def _watched(row: Row) -> Iterator[tuple[str, str]]:
    yield "path", row.path
    yield from _users(row)
    yield (
        "found by",
        _FOUND_BY[row.how or ""],
    )
    for site in row.sites:
        cost = "emulated" if site.emulated else "single-stepped"
        yield site.direction.name.lower(), f"{site.kind} {site.symbol}, {cost}"
    for reason in sorted({site.reason for site in row.sites if site.reason}):
        yield "", reason
    yield "shows", ", ".join(["text" if row.command == "tls" else "queries", *row.session])
    yield "addresses", f"by {', '.join(row.addresses)}"
    if row.keys or row.why_no_keys:
        yield "keys", f"by {_FOUND_BY[row.keys]}" if row.keys else row.why_no_keys or ""
    if row.unseen:
        yield "not seen", f"what goes through {', '.join(row.unseen)}"


def _users(row: Row) -> Iterator[tuple[str, str]]:
    shown = [f"{process.comm} {process.pid}" for process in row.processes[:SHOWN]]
    more = len(row.processes) - len(shown)
    yield "used by", (", ".join(shown) or "no process now") + (f" and {more} more" if more else "")
    for container in sorted({process.container for process in row.processes if process.container}):
        yield "container", container


def _conclusion(watched: Sequence[Row], refused: Sequence[Row]) -> str:
    if not watched and not refused:
        return "nothing found: name a library, or a program with one inside, with --libssl"
    more = f", {len(refused)} cannot" if refused else ""
    return f"{len(watched)} can be watched{more}"
