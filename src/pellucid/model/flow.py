"""What join hands to parse: ordered bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pellucid.model.context import Login
    from pellucid.model.records import Direction, Line, Ran, Secret


class Program(NamedTuple):
    """A process while it runs one executable."""

    executable: str | None = None
    """Its path, as its own mount namespace has it."""
    container: str | None = None
    """The container's id, where the name of its cgroup has one."""
    start: int | None = None
    """When the process began."""


class Session(NamedTuple):
    """What the library's object said of a TLS session; None is not known, or not there."""

    version: str | None = None
    """`TLSv1.3` for example."""
    cipher: str | None = None
    """The suite's IANA name."""
    server_name: str | None = None
    alpn: str | None = None


class Connection:
    """One TLS connection as one program sees it; shared by everything that happens on it."""

    __slots__ = (
        "comm", "id", "library", "local", "login", "mid", "path", "pid", "program", "remote", "role", "session", "tid",
        "uid",
    )  # fmt: skip

    def __init__(self, id: int, *, pid: int, tid: int, uid: int, comm: str, library: str, mid: bool) -> None:
        self.id = id
        self.pid = pid
        self.tid = tid
        self.uid = uid
        self.comm = comm
        self.library = library
        self.mid = mid
        """Older than the probe: its first bytes may be the middle of a message."""
        self.path = ""
        """The library's file, as a process that uses it names it."""
        self.program = Program()
        self.session = Session()
        self.local: str | None = None
        """`address:port`, IPv6 in brackets; None while it is not known, never a guess."""
        self.remote: str | None = None
        self.login: Login | None = None
        """Who is in it, where it is older than the probe and the server's process says so."""
        self.role: str | None = None
        """What the program is, `client` or `server`: as its library says, else as the parser finds out."""


class Open(NamedTuple):
    """A connection appears, before any of its bytes."""

    connection: Connection
    time: int


class Chunk(NamedTuple):
    """The next bytes of one direction: `offset` is where the last chunk or gap of it ended."""

    connection: Connection
    direction: Direction
    offset: int
    time: int
    data: bytes


class Gap(NamedTuple):
    """Bytes of one direction that are missing, exactly here."""

    connection: Connection
    direction: Direction
    offset: int
    time: int
    size: int
    reason: str


class Close(NamedTuple):
    """Nothing of this connection follows."""

    connection: Connection
    time: int


class Command(NamedTuple):
    """What somebody typed into a shell, one line or several, or what a shell has run, and what became of it."""

    time: int
    """When it was complete, so that it began to run."""
    line: Line | Ran
    """Its last line: who typed it, and where; `Ran` for what was run."""
    text: bytes
    """As it was typed, or as the source has it."""
    user: str | None
    """The name of that user."""
    status: int | None
    """None where the shell has not said."""
    ended: int | None
    """When it ended; None while it runs, or the shell has become another program."""
    how: str
    """As in `Shell.ended`."""
    truncated: bool
    typed: bytes | None = None
    """As it was typed, where history expansion has changed it."""
    argv: tuple[bytes, ...] = ()
    """Of what was run: its words after expansion."""
    script: bytes = b""
    """Of what was run: what the shell calls itself ($0)."""


class Logged(NamedTuple):
    """A secret of a TLS handshake."""

    time: int
    secret: Secret
    program: Program
    library: str


class Totals(NamedTuple):
    """The end of the stream, for the closing summary."""

    time: int
    seconds: float
    targets: int
    seen_bytes: int
    lost: dict[str, int]
    """By reason, in bytes; `untracked_calls` in calls, `unfollowed_forks` in forks, `unended_commands` in commands."""
    complete: bool = True
    """False when the stream broke off, as in `Summary`."""
    undecided: int | None = None
    """As in `Summary`; None where connections are not selected."""
    older: dict[str, int] | None = None
    """As in `Summary`; None where nobody has asked for them."""
    left_out: dict[str, int] | None = None
    """As in `Summary`; None where packets of all processes are meant."""


Flow = Open | Chunk | Gap | Close | Command | Logged | Totals
