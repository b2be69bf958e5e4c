"""The functions of an OpenSSL that has no symbols, as static and stripped programs carry it (x86_64).

OpenSSL reports an error with the name of the function that found it: as a text since 3.0,
`ERR_set_debug(__FILE__, __LINE__, __func__)`; before by number, `ERR_put_error(library, function, reason, __FILE__,
__LINE__)`. So `SSL_read` and `SSL_write` name themselves where they refuse a negative count. They are taken if they
also hand `ssl`, `buf` and `num` on to one inner function, with a place of their own for the count. Its other callers that
hand on their own arguments are `SSL_read_ex`, `SSL_write_ex` and `SSL_write_ex2`.

What is not exactly so is refused. Sources: ssl/ssl_lib.c, include/openssl/{err,ssl}.h, and of 1.1.1 sslerr.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.code.functions import conduct_of, functions_around
from pellucid.attach.code.references import (
    LEA_RCX,
    LEA_RDX,
    MOV_ECX,
    MOV_EDX,
    calls,
    loads,
    texts_ending_with,
)
from pellucid.attach.code.symbolic import Argument, Constant, Stack, Value
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pellucid.attach.code.x86 import Conduct
    from pellucid.attach.symbols import Elf, Symbol

_FILE = b"ssl/ssl_lib.c"
_ERR_LIB_SSL = Constant(20)
_HANDED_ON = (Argument(0), Argument(1))
_NUMBER = 2  # the argument; an int, of which the upper half is not known


class Named(NamedTuple):
    """A function that names itself when it reports an error."""

    name: str
    code: int
    """Its number in 1.1.1: SSL_F_SSL_READ and so on."""
    siblings: tuple[tuple[str, int], ...]
    """Other functions that call the same inner one, and which of their arguments points to the count."""


_CALLS = (
    Named("SSL_read", 223, (("SSL_read_ex", 3),)),
    Named("SSL_write", 208, (("SSL_write_ex", 3), ("SSL_write_ex2", 4))),
)
_CREATED = Named("SSL_new", 186, ())


class _Known(NamedTuple):
    symbol: Symbol
    conduct: Conduct


def find_functions(elf: Elf) -> dict[str, Symbol]:
    """`SSL_read`, `SSL_write`, their relatives and, where it is told too, `SSL_new`; none without an OpenSSL.

    Raises `PellucidError` with the reason where the first two are not proven. Takes as long as BoringSSL's.
    """
    files = texts_ending_with(elf, (_FILE,))
    if not files:
        return {}
    if elf.machine != "x86_64":
        raise _refusal(f"nothing is looked for on {elf.machine}")
    failing = functions_around(elf, loads(elf, files, LEA_RCX, MOV_ECX))  # of 1.1.1
    found: dict[str, Symbol] = {}
    for named in _CALLS:
        function = _only(named.name, _naming(elf, files, failing, named))
        found[named.name] = function.symbol
        found |= _siblings(elf, named, *_inner(named.name, function))
    created = _naming(elf, files, failing, _CREATED)
    if len(created) == 1:
        found[_CREATED.name] = created[0].symbol
    return {name: symbol._replace(name=name) for name, symbol in found.items()}


def _refusal(why: str) -> PellucidError:
    return PellucidError(f"stripped, and OpenSSL's functions are not proven by its code: {why}")


def _only(name: str, found: Sequence[_Known]) -> _Known:
    if len(found) != 1:
        raise _refusal(f"{len(found)} functions, not one, report errors as {name}")
    return found[0]


def _naming(elf: Elf, files: Sequence[int], failing: list[Symbol], named: Named) -> list[_Known]:
    """The functions that report errors under this name, or of the `failing` ones under its number."""
    text = named.name.encode()
    texts = [
        address
        for address in texts_ending_with(elf, (text,))
        if elf.code(address, len(text) + 1) == text + b"\0"
    ]
    number = b"\xbe" + named.code.to_bytes(4, "little")  # mov $code,%esi
    numbered = [each for each in failing if number in elf.code(each.address, each.size)]
    candidates = {*functions_around(elf, loads(elf, texts, LEA_RDX, MOV_EDX)), *numbered}

    in_files, as_texts = set(map(Constant, files)), set(map(Constant, texts))

    def reports(arguments: tuple[Value, ...]) -> bool:
        first, second, third, fourth, *_ = arguments
        by_text = first in in_files and third in as_texts
        by_number = first == _ERR_LIB_SSL and second == Constant(named.code) and fourth in in_files
        return by_text or by_number

    known = _interpreted(elf, candidates)
    return [each for each in known if any(reports(arguments) for _, arguments in each.conduct.calls)]


def _interpreted(elf: Elf, symbols: Iterable[Symbol]) -> list[_Known]:
    """What functions do, without those that cannot be followed or do not begin there."""
    return [_Known(symbol, does) for symbol in symbols if (does := conduct_of(elf, symbol))]


def _inner(name: str, function: _Known) -> tuple[int, int]:
    """The function that is handed all arguments, and which of its own points to the count."""
    found = {
        (address, count)
        for address, arguments in function.conduct.calls
        if address is not None and _are_handed_on(arguments)
        for count, value in enumerate(arguments)
        if isinstance(value, Stack) and value.offset < 0
    }
    if len(found) != 1:
        raise _refusal(f"{name} hands its arguments on to {len(found)} functions, not one")
    return found.pop()


def _are_handed_on(arguments: tuple[Value, ...]) -> bool:
    number = arguments[_NUMBER]
    return arguments[:2] == _HANDED_ON and isinstance(number, Argument) and number.number == _NUMBER


def _siblings(elf: Elf, named: Named, inner: int, count: int) -> dict[str, Symbol]:
    handing_on = [
        (each.symbol, arguments[count])
        for each in _interpreted(elf, functions_around(elf, calls(elf, inner)))
        for address, arguments in each.conduct.calls
        if address == inner and _are_handed_on(arguments)
    ]
    found: dict[str, Symbol] = {}
    for name, position in named.siblings:
        matching = {symbol for symbol, value in handing_on if value == Argument(position)}
        if len(matching) > 1:
            raise _refusal(f"{len(matching)} functions, not one, do what {name} does")
        if matching:
            found[name] = matching.pop()
    return found
