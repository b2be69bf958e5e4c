"""The functions of a BoringSSL that has no symbols, as static and stripped programs carry it (x86_64).

BoringSSL reports an error by `ERR_put_error(library, 0, reason, __FILE__, __LINE__)`. The file's name is a text
in the program, so every function of ssl_lib.cc that can fail refers to it, and the reasons that a function
can give (`include/openssl/ssl.h`, never renumbered) narrow it down to a few. Each is then interpreted, and
taken only if it does with its arguments what the function of that name does:

`SSL_write(ssl, buf, num)` hands all three on to `ssl->method->write_app_data`.
`SSL_read(ssl, buf, num)` hands `ssl` to the inner `ssl_read_impl` and copies to `buf`, or leaves both to
`SSL_peek`; then, unlike that, it notes in the connection what was consumed.
`SSL_new(ctx)` reports that `ctx` is null, and nothing else.

Each must be there once: where a compiler has built one into its callers, a probe would not see all calls.
What is not exactly so is refused. Source: ssl/ssl_lib.cc, include/openssl/{err,ssl}.h of BoringSSL; builds of
2022 to 2026 were tried.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.code.functions import conduct_of, functions_around
from pellucid.attach.code.references import LEA_RCX, MOV_ECX, calls, loads, texts_ending_with
from pellucid.attach.code.symbolic import Argument, Constant, Stack, Value
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.attach.code.x86 import Conduct
    from pellucid.attach.symbols import Elf, Symbol

TELLTALE = b"ssl/ssl_lib.cc"
"""How the file's name ends, whatever folder it was compiled in. OpenSSL's own is called ssl_lib.c."""

_ERR_LIB_SSL = Constant(16)  # include/openssl/err.h
_NULL_SSL_CTX = 185  # SSL_R_NULL_SSL_CTX and so on, include/openssl/ssl.h
_SHOULD_NOT_HAVE_BEEN_CALLED = 66  # ERR_R_...: for QUIC
_SSL_HANDSHAKE_FAILURE = 215
_UNINITIALIZED = 226
_TELLING = (_NULL_SSL_CTX, _SHOULD_NOT_HAVE_BEEN_CALLED, _UNINITIALIZED)
"""Functions without any of these are not interpreted, which would take most of the time."""

_SSL, _BUFFER = Argument(0), Argument(1)
_NUMBER = 2  # the argument; an int, of which the upper half is not known
_MOV_R8D = b"\x41\xb8"  # mov $line,%r8d
_MOV_EDX = b"\xba"  # mov $reason,%edx


class Known(NamedTuple):
    """A function of ssl_lib.cc that was interpreted."""

    symbol: Symbol
    """Without a name."""
    conduct: Conduct
    errors: dict[int, int]
    """Those that it can report: the line in the source, by reason."""


def find_functions(elf: Elf) -> dict[str, Symbol]:
    """`SSL_read`, `SSL_write` and, where it is proven too, `SSL_new`, by name; none without a BoringSSL.

    Raises `PellucidError` with the reason where the first two are not proven. Takes 0.1 s for a library of
    20 MB, and a second for a program of 100 MB and more.
    """
    names = texts_ending_with(elf, (TELLTALE,))
    if not names:
        return {}
    if elf.machine != "x86_64":
        raise _refusal(f"nothing is looked for on {elf.machine}")
    functions = _failing(elf, names)
    telling = [_MOV_EDX + _immediate(reason) for reason in _TELLING]
    known = [
        each
        for symbol in functions
        if _contains(elf, symbol, telling) and (each := _interpreted(elf, names, symbol))
    ]
    write = _write(known)
    read = _read(elf, known, _inner_read(known))
    for name, where in (("SSL_read", read), ("SSL_write", [write])):
        _check_not_inlined(elf, name, where, functions)
    found = {"SSL_read": read[0], "SSL_write": write} | _created(known)
    return {name: each.symbol._replace(name=name) for name, each in found.items()}


def _refusal(why: str) -> PellucidError:
    return PellucidError(f"stripped, and BoringSSL's functions are not proven by its code: {why}")


def _failing(elf: Elf, names: Sequence[int]) -> list[Symbol]:
    """The functions that refer to the source file's name, as those do that report an error."""
    return functions_around(elf, loads(elf, names, LEA_RCX, MOV_ECX))


def _interpreted(elf: Elf, names: Sequence[int], symbol: Symbol) -> Known | None:
    """What a function does, and the errors that it reports; None where that cannot be known."""
    found = conduct_of(elf, symbol)
    if found is None:
        return None
    files = {Constant(name) for name in names}
    errors = {
        reason.number: line.number
        for _, (library, _, reason, file, line, _) in found.calls
        if library == _ERR_LIB_SSL
        and file in files
        and isinstance(reason, Constant)
        and isinstance(line, Constant)
    }
    return Known(symbol, found, errors)


def _write(known: Sequence[Known]) -> Known:
    return _only("SSL_write", [each for each in known if _does_handshakes(each) and _hands_on_all(each)])


def _inner_read(known: Sequence[Known]) -> Known:
    found = [each for each in known if _does_handshakes(each) and not _hands_on_all(each)]
    return _only("ssl_read_impl", found)


def _read(elf: Elf, known: Sequence[Known], inner: Known) -> list[Known]:
    """`SSL_read`, and `SSL_peek` where there is one."""
    copying = [each for each in known if _calls(each, inner, _SSL) and _copies_out(each)]
    peeks = [each for each in copying if not each.conduct.stores]
    reads = [each for each in copying if each.conduct.stores]
    if not reads:
        reads = [_only_caller(elf, peek) for peek in peeks]
    return [_only("SSL_read", reads), *peeks]


def _only_caller(elf: Elf, peek: Known) -> Known:
    """The `SSL_read` that calls `SSL_peek`. Another caller could be one that contains a copy of `SSL_read`."""
    around = functions_around(elf, calls(elf, peek.symbol.address))
    callers = [_interpreted(elf, (), symbol) for symbol in around]
    found = [each for each in callers if each and _calls(each, peek, _SSL, _BUFFER) and each.conduct.stores]
    if len(callers) != 1:
        found = []
    return _only("SSL_read", found)


def _only(name: str, found: Sequence[Known]) -> Known:
    if len(found) != 1:
        raise _refusal(f"{len(found)} functions, not one, do what {name} does")
    return found[0]


def _created(known: Sequence[Known]) -> dict[str, Known]:
    found = [each for each in known if each.errors.keys() == {_NULL_SSL_CTX}]
    return {"SSL_new": found[0]} if len(found) == 1 else {}


def _check_not_inlined(elf: Elf, name: str, where: Sequence[Known], functions: Sequence[Symbol]) -> None:
    """Refuse a function that others contain too: they load the lines of its errors as it does."""
    own = {each.symbol.address for each in where}
    needles = [_MOV_R8D + _immediate(line) for each in where for line in each.errors.values()]
    for other in functions:
        if other.address not in own and _contains(elf, other, needles):
            raise _refusal(f"a copy of {name} is built into the function at {other.address:#x}")


def _contains(elf: Elf, symbol: Symbol, needles: Sequence[bytes]) -> bool:
    code = elf.code(symbol.address, symbol.size)
    return any(needle in code for needle in needles)


def _immediate(value: int) -> bytes:
    return value.to_bytes(4, "little")


# --- what a function does ----------------------------------------------------------------------------


def _does_handshakes(known: Known) -> bool:
    return {_UNINITIALIZED, _SSL_HANDSHAKE_FAILURE} <= known.errors.keys()


def _hands_on_all(known: Known) -> bool:
    """Whether it calls through a pointer as `write_app_data` is called: with the `SSL *`, places for what
    comes of it, which are its own, and then buffer and number.
    """
    return any(
        address is None
        and arguments[0] == _SSL
        and isinstance(arguments[1], Stack)
        and any(_are_data(*pair) for pair in pairwise(arguments[2:]))
        for address, arguments in known.conduct.calls
    )


def _are_data(buffer: Value, number: Value) -> bool:
    return buffer == _BUFFER and isinstance(number, Argument) and number.number == _NUMBER


def _calls(known: Known, other: Known, *arguments: Value) -> bool:
    """Whether it calls the other function, always with these arguments first."""
    handed = [them for address, them in known.conduct.calls if address == other.symbol.address]
    return bool(handed) and all(them[: len(arguments)] == arguments for them in handed)


def _copies_out(known: Known) -> bool:
    """Whether it calls something with the buffer first, as memcpy is."""
    return any(arguments[0] == _BUFFER for _, arguments in known.conduct.calls)
