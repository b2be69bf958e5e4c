"""Which files to watch: those that define a family's functions, whatever they are called and wherever they lie.

A shared library, a program with the library inside and a module of another language are all the same: a
file is judged by the functions that it defines, never by its name. Most define none, which takes 0.2 ms to
see. One that carries the family without naming its functions is asked for a proof (`Library.finders`), and
refused, with the reason, where there is none.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from pellucid.attach.files import open_regular
from pellucid.attach.images import Image, Key
from pellucid.attach.ldcache import installed
from pellucid.attach.pids import check_process
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.attach.library import Library
    from pellucid.attach.symbols import Symbol


_LARGEST_FOREIGN = 1 << 26
"""Bytes of a file that is no ELF file of this machine's kind in which names are looked for."""


class FoundTarget(NamedTuple):
    """A file to attach to."""

    path: Path
    """To open: it reaches the right file also when that is in a container or has been deleted."""
    display: str
    """As the process that uses it names it: for messages, not for opening."""
    library: str
    """Its soname, such as `libssl.so.3`; the file's name where it has none."""
    key: Key
    functions: dict[str, Symbol]
    """Which of its family's functions the file has, by name."""
    how: Literal["symbols", "code", "given"]
    """By what the functions were found: the file's own symbols, a finder, or the user."""


class Refused(NamedTuple):
    """A file that carries the family, but cannot be watched."""

    path: Path
    display: str
    reason: str


class View(Protocol):
    """Who maps what: `Images` for root, `Maps` for everybody else."""

    def mapped(self, pid: int | None = None) -> list[Image]:
        """The files that all processes, or one, have mapped for execution, each once."""
        ...

    def key(self, path: Path) -> Key:
        """Which file a path leads to."""
        ...


# --- one file ----------------------------------------------------------------------------------------


def examine(library: Library, image: Image) -> FoundTarget | Refused | None:
    """What a file is to this family: a target, one that cannot be watched, or (None) a stranger.

    Raises `PellucidError` where the file cannot be read, or is of a kind that is not understood and does
    not look like it either.
    """
    try:
        return by_symbols(library, image) or by_code(library, image)
    except PellucidError as error:
        if _mentions(image.path, library.required):  # 32-bit programs, Wine's libraries
            return Refused(image.path, _shown(image), str(error))
        raise


def defined_functions(library: Library, elf: Elf) -> dict[str, Symbol]:
    """Those of the family's functions that the file's own symbols name, by the family's name for them."""
    found = elf.symbols([*library.functions, *library.spellings])
    return {library.spellings.get(name, name): symbol for name, symbol in found.items()}


def by_symbols(library: Library, image: Image) -> FoundTarget | None:
    """The quick half of `examine`: a target whose own symbols name its functions (0.2 ms a file).

    Raises `PellucidError` also where they are another library's behind this family's names.
    """
    with Elf(image.path) as elf:
        found = _found(library, image, elf, defined_functions(library, elf), "symbols")
        others = sorted(elf.imports(library.masks)) if found else []
    if others:
        raise PellucidError(f"it is no {library.title}, though it names its functions: they call {others[0]}")
    return found


def by_code(library: Library, image: Image) -> FoundTarget | Refused | None:
    """The thorough half, for a file that names no functions: it may take seconds for a program of 300 MB."""
    with Elf(image.path) as elf:
        if not _has_telltale(library, elf):
            return None
        reasons = []
        for find in library.finders:
            try:
                found = _found(library, image, elf, find(elf), "code")
            except PellucidError as error:
                reasons.append(str(error))
            else:
                if found is not None:
                    return found
        reason = "; ".join(reasons) or f"it does not name {' and '.join(library.required)}: stripped"
        return Refused(image.path, _shown(image), reason)


def _found(
    library: Library, image: Image, elf: Elf, functions: dict[str, Symbol], how: Literal["symbols", "code"]
) -> FoundTarget | None:
    if not all(name in functions for name in library.required):
        return None
    name = elf.soname or Path(_shown(image)).name
    return FoundTarget(image.path, _shown(image), name, image.key, functions, how)


def _shown(image: Image) -> str:
    """Its name as text that can be written: bytes that are not UTF-8 show as escapes."""
    return os.fsencode(image.display).decode(errors="backslashreplace")


def _has_telltale(library: Library, elf: Elf) -> bool:
    return bool(library.telltales) and any(
        telltale in piece for piece in elf.constants() for telltale in library.telltales
    )


def _mentions(path: Path, names: Iterable[str]) -> bool:
    """Whether all these names are in the file, wherever."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            content = file.read(_LARGEST_FOREIGN)
    except OSError:
        return False
    return all(name.encode() + b"\0" in content for name in names)


# --- many files --------------------------------------------------------------------------------------


def named_target(library: Library, view: View, path: Path) -> FoundTarget:
    """The target in the file that the user names. Raises `PellucidError` where there is none."""
    with Elf(path) as elf:  # says better than a mapping what is wrong with the file
        needed = elf.needed
        image = Image(view.key(path), path, str(path), ())
    found = examine(library, image)
    if found is None:
        missing = " and ".join(library.required)
        loads = [name for name in needed if _is_installed(library, name)]
        hint = f"; it loads {loads[0]}: name that file, or use --pid" if loads else ""
        raise PellucidError(
            f"{path} does not define {missing}: it has no {library.title} inside{hint or library.advice}"
        )
    if isinstance(found, Refused):
        raise PellucidError(f"{path} cannot be watched: {found.reason}")
    return found


def _is_installed(library: Library, name: str) -> bool:
    """Whether the dynamic linker's cache has a file of this name that has the family inside."""
    paths = [path for path in installed() if path.name == name]
    for path in paths:
        with Elf(path) as elf:
            if defined_functions(library, elf).keys() >= {*library.required}:
                return True
    return False


def mapped_targets(
    library: Library, view: View, pid: int | None = None
) -> Iterator[tuple[Image, FoundTarget | Refused]]:
    """What processes, or one of them, have mapped of the family. What cannot be read is left out."""
    for image in view.mapped(pid):
        try:
            found = examine(library, image)
        except PellucidError as error:
            log.debug("left out: %s", error)
        else:
            if found is not None:
                yield image, found


def installed_targets(
    library: Library, view: View, known: Iterable[Key] = ()
) -> Iterator[tuple[Image, FoundTarget]]:
    """What the dynamic linker would load of the family, though nobody does yet, without files in `known`."""
    seen = set(known)
    for path in installed():
        try:
            image = _installed_image(library, view, path)
            if image is None or image.key in seen:
                continue
            found = by_symbols(library, image)
        except PellucidError as error:
            log.debug("left out: %s", error)
            continue
        seen.add(image.key)
        if found is not None:
            yield image, found


def _installed_image(library: Library, view: View, path: Path) -> Image | None:
    """The file, if it defines the functions: only then its key, which takes longer, is asked for."""
    with Elf(path) as elf:
        if not defined_functions(library, elf).keys() & {*library.required}:
            return None
    return Image(view.key(path), path, str(path), ())


def find_targets(library: Library, view: View, libssl: Path | None, pid: int | None) -> list[FoundTarget]:
    """The files to watch from the beginning, each once; none where there are none yet.

    `libssl` names the file; else `pid` a process whose files are meant; else those of the dynamic linker's
    cache, to which `Roster` adds what processes map. Raises `PellucidError` where a named file or process is
    not usable.
    """
    check_process(pid)
    if libssl is not None:
        return [named_target(library, view, libssl)]
    if pid is None:
        return [target for _, target in installed_targets(library, view)]
    found = []
    for _, verdict in mapped_targets(library, view, pid):
        if isinstance(verdict, FoundTarget):
            found.append(verdict)
        else:
            log.warning("%s cannot be watched: %s", verdict.display, verdict.reason)
    return found
