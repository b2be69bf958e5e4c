"""Which shells there are, and where each has what its probe needs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.pids import check_process
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pellucid.probes.shell.probe import ShellProbe

_INSTALLED = Path("/etc/shells")


class ShellFile(NamedTuple):
    """A shell's executable, ready to be attached to."""

    path: Path
    """To open: it reaches the right file also when that is in a container or has been deleted."""
    display: str
    sites: tuple[tuple[str, int], ...]
    """A program of the object, and the file offset for it."""
    variables: dict[str, int]
    """Distances from where the executable's code begins, by name in `struct variables`."""


def find_shells(probe: ShellProbe, files: Sequence[Path], pid: int | None) -> list[ShellFile]:
    """The files that are named, or that of the process, or all of that shell that are installed or run.

    Each once, however many names it has. PellucidError where a file that is meant is no such shell, or none is found.
    """
    if pid is not None:
        check_process(pid)
    meant = [*files] or ([Path(f"/proc/{pid}/exe")] if pid is not None else [])
    if meant:
        return [*_each_once(meant, lambda path: examine(probe, path))]
    found = [*_each_once(_there(probe.name), lambda path: _examined(probe, path))]
    if not found:
        raise PellucidError(
            f"no {probe.name} that can be watched is installed or runs here: name one with --{probe.name}"
        )
    return found


def examine(probe: ShellProbe, path: Path) -> ShellFile:
    """Where this file has what the probe needs. PellucidError, naming it, where that is missing."""
    display = _display(path)
    with Elf(path) as elf:
        functions = elf.symbols(function for _, function in probe.probes)
        variables = elf.variables(probe.variables.values())
        wanted = [*dict.fromkeys(function for _, function in probe.probes), *probe.variables.values()]
        missing = [name for name in wanted if name not in functions and name not in variables]
        if missing:
            raise PellucidError(
                f"{display} does not export {', '.join(missing)}: it is no {probe.name}, or one that cannot be watched "
                f"(built without line editing, or with it in a library); name another with --{probe.name}"
            )
        # mm->start_code, as load_elf_binary() in fs/binfmt_elf.c finds it
        start = min(segment.address for segment in elf.segments(executable=True))
        return ShellFile(
            path,
            display,
            tuple((program, functions[function].offset) for program, function in probe.probes),
            {name: variables[variable] - start for name, variable in probe.variables.items()},
        )


def _examined(probe: ShellProbe, path: Path) -> ShellFile | None:
    """The same of a file that nobody has named: what is wrong with it is no reason to end."""
    try:
        return examine(probe, path)
    except PellucidError as error:
        log.warning("not watched: %s", error)
        return None


def _there(name: str) -> Iterator[Path]:
    """Where shells of that name are: in the path, in /etc/shells, and the executables of processes."""
    command = shutil.which(name)
    if command is not None:
        yield Path(command)
    if _INSTALLED.exists():
        listed = (Path(line) for line in _INSTALLED.read_text(errors="replace").split("\n"))
        yield from (path for path in listed if path.name == name and path.exists())
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            executable = process / "exe"
            if Path(_display(executable)).name == name:
                yield executable


def _display(path: Path) -> str:
    """The file as a process names it, where the path leads through one; else the path itself."""
    if path.parts[:2] != ("/", "proc"):
        return str(path)
    try:
        return str(path.readlink()).removesuffix(" (deleted)")
    except OSError:  # the process has ended, or is the kernel's own
        return str(path)


def _each_once(paths: Iterable[Path], look: Callable[[Path], ShellFile | None]) -> Iterator[ShellFile]:
    """What `look` finds in each file; one that another name has led to is passed over."""
    seen = set()
    for path in paths:
        try:
            found = path.stat()
        except OSError as error:
            if path.parts[:2] == ("/", "proc"):
                continue
            raise PellucidError(f"cannot open {path}: {error.strerror}") from error
        identity = found.st_dev, found.st_ino
        if identity not in seen:
            seen.add(identity)
            shell = look(path)
            if shell is not None:
                yield shell
