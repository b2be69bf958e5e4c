"""Where to put the probes of a library's read and write calls: the cheapest place that misses nothing.

A TLS library has several public calls that read, and often other code that reads without them: OpenSSL's
`SSL_read(ssl, buf, num)` and `SSL_read_ex(ssl, buf, num, &readbytes)` both call `ssl_read_internal(ssl,
buf, num, &readbytes)`, and so does its own BIO (`openssl s_server -www`). A probe there sees every read
once. That function has no symbol; it is found, and proven, by what the public calls hand it. Where no
proof is found the public calls themselves are taken, and the site says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.attach.code.emulation import cheap_entry
from pellucid.attach.code.registers import ARGUMENTS
from pellucid.attach.code.symbolic import Argument, Stack, Value
from pellucid.attach.code.x86 import Callee, Conduct, OpaqueError, callees, conduct
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pellucid.attach.symbols import Elf, Symbol
    from pellucid.model import Direction


@dataclass(frozen=True)
class Function:
    """A public function of a library that reads or writes."""

    name: str
    count: int | None = None
    """The argument that points to where the number of bytes moved is stored (a size_t); None where
    that number is the return value."""


@dataclass(frozen=True)
class Call:
    """One operation of a library, and all public functions that do it. Positions count from 0."""

    direction: Direction
    functions: tuple[Function, ...]
    """The first one must be there; the others need not."""
    handle: int = 0
    """The argument that is the connection, such as the `SSL *`."""
    buffer: int = 1
    size: int = 2

    @property
    def required(self) -> str:
        """The name of the function that must be there."""
        return self.functions[0].name


@dataclass(frozen=True)
class Site:
    """Where to put an entry and a return probe, and where to find the call's arguments there."""

    symbol: str
    """For a person: the function, or the public function it was found through and its address."""
    offset: int
    """In the file, in bytes: what a uprobe takes."""
    direction: Direction
    handle: int
    buffer: int
    size: int
    count: int | None
    """As `Function.count`. A return value above 0 means success in either case."""
    kind: str
    """`inner`: the function behind all public ones; `entry`: a public function."""
    emulated: bool
    """Whether the kernel emulates the instruction there (0.9 us a hit) or must step it (7 us)."""
    reason: str = ""
    """Why this is a public function, and not the inner one."""


Public = dict[Function, "Symbol"]


def find_calls(
    elf: Elf, calls: Sequence[Call], functions: Mapping[str, Symbol], *, entry_only: bool = False
) -> list[Site]:
    """Sites that see each of `calls` exactly once; one for a call (`inner`), or one a public function.

    `functions` are those that the file has, by name, however they were found. Raises `PellucidError` where
    one is not among them that must be there.
    """
    return [
        site
        for call in calls
        for site in _find_call(elf, call, _present(elf, call, functions), entry_only=entry_only)
    ]


def _find_call(elf: Elf, call: Call, present: Public, *, entry_only: bool) -> list[Site]:
    does = {function: _conduct(elf, symbol) for function, symbol in present.items()}
    public = _without_delegates(present, does)
    if entry_only:
        return _entry_sites(elf, call, public, "only public functions were asked for")
    try:
        return [_inner_site(elf, call, {function: _reached(does[function]) for function in public})]
    except OpaqueError as opaque:
        return _entry_sites(elf, call, public, str(opaque))


def _present(elf: Elf, call: Call, functions: Mapping[str, Symbol]) -> Public:
    if call.required not in functions:
        raise PellucidError(f"{elf.path} has no function {call.required}")
    return {function: functions[function.name] for function in call.functions if function.name in functions}


def _conduct(elf: Elf, symbol: Symbol) -> Conduct | OpaqueError:
    if elf.machine != "x86_64":
        return OpaqueError(f"inner functions are not looked for on {elf.machine}")
    try:
        return conduct(elf, symbol)
    except OpaqueError as opaque:
        return opaque


def _without_delegates(present: Public, does: dict[Function, Conduct | OpaqueError]) -> Public:
    """The public functions, without those that leave the work to another one and would count twice."""
    addresses = {symbol.address for symbol in present.values()}
    return {
        function: symbol
        for function, symbol in present.items()
        if not _calls_any(does[function], addresses - {symbol.address})
    }


def _calls_any(does: Conduct | OpaqueError, addresses: set[int]) -> bool:
    """Whether the function calls one of these, be there other calls of which nobody knows where they lead."""
    return isinstance(does, Conduct) and any(address in addresses for address, _ in does.calls)


def _reached(does: Conduct | OpaqueError) -> list[Callee]:
    if isinstance(does, OpaqueError):
        raise does
    return callees(does)


def _inner_site(elf: Elf, call: Call, known: dict[Function, list[Callee]]) -> Site:
    """The one function that all public ones call with the same arguments.

    Each must hand on its handle, buffer and size, always; and in one further place the pointer it was
    given for the count, or, if it returns the count, the address of a local variable of its own.
    """
    if len(known) == 1:
        raise OpaqueError(f"{call.required} has no sibling that its inner function could be proven by")
    shared = set.intersection(*({callee.address for callee in found} for found in known.values()))
    proven = [
        (address, count)
        for address in sorted(shared)
        for count in range(len(ARGUMENTS))
        if elf.executable(address) and _hands_on(call, known, address, count)
    ]
    if len(proven) != 1:
        names = ", ".join(function.name for function in known)
        raise OpaqueError(
            f"{len(proven)} functions, not one, are called by all of {names} with their arguments"
        )
    return _site(elf, call, *proven[0])


def _hands_on(call: Call, reached: dict[Function, list[Callee]], address: int, count: int) -> bool:
    """Whether every call to `address` passes on the caller's own arguments, with the count at `count`."""
    return all(
        _same_arguments(call, callee.arguments) and _is_count(function, callee.arguments[count])
        for function, found in reached.items()
        for callee in found
        if callee.address == address
    )


def _same_arguments(call: Call, arguments: tuple[Value, ...]) -> bool:
    # SSL_read's num is an int, which it widens: the lower half is all that can be asked of it.
    size = arguments[call.size]
    return (
        arguments[call.handle] == Argument(call.handle)
        and arguments[call.buffer] == Argument(call.buffer)
        and isinstance(size, Argument)
        and size.number == call.size
    )


def _is_count(function: Function, value: Value) -> bool:
    if function.count is None:
        return isinstance(value, Stack) and value.offset < 0
    return value == Argument(function.count)


def _site(elf: Elf, call: Call, address: int, count: int) -> Site:
    named = elf.function_at(address)
    symbol = named.name if named else f"{call.required}/{address:#x}"
    place, emulated = cheap_entry(elf, address)
    return Site(
        symbol,
        elf.offset(place),
        call.direction,
        call.handle,
        call.buffer,
        call.size,
        count,
        "inner",
        emulated,
    )


def _entry_sites(elf: Elf, call: Call, public: Public, reason: str) -> list[Site]:
    return [_entry_site(elf, call, function, symbol, reason) for function, symbol in public.items()]


def _entry_site(elf: Elf, call: Call, function: Function, symbol: Symbol, reason: str) -> Site:
    place, emulated = cheap_entry(elf, symbol.address)
    return Site(
        function.name,
        elf.offset(place),
        call.direction,
        call.handle,
        call.buffer,
        call.size,
        function.count,
        "entry",
        emulated,
        reason,
    )
