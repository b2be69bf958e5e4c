"""Functions whose addresses the user gives (`--addr`), for files in which nothing else tells them.

A probe that is not at a function's first instruction would read arguments that are not there, and one in the
middle of an instruction ends the program. So an address counts only where the file, or its code, shows that a
function begins there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.functions import functions_around
from pellucid.attach.images import Image
from pellucid.attach.symbols import Elf, Symbol
from pellucid.attach.targets import FoundTarget
from pellucid.attach.unwind import Extents
from pellucid.attach.x86 import OpaqueError, conduct, instructions
from pellucid.errors import PellucidError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pellucid.attach.library import Library
    from pellucid.attach.targets import View

_MIDDLE = "is in the middle of an instruction"
_LAST_ADDRESS = (1 << 64) - 1


def parse_addresses(text: str, library: Library) -> dict[str, int]:
    """`SSL_read=0x1234,SSL_write=0x2345`: virtual addresses, as nm prints them, by function.

    Raises `UsageError` for anything else, and where a function is missing that the library needs.
    """
    given: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = part.strip().partition("=")
        if not equals:
            raise UsageError(f"--addr: {part.strip()!r} is not of the form SSL_read=0x1234")
        if name not in library.functions:
            raise UsageError(f"--addr: {name!r} is none of {', '.join(library.functions)}")
        if name in given:
            raise UsageError(f"--addr gives {name} twice")
        given[name] = _address(number)
    missing = [name for name in library.required if name not in given]
    if missing:
        raise UsageError(f"--addr lacks {' and '.join(missing)}")
    for name, address in given.items():
        others = [other for other in given if other != name and given[other] == address]
        if others:
            raise UsageError(f"--addr gives {address:#x} to both {name} and {others[0]}")
    return given


def _address(text: str) -> int:
    try:
        address = int(text, 16)
    except ValueError:
        address = -1
    if not 0 <= address <= _LAST_ADDRESS:
        raise UsageError(f"--addr: {text!r} is no address: write it in hexadecimal, such as 0x1234")
    return address


def given_target(library: Library, view: View, path: Path, given: Mapping[str, int]) -> FoundTarget:
    """The file with these functions, and with others that its own symbols name.

    Raises `PellucidError` where one of the addresses is not where a function begins.
    """
    with Elf(path) as elf:
        functions = {name: _function(elf, name, address) for name, address in given.items()}
        functions = elf.symbols(library.functions) | functions
        image = Image(view.key(path), path, str(path), ())
        return FoundTarget(path, image.display, elf.soname or path.name, image.key, functions, "given")


def _function(elf: Elf, name: str, address: int) -> Symbol:
    if not elf.executable(address):
        raise _refusal(elf, name, address, "is not in its executable code")
    known = elf.function_at(address)
    if known is not None:
        return known._replace(name=name)
    extent = Extents(elf).at(address)
    if extent is not None:
        _check_beginning(elf, name, address, extent)
        return Symbol(name, address, len(extent), elf.offset(address))
    return _untold_function(elf, name, address)


def _untold_function(elf: Elf, name: str, address: int) -> Symbol:
    """A function in a file that says nothing of where functions are: its code has to show that it is one."""
    around = functions_around(elf, [address]) if elf.machine == "x86_64" else []
    if not around:
        raise _refusal(elf, name, address, "cannot be checked: no function is known to begin near it")
    [function] = around
    end = function.address + function.size
    if address not in instructions(elf, range(function.address, end)):
        raise _refusal(elf, name, address, _MIDDLE)
    function = Symbol(name, address, end - address, elf.offset(address))
    try:
        begins = conduct(elf, function).balanced
    except OpaqueError as opaque:
        raise _refusal(elf, name, address, f"cannot be checked: {opaque}") from opaque
    if not begins:
        raise _refusal(elf, name, address, "is not where a function begins: it returns with another stack")
    return function


def _check_beginning(elf: Elf, name: str, address: int, extent: range) -> None:
    if address == extent.start:
        return
    if elf.machine == "x86_64" and address not in instructions(elf, extent):
        raise _refusal(elf, name, address, _MIDDLE)
    raise _refusal(elf, name, address, f"is inside the function that begins at {extent.start:#x}")


def _refusal(elf: Elf, name: str, address: int, what: str) -> PellucidError:
    return PellucidError(f"{elf.path}: {address:#x}, given for {name}, {what}")
