"""Which shells there are, and where each has what its probe needs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.imported import imported_calls
from pellucid.attach.pids import check_process
from pellucid.attach.shells.returns import places_behind_calls, return_instructions
from pellucid.attach.symbols import Elf
from pellucid.attach.targets import FoundTarget
from pellucid.errors import PellucidError
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pellucid.attach.symbols import Symbol
    from pellucid.attach.targets import View
    from pellucid.probes.shell.probe import ShellProbe

_INSTALLED = Path("/etc/shells")


class ShellFile(NamedTuple):
    """Where a shell's executable has what its probe needs."""

    sites: tuple[tuple[str, int], ...]
    """A program of the object, and the file offset for it."""
    variables: dict[str, int]
    """Distances from where the executable's code begins, by name in `struct variables`."""


def find_shells(probe: ShellProbe, view: View, files: Sequence[Path], pid: int | None) -> list[FoundTarget]:
    """The files that are named, or that of the process, or all of that shell that are installed; each once.

    Those that run already or turn up later are a roster's to find. PellucidError where a file that is meant is no
    such shell.
    """
    if pid is not None:
        check_process(pid)
    meant = [*files] or ([Path(f"/proc/{pid}/exe")] if pid is not None else [])
    found = [_found(probe, view, path) for path in meant] if meant else _installed(probe, view)
    return [*{shell.key: shell for shell in found}.values()]


def examine(probe: ShellProbe, path: Path, display: str = "") -> ShellFile:
    """Where this file has what the probe needs. PellucidError, naming it as `display`, where that is missing."""
    display = display or _display(path)
    with Elf(path) as elf:
        functions = elf.symbols(function for _, function in probe.probes)
        elsewhere = elf.imports(probe.elsewhere) - functions.keys()
        variables = elf.variables(probe.variables.values())
        wanted = [*dict.fromkeys(function for _, function in probe.probes), *probe.variables.values()]
        missing = [name for name in wanted if name not in {*functions, *variables, *elsewhere}]
        if missing:
            raise PellucidError(
                f"{display} does not export {', '.join(missing)}: it is no {probe.name}, or one that cannot be watched "
                f"(built without line editing); name another with --{probe.name}"
            )
        # mm->start_code, as load_elf_binary() in fs/binfmt_elf.c finds it
        start = min(segment.address for segment in elf.segments(executable=True))
        return ShellFile(
            tuple(_sites(probe, elf, functions, elsewhere)),
            {name: variables[variable] - start for name, variable in probe.variables.items()},
        )


def _sites(
    probe: ShellProbe, elf: Elf, functions: dict[str, Symbol], elsewhere: set[str]
) -> Iterator[tuple[str, int]]:
    """The probes of functions that are in the file, and of calls of those that are in a library."""
    for program, function in probe.probes:
        if function not in elsewhere:
            for place in _places(program, elf, functions[function]):
                yield program, elf.offset(place)
            continue
        for call in imported_calls(elf, function):
            if program.endswith("_returned"):
                yield probe.elsewhere[function].back, elf.offset(call.behind)
            else:
                yield probe.elsewhere[function].called, elf.offset(call.place)


def _places(program: str, elf: Elf, function: Symbol) -> list[int]:
    """The addresses at which a program is for a function of the file: its name tells."""
    if program.endswith("_returns"):
        return return_instructions(elf, function)
    return places_behind_calls(elf, function) if program.endswith("_came_back") else [function.address]


def _found(probe: ShellProbe, view: View, path: Path) -> FoundTarget:
    if not path.exists() and path.parts[:2] != ("/", "proc"):
        raise PellucidError(f"cannot open {path}: No such file or directory")
    examine(probe, path)
    return FoundTarget(path, _display(path), probe.name, view.key(path), {}, "symbols")


def _installed(probe: ShellProbe, view: View) -> list[FoundTarget]:
    """Those in the path and in /etc/shells; what is wrong with one that nobody has named is no reason to end."""
    command = shutil.which(probe.name)
    paths = [Path(command)] if command else []
    if _INSTALLED.exists():
        listed = (Path(line) for line in _INSTALLED.read_text(errors="replace").split("\n"))
        paths += [path for path in listed if path.name == probe.name and path.exists()]
    found = []
    for path in paths:
        try:
            found.append(_found(probe, view, path))
        except PellucidError as error:
            log.warning("not watched: %s", error)
    return found


def _display(path: Path) -> str:
    """The file as a process names it, where the path leads through one; else the path itself."""
    if path.parts[:2] != ("/", "proc"):
        return str(path)
    try:
        return str(path.readlink()).removesuffix(" (deleted)")
    except OSError:  # the process has ended, or is the kernel's own
        return str(path)
