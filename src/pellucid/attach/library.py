"""What Pellucid has to know of a library with plain read and write calls: names and positions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pellucid.attach.sites import Call
    from pellucid.attach.symbols import Elf, Symbol
    from pellucid.model import Logins

    Finder = Callable[[Elf], dict[str, Symbol]]
    """Finds functions by code in a file that does not name them; by name. Raises `PellucidError` with the
    reason where they are not proven."""


class Seal(NamedTuple):
    """A function that turns a connection to TLS or the like."""

    name: str
    handle: int = 0
    """Which argument is the connection's object."""


@dataclass(frozen=True)
class Plain:
    """What is left to probe of servers whose plaintext is seen at their sockets (bpf/plain.h)."""

    calls: tuple[Call, ...]
    """What encrypts and decrypts."""
    seals: tuple[Seal, ...]
    """The first one must be there; the others need not."""
    callers: Mapping[str, str] = field(default_factory=dict)
    """Which function each of these is called by in every build, unless the compiler has inlined it there."""

    @property
    def required(self) -> tuple[str, ...]:
        """Functions without which a file's calls have to be probed."""
        return (self.seals[0].name, *(call.required for call in self.calls))

    @property
    def functions(self) -> tuple[str, ...]:
        """Every function that a probe may go to, and those that call them."""
        called = tuple(function.name for call in self.calls for function in call.functions)
        return called + tuple(seal.name for seal in self.seals) + tuple(self.callers.values())


@dataclass(frozen=True)
class Library:
    """A family of libraries, served by plaintext.bpf.c. Functions that a file lacks are left out."""

    name: str
    title: str
    """As people call it."""
    calls: tuple[Call, ...]
    """What reads and writes."""
    needs: tuple[str, ...] = ()
    """Functions that must be there besides."""
    created: tuple[str, ...] = ()
    """Functions that return a new connection object."""
    freed: tuple[str, ...] = ()
    """Functions that give back a reference to the object in their first argument; the last one ends it."""
    sendfile: tuple[str, ...] = ()
    """Functions (object, descriptor, offset, size, ...) that have the kernel send a file, and return how many
    bytes: these are in no memory of the program, so they are counted as lost."""
    shared: tuple[str, ...] = ()
    """Functions that take one more reference to the object in their first argument."""
    reset: tuple[str, ...] = ()
    """Functions that make the object in their first argument ready for another connection."""
    socket: tuple[str, ...] = ()
    """Functions that tell the object in their first argument its file descriptor, the second."""
    made: tuple[str, ...] = ()
    """Functions that return a new connection object for the file descriptor that is their first argument."""
    seals: tuple[Seal, ...] = ()
    """Functions after which what goes through the socket is no plaintext."""
    starts: bool = False
    """Whether a probe tells of each process that begins to run the file."""
    plain: Plain | None = None
    """For servers: what to probe instead where their plaintext is seen at their sockets."""
    unseen: tuple[str, ...] = ()
    """Functions that send or receive in a way that no probe sees: to be told, not probed."""
    masks: tuple[str, ...] = ()
    """Functions of other families: a file that needs one wears this family's names, and hands on what they take."""
    telltales: tuple[bytes, ...] = ()
    """Text one of which is in the constants (.rodata) of every file that carries this family's code."""
    finders: tuple[Finder, ...] = ()
    """Tried in this order on a file that has a telltale, but not the names."""
    spellings: Mapping[str, str] = field(default_factory=dict)
    """Other symbols of the same functions, such as what a C++ compiler makes of them; to the name used here."""
    own_process: bool = False
    """Whether each connection has a process of its own, forked for it: one that has begun after the probes has no
    connection that is older than they are."""
    role: str | None = None
    """`server` where only servers have these functions; None where the connection, or what is said on it, has to tell."""
    handshakes: bool = True
    """Whether its connection objects tell of a TLS handshake, by which addresses can be found (bpf/hello.h)."""
    logins: Callable[[], Logins] | None = None
    """Tells who is in sessions that are older than the probes, where that can be known."""
    advice: str = ""
    """What to try with a file that names none of its functions."""

    @property
    def required(self) -> tuple[str, ...]:
        """Functions without which a file cannot be watched."""
        return self.needs + tuple(call.required for call in self.calls)

    @property
    def functions(self) -> tuple[str, ...]:
        """Every function that a probe may go to."""
        called = tuple(function.name for call in self.calls for function in call.functions)
        return (
            self.needs
            + called
            + self.sendfile
            + self.created
            + self.freed
            + self.shared
            + self.reset
            + self.socket
            + (self.plain.functions if self.plain else ())
        )
