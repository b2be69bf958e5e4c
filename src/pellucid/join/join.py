"""The join stage: what the kernel and the tracer say becomes connections, chunks and gaps."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from pellucid.container import container_id
from pellucid.errors import FormatError
from pellucid.join.addresses import endpoint
from pellucid.join.established import Objects
from pellucid.join.processes import path_of
from pellucid.join.runs import Runs
from pellucid.join.sessions import session_of
from pellucid.join.shells import Shells
from pellucid.model import (
    LABELS,
    LOSS_REASONS,
    ROLES,
    TEXTS,
    Chunk,
    Clock,
    Close,
    Closed,
    Command,
    Connection,
    Context,
    Data,
    Direction,
    Drops,
    End,
    Established,
    Finished,
    Flow,
    Gap,
    Gone,
    Interface,
    Interfaces,
    Keyed,
    Left,
    Line,
    Logged,
    Login,
    Logins,
    Missed,
    Offsets,
    Open,
    Opened,
    Process,
    Program,
    Prompted,
    Ran,
    Record,
    Secret,
    Target,
    Totals,
    Typed,
    Users,
    Words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T = TypeVar("T")

NO_REASON = "ring_full"
"""A hole that no record explains: the kernel had no room to say anything."""

NOBODY = Program()
"""A process that the kernel had no room to introduce."""

MOST_HELD = 8 << 20
"""Bytes for commands of shells that have not ended, where nobody says how many."""

_HUNDREDTH = 10_000_000
"""Nanoseconds: proc(5) tells when a process began in units of USER_HZ, which is 100 everywhere."""

_DIRECTIONS = (Direction.READ, Direction.WRITE)


class _Stream:
    """A connection and how far each of its directions has come, in bytes."""

    __slots__ = ("connection", "expected")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.expected = [0, 0]


class Join:
    """Call it with each record and context in the order of the envelopes; it yields what follows from it.

    Commands of shells that have not ended take `held` bytes at the most: those that connections have, for where there are
    shells there are no connections.
    """

    def __init__(self, held: int = MOST_HELD) -> None:
        self._streams: dict[int, _Stream] = {}
        self._targets: dict[int, Target] = {}
        self._programs: dict[int, Program] = {}
        self._logins: dict[tuple[int, int], Login] = {}
        self._shells = Shells(held // 2)
        self._objects = Objects()
        self._older: Counter[str] = Counter()
        self._left_out: dict[str, int] | None = None
        self._runs = Runs(self._shells.user, held // 2)
        self._drops = Drops(seen_bytes=0, lost={})
        self._stray = 0
        self._bytes = 0
        self._last = 0
        self._ended = False
        self._boot_to_wall = 0
        self._began: int | None = None
        self._handlers: dict[type, Callable[[Any], Iterable[Flow]]] = {
            Data: self._data,
            Process: self._process,
            Gone: self._gone,
            Opened: self._opened,
            Missed: self._missed,
            Closed: self._closed,
            Prompted: lambda record: self._commands(self._shells.prompted(record)),
            Line: lambda record: self._commands(self._shells.line(record)),
            Typed: lambda record: self._commands(self._shells.typed(record)),
            Secret: self._logged,
            Established: self._established,
            Left: lambda record: self._commands(chain(self._runs.left(record), self._shells.left(record))),
            Ran: lambda record: self._commands(self._runs.ran(record)),
            Words: self._words,
            Finished: lambda record: self._commands(self._runs.finished(record)),
            Logins: self._set_logins,
            Users: lambda users: self._commands(self._shells.users(users)),
            Clock: self._clock,
            Target: self._target,
            Drops: self._set_drops,
            Offsets: self._offsets,
            End: self._end,
            Keyed: _of_packets,
            Interface: _of_packets,
            Interfaces: self._interfaces,
        }

    def __call__(self, value: Record | Context) -> Iterable[Flow]:
        """What follows from one record or context."""
        return self._handlers[type(value)](value)

    def _data(self, record: Data) -> Iterable[Flow]:
        boot, connection, offset, _, way, data = record  # unpacked, and no calls: this is the hot path
        stream = self._streams.get(connection)
        if stream is None:
            self._stray += len(data)
            return ()
        self._bytes += len(data)
        self._last = boot
        time = boot + self._boot_to_wall
        try:
            direction = _DIRECTIONS[way]
        except IndexError:
            raise _nonsense("direction", way) from None
        expected = stream.expected[way]
        stream.expected[way] = offset + len(data)
        chunk = Chunk(stream.connection, direction, offset, time, data)
        if offset > expected:
            return (Gap(stream.connection, direction, expected, time, offset - expected, NO_REASON), chunk)
        return (chunk,)

    def _process(self, record: Process) -> Iterator[Flow]:
        names, end = record.names, record.executable
        container = container_id(path_of(names[end:]) or "/")
        self._programs[record.pid] = Program(
            path_of(names[:end]), container, record.start + self._boot_to_wall
        )
        return iter(())

    def _gone(self, record: Gone) -> Iterator[Flow]:
        self._programs.pop(record.pid, None)
        return iter(())

    def _opened(self, record: Opened) -> Iterator[Flow]:
        stream = self._streams.get(record.connection)
        connection = stream.connection if stream else self._new_connection(record)
        connection.local = endpoint(record.family, record.local, record.local_port)
        connection.remote = endpoint(record.family, record.remote, record.remote_port)
        connection.role = _known(ROLES, record.role, "role") or connection.role
        connection.session = session_of(record)
        if stream is None:
            self._streams[record.connection] = _Stream(connection)
            yield Open(connection, record.time + self._boot_to_wall)

    def _new_connection(self, record: Opened) -> Connection:
        target = self._targets.get(record.target)
        connection = Connection(
            record.connection,
            pid=record.pid,
            tid=record.tid,
            uid=record.uid,
            comm=record.comm.split(b"\0", 1)[0].decode(errors="replace"),
            library=target.library if target else "",
            mid=bool(record.mid),
        )
        connection.path = target.path if target else ""
        connection.role = target.role if target else None
        connection.program = program = self._programs.get(record.pid, NOBODY)
        if target and target.since and program.start:
            connection.mid = program.start < target.since + self._boot_to_wall
        if connection.mid and program.start:
            began = (program.start - self._boot_to_wall) // _HUNDREDTH
            connection.login = self._logins.get((record.pid, began))
        return connection

    def _missed(self, record: Missed) -> Iterator[Flow]:
        stream = self._streams.get(record.connection)
        if stream is None:
            return  # the kernel has counted it under its reason
        time = record.time + self._boot_to_wall
        direction = _known(_DIRECTIONS, record.direction, "direction")
        yield from self._hole(stream, direction, record.offset, time)
        end = record.offset + record.size
        yield from self._hole(stream, direction, end, time, _known(LOSS_REASONS, record.reason, "reason"))

    def _closed(self, record: Closed) -> Iterator[Flow]:
        stream = self._streams.pop(record.connection, None)
        if stream is not None:
            time = record.time + self._boot_to_wall
            yield from self._ends(stream, record.read, record.written, time)
            yield Close(stream.connection, time)

    def _ends(self, stream: _Stream, read: int, written: int, time: int) -> Iterator[Flow]:
        yield from self._hole(stream, Direction.READ, read, time)
        yield from self._hole(stream, Direction.WRITE, written, time)

    def _hole(
        self, stream: _Stream, direction: Direction, until: int, time: int, reason: str = NO_REASON
    ) -> Iterator[Flow]:
        start = stream.expected[direction]
        if until > start:
            stream.expected[direction] = until
            yield Gap(stream.connection, direction, start, time, until - start, reason)

    def _commands(self, commands: Iterable[Command]) -> Iterator[Flow]:
        """Commands of shells, by the wall clock."""
        for command in commands:
            ended = None if command.ended is None else command.ended + self._boot_to_wall
            yield command._replace(time=command.time + self._boot_to_wall, ended=ended)

    def _logged(self, record: Secret) -> Iterator[Flow]:
        """A secret from the kernel. Of an older connection it is the only one: the master secret."""
        if record.mid:
            self._older["read"] += 1
        return self._secret(record)

    def _established(self, record: Established) -> Iterator[Flow]:
        secrets = list(self._objects.secrets(record))
        self._older["read" if secrets else "unproven"] += 1
        for secret in secrets:
            yield from self._secret(secret)

    def _secret(self, record: Secret) -> Iterator[Flow]:
        self._bytes += len(record.bytes)
        target = self._targets.get(record.target)
        program = self._programs.get(record.pid, NOBODY)
        _known(LABELS, record.label, "label")
        yield Logged(record.time + self._boot_to_wall, record, program, target.library if target else "")

    def _words(self, record: Words) -> Iterator[Flow]:
        text = _known(TEXTS, record.text, "text")
        return self._commands(
            self._shells.expanded(record) if text == "expanded" else self._runs.words(record)
        )

    def _clock(self, clock: Clock) -> Iterator[Flow]:
        self._boot_to_wall = clock.wall - clock.boot
        self._last = clock.boot
        if self._began is None:
            self._began = clock.boot
        return iter(())

    def _target(self, target: Target) -> Iterator[Flow]:
        if target.watched:
            self._targets[target.id] = target
        else:
            self._targets.pop(target.id, None)
        return iter(())

    def _set_logins(self, logins: Logins) -> Iterator[Flow]:
        self._logins = {(login.pid, login.start): login for login in logins.known}
        return iter(())

    def _set_drops(self, drops: Drops) -> Iterator[Flow]:
        self._drops = drops
        return iter(())

    def _offsets(self, offsets: Offsets) -> Iterator[Flow]:
        time = offsets.boot + self._boot_to_wall
        for connection, read, written in offsets.connections:
            stream = self._streams.get(connection)
            if stream is None:
                continue
            yield from self._ends(stream, read, written, time)
            if offsets.closed:
                del self._streams[connection]
                yield Close(stream.connection, time)

    def _end(self, end: End) -> Iterator[Flow]:
        self._ended = True
        yield from self._commands(chain(self._runs.finish(), self._shells.finish()))
        boot = end.boot
        began = boot if self._began is None else self._began
        lost = {reason: size for reason, size in self._drops.lost.items() if size}
        if self._drops.untracked_calls:
            lost["untracked_calls"] = self._drops.untracked_calls
        if self._drops.unfollowed_forks:
            lost["unfollowed_forks"] = self._drops.unfollowed_forks
        if given_up := self._runs.given_up + self._shells.given_up:
            lost["unended_commands"] = given_up
        if self._stray:
            lost["unknown_connection"] = self._stray
        yield Totals(
            boot + self._boot_to_wall,
            round((boot - began) / 1e9, 3),
            len(self._targets),
            self._drops.seen_bytes or self._bytes,
            lost,
            end.complete,
            older=self._older_connections(),
            left_out=self._left_out,
        )

    def _interfaces(self, counts: Interfaces) -> Iterable[Flow]:
        self._left_out = counts.left_out
        return ()

    def _older_connections(self) -> dict[str, int] | None:
        """As in `Summary`."""
        unread = self._drops.unread_older
        if unread is None and not self._older:
            return None
        return {**self._older, "unread": unread or 0}

    def finish(self) -> Iterator[Flow]:
        """What is still to be said when the stream had begun and broke off without an `End`."""
        if not self._ended and self._began is not None:
            yield from self._end(End(self._last, complete=False))


def _of_packets(_value: object) -> Iterable[Flow]:
    """What goes with packets, which have a way of their own."""
    return ()


def _known(values: Sequence[T], index: int, what: str) -> T:
    """What an index of the kernel's stands for; FormatError where it stands for nothing: the stream is damaged."""
    try:
        return values[index]
    except IndexError:
        raise _nonsense(what, index) from None


def _nonsense(what: str, index: int) -> FormatError:
    return FormatError(f"a record has the {what} {index}, which does not exist")
