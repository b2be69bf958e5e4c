"""Where a library hands its secrets to its key log, and where its objects keep the client random (x86_64).

OpenSSL and its kin call `ssl_log_secret(ssl, label, secret, size)` for each secret of each handshake, whether
anybody has asked for a log or not (ssl/ssl_lib.c since 1.1.1, ssl/ssl_lib.cc). Few files name it. It is found by
the labels, which are texts in the file: the code that loads one as a second argument calls it next. The
function that most labels lead to is taken if its own code does what that function does with its arguments:

- OpenSSL's hands all of them on to one inner function, in the order (label, ssl, random, 32, secret, size).
  Another one does that with "RSA" for its label: `ssl_log_rsa_client_key_exchange(ssl, encrypted, its size, premaster,
  its size)` of RSA key exchange.
- BoringSSL's writes the line itself: it measures the label, and reads 32 bytes behind `ssl`.

Where these bytes lie is the path to the client random. If the file has `SSL_get_client_random`, that must say the
same. What is not exactly so is refused.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.attach.code.accessors import FUNCTIONS, Field, find_accessors
from pellucid.attach.code.disassembly import CALL, IMMEDIATE, JUMP, RETURN, disassembler
from pellucid.attach.code.functions import conduct_of, functions_around
from pellucid.attach.code.references import calls, jumps, second_arguments, texts_ending_with
from pellucid.attach.code.symbolic import Address, Argument, Constant, Load, Value
from pellucid.errors import PellucidError
from pellucid.model import ENCRYPTED_SIZE, LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pellucid.attach.code.x86 import Conduct
    from pellucid.attach.symbols import Elf, Symbol

_NAME = "ssl_log_secret"
_RSA_NAME = "ssl_log_rsa_client_key_exchange"
_RANDOM_SIZE = 32  # RFC 8446 section 4.1.2
_FEWEST_LABELS = 3  # that lead to one function; the compiler passes some of the nine on in other ways
_PASSED = tuple(label for label in LABELS if label != "RSA")
"""The labels that the function is called with."""
_LONGEST_TEXT = 256  # bytes
_BY_CHANCE = 1  # label that leads elsewhere; if there are more, what they lead to might log secrets as well
_NEAR = 48  # bytes from where a label is loaded to the call


class KeyLog(NamedTuple):
    """Where one file's key log is written."""

    function: Symbol
    """`ssl_log_secret`."""
    rsa: Symbol | None
    """`ssl_log_rsa_client_key_exchange`, where there is one."""
    random: Field
    """Where the objects that `function` is given keep the client random."""
    jump: int | None
    """Where it hands everything on to its inner function and does nothing else: the address of that jump, which the
    kernel emulates, while it has to single-step the `mov` that such a function begins with."""
    how: str
    """`symbols` where the file names the function, else `code`."""


def find_key_log(elf: Elf, functions: Mapping[str, Symbol]) -> KeyLog:
    """Where a file that has these functions of OpenSSL's interface hands out secrets.

    Raises `PellucidError` with the reason where that is not proven. Takes 30 ms for a library, seconds for a program
    of 200 MB.
    """
    if elf.machine != "x86_64":
        raise PellucidError(f"its key log is not looked for on {elf.machine}")
    named = elf.symbols([_NAME, _RSA_NAME])
    function = named.get(_NAME) or _called_with_labels(elf)
    does = conduct_of(elf, function, loops=True)
    if does is None:
        raise _refusal(f"what {_NAME} does cannot be followed")
    inner = _inner(does)
    return KeyLog(
        function._replace(name=_NAME),
        named.get(_RSA_NAME) or (None if inner is None else _rsa(elf, inner)),
        _random(elf, functions, does),
        None if inner is None else _jump(elf, function, inner),
        "symbols" if _NAME in named else "code",
    )


def _refusal(why: str) -> PellucidError:
    return PellucidError(f"no secrets can be had: {why}")


# --- the function ------------------------------------------------------------------------------------


def _called_with_labels(elf: Elf) -> Symbol:
    """The function that code calls after it has loaded a label."""
    votes: dict[int, set[str]] = defaultdict(set)
    labels = _labels(elf)
    for place, target in second_arguments(elf, sorted(labels)):
        callee = _called_next(elf, place)
        if callee is not None:
            votes[callee].add(labels[target])
    if not votes:
        raise _refusal("it writes no key log, or not as OpenSSL and BoringSSL do")
    first, *others = sorted(votes, key=lambda callee: -len(votes[callee]))
    most, next_most = len(votes[first]), len(votes[others[0]]) if others else 0
    if most < _FEWEST_LABELS or next_most > _BY_CHANCE:
        raise _refusal(
            f"{most} and {next_most} labels of a key log lead to two functions, so neither is proven"
        )
    for found in functions_around(elf, [first]):
        if found.address == first:
            return found
    raise _refusal("where its key log is written no function begins")


def _labels(elf: Elf) -> dict[int, str]:
    """The labels, by where each lies; a linker may have made one the end of another text."""
    found: dict[int, str] = {}
    for start in texts_ending_with(elf, tuple(label.encode() for label in _PASSED)):
        text = elf.code(start, _LONGEST_TEXT).split(b"\0", 1)[0].decode(errors="replace")
        found |= {start + len(text) - len(label): label for label in _PASSED if text.endswith(label)}
    return found


def _called_next(elf: Elf, place: int) -> int | None:
    """Where the first call from here on leads."""
    for insn in disassembler(detail=True).disasm(elf.code(place, _NEAR), place):
        if CALL in insn.groups:
            callee = _leads_to(insn)
            return callee if callee is not None and elf.executable(callee) else None
        if insn.mnemonic == "jmp":
            return None  # what follows is reached from elsewhere
    return None


# --- what it does ------------------------------------------------------------------------------------


def _inner(does: Conduct) -> int | None:
    """OpenSSL's `nss_keylog_int`, which is handed everything; None where there is none."""
    found = {
        address
        for address, (label, ssl, _, size, secret, length) in does.calls
        if (label, ssl, size, secret, length)
        == (Argument(1), Argument(0), Constant(_RANDOM_SIZE), Argument(2), Argument(3))
    }
    return found.pop() if len(found) == 1 else None


def _jump(elf: Elf, function: Symbol, inner: int) -> int | None:
    """The jump to the inner function, if no other way leads through this one."""
    for insn in disassembler(detail=True).disasm(elf.code(function.address, function.size), function.address):
        if JUMP in insn.groups:
            return int(insn.address) if insn.mnemonic == "jmp" and _leads_to(insn) == inner else None
        if CALL in insn.groups or RETURN in insn.groups:
            return None
    return None


def _leads_to(insn: Any) -> int | None:
    """Where a call or jump leads; None where that is known at run time only."""
    operand = insn.operands[0]
    return int(operand.imm) if operand.type == IMMEDIATE else None


def _rsa(elf: Elf, inner: int) -> Symbol | None:
    """The function that hands a premaster secret and the beginning of its encryption to the same inner one."""
    wanted = Argument(0), Argument(1), Constant(ENCRYPTED_SIZE), Argument(3), Argument(4)
    found = [
        symbol
        for symbol in functions_around(elf, [*calls(elf, inner), *jumps(elf, inner)])
        for address, (label, *rest) in _calls(elf, symbol)
        if address == inner and tuple(rest) == wanted and _is_text(elf, label, b"RSA\0")
    ]
    return found[0] if len(found) == 1 else None


def _calls(elf: Elf, symbol: Symbol) -> Iterator[tuple[int | None, tuple[Value, ...]]]:
    does = conduct_of(elf, symbol)
    return iter(does.calls if does else ())


def _is_text(elf: Elf, value: Value, text: bytes) -> bool:
    return isinstance(value, Constant) and elf.code(value.number, len(text)) == text


# --- the client random -------------------------------------------------------------------------------


def _random(elf: Elf, functions: Mapping[str, Symbol], does: Conduct) -> Field:
    """Where the client random lies, by the function's own code and by the accessor; both where there are both."""
    own = _own_random(does)
    told = find_accessors(elf, {**functions, **elf.symbols(FUNCTIONS)}).fields.get("client_random", ())
    if own is None and len(told) != 1:
        raise _refusal("its code does not tell where the client random lies")
    if own is not None and told and told != (own,):
        raise _refusal("its code tells two places for the client random")
    return own or told[0]


def _own_random(does: Conduct) -> Field | None:
    """The only 32 bytes behind `ssl` that the function hands on by address and size, or reads byte by byte."""
    handed_on = {
        place
        for _, arguments in does.calls
        for place, size in pairwise(arguments)
        if size == Constant(_RANDOM_SIZE) and isinstance(place, Address)
    }
    for places in (handed_on, does.bytes):
        paths = {path for place in places if (path := _path(place)) is not None}
        behind = {path[:-1] for path in paths}
        if paths and len(behind) == 1 and max(paths)[-1] - min(paths)[-1] < _RANDOM_SIZE:
            return Field(min(paths), _RANDOM_SIZE, (1 << 8 * _RANDOM_SIZE) - 1)
    return None


def _path(place: Address) -> tuple[int, ...] | None:
    """The way from `ssl` to a place, as in `Field.path`; None for a place that is not behind `ssl`."""
    path: tuple[int, ...] = (place.offset,)
    base: Value = place.base
    while isinstance(base, Load):
        path, base = (base.offset, *path), base.base
    return path if base == Argument(0) else None
