"""Where a library keeps what is known of a connection, proven from its own public accessors.

`SSL_get_client_random(ssl, out, size)` copies the client random from somewhere behind `ssl`: its code says
from where, in every version and build. So each accessor is interpreted (`x86.py`), every way in which it can
end is looked at, and what it returns or stores is written as a path of pointers from the `SSL *`.

Three things make it end in more than one way, and are taken from the library's code as well:

- Since OpenSSL 3.2 an `SSL *` may be a QUIC object, and each accessor asks for its type first. Meant is the
  plain connection, whose type is 0 (`SSL_TYPE_SSL_CONNECTION`, ssl/ssl_local.h), and `object_type` says
  where the type lies: the paths hold only where it is 0.
- While the handshake goes on, things lie elsewhere. The paths hold when it is over: where `SSL_in_init`
  and its like return 0, as they are documented to.
- `SSL_get_servername` has more than one place to look: the connection, its session. Both are given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pellucid.attach.code.symbolic import Address, Argument, Bits, Constant, Load, Result, Value
from pellucid.attach.code.x86 import Condition, OpaqueError, Outcome, outcomes
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pellucid.attach.symbols import Elf, Symbol

Path = tuple[int, ...]
"""p = ssl; for each offset but the last: p = the pointer at p + offset; what is meant lies at p + the last."""

_LONGEST_PATH = 4
_FARTHEST = 1 << 16  # bytes; the largest object on the way, an `SSL_CONNECTION`, has about 8 KiB
_MOST_ANSWERS = 16  # of one function; the most known is 6, and a file may be made to waste our time
_SSL = Argument(0)


@dataclass(frozen=True)
class Field:
    """Where something lies, and how it is read. Integers are little endian."""

    path: Path
    size: int
    """In bytes: of the value itself, or of the pointer to it."""
    mask: int
    """The bits of an integer that count; of what is no integer all."""


@dataclass(frozen=True)
class Accessors:
    """What a file's accessors have told."""

    fields: dict[str, tuple[Field, ...]]
    """By name (see `WANTED`). Where there are several, the first pointer that is not null counts."""
    refused: dict[str, str]
    """Why the others are not known, by name."""


@dataclass(frozen=True)
class Wanted:
    """Something to look for, and the functions that tell it: the first one that the file has is asked."""

    functions: tuple[str, ...]
    size: int
    """In bytes, at most: what the function is declared to return, or a block of bytes."""
    out: int | None = None
    """The argument that it is stored through; None where it is the return value."""
    within: str | None = None
    """What the function is asked about, where that is not the connection itself."""
    truth: bool = False
    """Whether only zero or not zero is meant, so that one bit will do."""
    several: bool = False
    """Whether it may lie in more than one place."""


WANTED = {
    "is_server": Wanted(("SSL_is_server",), 4, truth=True),
    "version": Wanted(("SSL_version",), 4),
    "client_random": Wanted(("SSL_get_client_random",), 32, out=1),
    "server_random": Wanted(("SSL_get_server_random",), 32, out=1),
    "session": Wanted(("SSL_get_session",), 8),
    "master_key": Wanted(("SSL_SESSION_get_master_key",), 48, out=1, within="session"),
    "cipher_object": Wanted(("SSL_get_current_cipher",), 8),
    "cipher": Wanted(("SSL_CIPHER_get_protocol_id", "SSL_CIPHER_get_id"), 2, within="cipher_object"),
    "server_name": Wanted(("SSL_get_servername",), 8, several=True),
    "alpn": Wanted(("SSL_get0_alpn_selected",), 8, out=1),
    "alpn_length": Wanted(("SSL_get0_alpn_selected",), 4, out=2),
    "rbio": Wanted(("SSL_get_rbio",), 8),
    "wbio": Wanted(("SSL_get_wbio",), 8),
}
"""Pointers are `session`, `cipher_object`, `rbio`, `wbio` (objects), `server_name` (a string that ends with a
zero byte) and `alpn` (bytes, as many as `alpn_length` says). `cipher` is IANA's number of the cipher suite,
`version` the protocol's (RFC 8446 4.2.1), and `is_server` is not zero at the server's end. `master_key` is the master
secret of TLS 1.2 and before (RFC 5246 8.1); in TLS 1.3 something else lies there."""

# What returns true, or anything but null, only while the handshake goes on: SSL_in_init(3). BIO_next steps
# over the buffer that OpenSSL puts before the socket for the handshake (ssl_init_wbio_buffer).
_IN_HANDSHAKE = ("SSL_in_init", "SSL_in_before", "SSL_in_early_data", "BIO_next")
_PUBLIC = {name for wanted in WANTED.values() for name in wanted.functions} | set(_IN_HANDSHAKE)

FUNCTIONS = tuple(sorted(_PUBLIC))
"""The functions that `find_accessors` looks at."""


def find_accessors(elf: Elf, functions: Mapping[str, Symbol]) -> Accessors:
    """What the accessors among `functions` tell of where things lie.

    `object_type` (an integer) is among the fields where a library has several kinds of objects: the others
    hold only where it is 0. So is `handshake` (an integer or a pointer), which is not 0 while a handshake goes on,
    where SSL_in_init tells it by one word. Never raises: where the file is malformed, nothing is told, and why.
    """
    if elf.machine != "x86_64":
        return Accessors({}, dict.fromkeys(WANTED, f"accessors are not interpreted on {elf.machine}"))
    try:
        return _ask(_Reader(elf, functions))
    except (OpaqueError, PellucidError) as error:  # a damaged file's plaintext may be seen all the same
        return Accessors({}, dict.fromkeys(WANTED, str(error)))


def _ask(reader: _Reader) -> Accessors:
    fields = reader.begin()
    refused: dict[str, str] = {}
    for name, wanted in WANTED.items():
        try:
            fields[name] = reader.find(wanted)
        except OpaqueError as opaque:
            refused[name] = str(opaque)
    return Accessors(fields, refused)


class _Reader:
    """Asks the accessors of one file."""

    def __init__(self, elf: Elf, functions: Mapping[str, Symbol]) -> None:
        self._elf = elf
        self._functions = functions
        self._names = {symbol.address: name for name, symbol in functions.items() if name in _PUBLIC}
        self._outcomes: dict[str, list[Outcome]] = {}
        self._excluded = {Condition(_SSL, zero=True)}

    def begin(self) -> dict[str, tuple[Field, ...]]:
        """Learn what the paths rest on: that the object is a connection, and its handshake over."""
        types = self._types()
        if len(types) > 1:
            raise OpaqueError(f"SSL_is_server tests {len(types)} words of the object, not its type alone")
        self._excluded |= {Condition(type, zero=False) for type in types}
        over = self._over()
        self._excluded |= {Condition(value, not zero) for value, zero in over}
        found = tuple(field for type in types for field in self._fields(type))
        return ({"object_type": found} if found else {}) | self._handshake(over)

    def _handshake(self, over: frozenset[Condition]) -> dict[str, tuple[Field, ...]]:
        """The word that is not 0 while a handshake goes on: what SSL_in_init returns, or the pointer to its state."""
        told = self._told("SSL_in_init", None)
        states = told or {each.value for each in over if _says_null(frozenset({each}))}
        (state,) = states if len(states) == 1 else (None,)
        if not isinstance(state, Load) or state.size not in {4, 8}:
            return {}
        return {"handshake": tuple(self._fields(state))}

    def _over(self) -> frozenset[Condition]:
        """What holds when the handshake is over: what all ways share in which SSL_in_init can return 0.

        And where one of them is that a pointer is null: then there is no state of a handshake any more. (BoringSSL
        returns 0 earlier too, while that state is still there; the paths are not meant for that time.)
        """
        ways = [
            outcome.conditions
            for outcome in self._ends("SSL_in_init")
            if outcome.value == Constant(0) or not isinstance(outcome.value, Constant)
        ]
        shared = frozenset.intersection(*ways) if ways else frozenset()
        gone = {way - shared for way in ways if _says_null(way - shared)}
        return shared.union(*gone) if len(gone) == 1 else shared

    def find(self, wanted: Wanted) -> tuple[Field, ...]:
        """Where it lies, the shortest path first: what is the connection's own comes before what it shares
        with others, such as its session.
        """
        name = next((name for name in wanted.functions if name in self._functions), wanted.functions[0])
        objects = [field.path for field in self.find(WANTED[wanted.within])] if wanted.within else [()]
        found = {
            _within(path, _as_wanted(field, wanted, name))
            for value in self._told(name, wanted.out)
            for field in self._fields(value)
            for path in objects
        }
        if not found or (len(found) > 1 and not wanted.several):
            raise OpaqueError(f"what {name} tells lies in {len(found)} places, not one")
        return tuple(sorted(found, key=lambda field: (len(field.path), field.path)))

    def _types(self) -> list[Load]:
        """The word that is 0 whenever SSL_is_server looks into the object: its type, if it has one.

        That function is asked because it has no other reason to test anything.
        """
        looking = [
            outcome.conditions
            for outcome in self._ends("SSL_is_server")
            if isinstance(outcome.value, Load | Bits) and _base(outcome.value) == _SSL
        ]
        common = frozenset.intersection(*looking) if looking else frozenset()
        return [value for value, zero in common if zero and isinstance(value, Load) and value.size == 4]

    def _ends(self, name: str) -> list[Outcome]:
        """How a function ends when its object is a connection and no handshake goes on."""
        if name not in self._functions:
            raise OpaqueError(f"the file has no {name}")
        if name not in self._outcomes:
            self._outcomes[name] = outcomes(self._elf, self._functions[name])
        return [outcome for outcome in self._outcomes[name] if self._possible(outcome)]

    def _possible(self, outcome: Outcome) -> bool:
        values = [outcome.value, *(condition.value for condition in outcome.conditions)]
        return not (
            outcome.conditions & self._excluded
            or any(map(self._through_null, values))
            or self._of_handshake(outcome.value)
            or any(self._of_handshake(value) for value, zero in outcome.conditions if not zero)
        )

    def _through_null(self, value: Value) -> bool:
        """Whether somebody must have followed a pointer that is null."""
        if isinstance(value, Load | Address):
            return Condition(value.base, zero=False) in self._excluded or self._through_null(value.base)
        if isinstance(value, Bits):
            return self._through_null(value.source)
        return isinstance(value, Result) and self._through_null(value.argument)

    def _of_handshake(self, value: Value) -> bool:
        """Whether this is the answer of a function that says 0 or null when the handshake is over."""
        return isinstance(value, Result) and self._name(value) in _IN_HANDSHAKE

    def _name(self, value: Result) -> str:
        """The function that returned this."""
        return (
            value.target
            if isinstance(value.target, str)
            else self._names.get(value.target, hex(value.target))
        )

    def _told(self, name: str, out: int | None) -> set[Value]:
        """All that a function may return, or store through its argument `out`; no constants."""
        place = None if out is None else Address(Argument(out), 0)
        told = {
            outcome.value if place is None else outcome.stored[place]
            for outcome in self._ends(name)
            if place is None or place in outcome.stored
        }
        if len(told) > _MOST_ANSWERS:
            raise OpaqueError(f"{name} can tell {len(told)} different things")
        return {value for value in told if not isinstance(value, Constant)}

    def _fields(self, value: Value, deeper: int = _LONGEST_PATH) -> Iterator[Field]:
        """Where a value was read from."""
        if isinstance(value, Load):
            for path in self._pointers(value.base, deeper):
                yield Field((*path, value.offset), value.size, _all(value.size))
        elif isinstance(value, Bits):
            for field in self._fields(value.source, deeper):
                yield replace(field, mask=value.mask)
        elif isinstance(value, Result) and value.argument == _SSL and deeper:
            for told in self._told(self._name(value), None):
                yield from self._fields(told, deeper - 1)
        else:
            raise OpaqueError("what it tells cannot be followed on every path")

    def _pointers(self, value: Value, deeper: int) -> Iterator[Path]:
        """The paths to where a pointer points."""
        if value == _SSL:
            yield ()
        else:
            yield from (field.path for field in self._fields(value, deeper))


def _says_null(conditions: frozenset[Condition]) -> bool:
    """Whether it is just that one pointer is null."""
    values = [value for value, zero in conditions if zero and isinstance(value, Load) and value.size == 8]
    return len(values) == len(conditions) == 1


def _base(value: Load | Bits) -> Value:
    return value.base if isinstance(value, Load) else value.source.base


def _all(size: int) -> int:
    """The mask of all bits of an integer."""
    return (1 << 8 * size) - 1


def _as_wanted(field: Field, wanted: Wanted, name: str) -> Field:
    """The field with the size that its accessor is declared to tell."""
    if wanted.size > 8:  # a block, of which only the beginning was followed
        return replace(field, size=wanted.size, mask=_all(wanted.size))
    if wanted.size == 8 != field.size:
        raise OpaqueError(f"{name} tells {field.size} bytes, and no pointer")
    size = min(field.size, wanted.size)
    bits = field.mask != _all(field.size)
    if bits and (not wanted.truth or field.mask > _all(size)):
        raise OpaqueError(f"{name} tells only some bits of a word")
    return replace(field, size=size, mask=field.mask & _all(size))


def _within(path: Path, field: Field) -> Field:
    """The field of an object that `path` leads to."""
    whole = *path, *field.path
    if len(whole) > _LONGEST_PATH or not all(0 <= offset < _FARTHEST for offset in whole):
        raise OpaqueError(f"the path {whole} is too long or leads too far")
    return replace(field, path=whole)
