"""Functions whose addresses the user gives (`--addr` and its like), for files in which nothing else tells them.

A probe that is not at a function's first instruction would read arguments that are not there, and one in the
middle of an instruction ends the program. So an address counts only where the file, or its code, shows that a
function begins there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.code.functions import functions_around
from pellucid.attach.code.x86 import OpaqueError, conduct, instructions
from pellucid.attach.images import Image
from pellucid.attach.symbols import Elf, Symbol
from pellucid.attach.targets import FoundTarget, defined_functions
from pellucid.attach.unwind import Extents
from pellucid.errors import PellucidError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pellucid.attach.library import Library
    from pellucid.attach.targets import View

_MIDDLE = "is in the middle of an instruction"
_LAST_ADDRESS = (1 << 64) - 1


def parse_addresses(text: str, library: Library, flag: str = "--addr") -> dict[str, int]:
    """`SSL_read=0x1234,SSL_write=0x2345`: virtual addresses, as nm prints them, by function.

    Raises `UsageError` for anything else, and where a function is missing that the library needs.
    """
    pairs = _pairs(text, library, flag, "0x1234")
    given = {name: _address(number, flag) for name, number in pairs.items()}
    for name, address in given.items():
        others = [other for other in given if other != name and given[other] == address]
        if others:
            raise UsageError(f"{flag} gives {address:#x} to both {name} and {others[0]}")
    return given


def named_addresses(text: str, library: Library, path: Path) -> dict[str, int]:
    """`vio_read=my_read,vio_write=my_write`: the same by what the file itself calls its functions.

    Raises `UsageError` for anything else, `PellucidError` where the file does not name such a function.
    """
    pairs = _pairs(text, library, "--funcname", "SYMBOL")
    with Elf(path) as elf:
        found = elf.symbols(pairs.values())
    missing = [symbol for symbol in pairs.values() if symbol not in found]
    if missing:
        raise PellucidError(f"{path} does not define {' and '.join(missing)}, which --funcname names")
    return {name: found[symbol].address for name, symbol in pairs.items()}


def _pairs(text: str, library: Library, flag: str, value: str) -> dict[str, str]:
    """What is said of each function; nothing that the library needs is missing."""
    given: dict[str, str] = {}
    for part in text.split(","):
        name, equals, said = part.strip().partition("=")
        if not equals:
            raise UsageError(f"{flag}: {part.strip()!r} is not of the form {library.functions[0]}={value}")
        if name not in library.functions:
            raise UsageError(f"{flag}: {name!r} is none of {', '.join(library.functions)}")
        if name in given:
            raise UsageError(f"{flag} gives {name} twice")
        given[name] = said
    missing = [name for name in library.required if name not in given]
    if missing:
        raise UsageError(f"{flag} lacks {' and '.join(missing)}")
    return given


def _address(text: str, flag: str) -> int:
    try:
        address = int(text, 16)
    except ValueError:
        address = -1
    if not 0 <= address <= _LAST_ADDRESS:
        raise UsageError(f"{flag}: {text!r} is no address: write it in hexadecimal, such as 0x1234")
    return address


def given_target(library: Library, view: View, path: Path, given: Mapping[str, int]) -> FoundTarget:
    """The file with these functions, and with others that its own symbols name.

    Raises `PellucidError` where one of the addresses is not where a function begins.
    """
    with Elf(path) as elf:
        functions = {name: _function(elf, name, address) for name, address in given.items()}
        functions = defined_functions(library, elf) | functions
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
