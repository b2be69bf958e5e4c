"""What is shown of a connection when no protocol is known: who, where, and the bytes themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from pellucid.model import Chunk, Connection, ConnectionEvent, Direction, Gap, Lost, RawData
from pellucid.parse.text import readable
from pellucid.parse.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

DIRECTIONS = {Direction.READ: "read", Direction.WRITE: "write"}


class Who(TypedDict):
    """The fields that every message of a connection shares (`model.OnConnection`)."""

    pid: int
    tid: int
    uid: int
    comm: str
    executable: str | None
    container: str | None
    library: str
    conn: int
    src: str | None
    dst: str | None
    role: str | None


def who(connection: Connection) -> Who:
    """Fill in those fields; a server's client is at the remote end, and that is where `src` is."""
    src, dst = connection.local, connection.remote
    if connection.role == "server":
        src, dst = dst, src
    return {
        "pid": connection.pid,
        "tid": connection.tid,
        "uid": connection.uid,
        "comm": connection.comm,
        "executable": connection.program.executable,
        "container": connection.program.container,
        "library": connection.library,
        "conn": connection.id,
        "src": src,
        "dst": dst,
        "role": connection.role,
    }


def raw_data(chunk: Chunk) -> RawData:
    """Show a chunk's bytes as they are."""
    text, encoding = readable(chunk.data)
    return RawData(
        ts=rfc3339(chunk.time),
        direction=DIRECTIONS[chunk.direction],
        offset=chunk.offset,
        size=len(chunk.data),
        data=text,
        encoding=encoding,
        **who(chunk.connection),
    )


def raw_all(chunks: Iterable[Chunk]) -> list[RawData]:
    """Show each chunk that has bytes."""
    return [raw_data(chunk) for chunk in chunks if chunk.data]


def lost(gap: Gap) -> Lost:
    """Say which bytes are missing, and why."""
    return Lost(
        ts=rfc3339(gap.time),
        conn=gap.connection.id,
        direction=DIRECTIONS[gap.direction],
        offset=gap.offset,
        size=gap.size,
        reason=gap.reason,
    )


def connection_event(connection: Connection, time: int, event: str) -> ConnectionEvent:
    """Say that a connection was `opened` or `closed` at `time`."""
    start, session = connection.program.start, connection.session
    return ConnectionEvent(
        ts=rfc3339(time),
        event=event,
        started="mid" if connection.mid else "new",
        path=connection.path,
        process_start=None if start is None else rfc3339(start),
        tls=session.version,
        cipher=session.cipher,
        server_name=session.server_name,
        alpn=session.alpn,
        **who(connection),
    )
