"""The values that the stages hand to each other; the only module that every stage may import.

    capture --Envelope--> decode --Record, Context--> join --Flow, Context--> parse --Message--> sink

All times between the kernel and `join` are nanoseconds of the boot clock; from `join` on they are
nanoseconds of wall-clock time since 1970 (UTC), and messages carry them as RFC 3339 text.
"""

from __future__ import annotations

import enum
from typing import Annotated, NamedTuple

from msgspec import UNSET, Struct, UnsetType

# --- capture -> decode -----------------------------------------------------------------------------


class Kind(enum.IntEnum):
    """What an envelope carries; the values are part of the recording format."""

    OBJECT = 1
    """A BPF object's raw `.BTF` section: the types of its records, always before the first of them."""
    RECORD = 2
    """One record of the kernel, exactly as long as its `head.size`."""
    CONTEXT = 3
    """What only the tracer knows, as JSON: one of `Context`."""
    END = 4
    """The capture is over; empty. A recording without it was cut short."""


class Envelope(NamedTuple):
    """One item of the stream that a live capture and a recording share."""

    kind: Kind
    object: int
    """Which BPF object's types describe the payload; 0 where none does."""
    payload: bytes | memoryview


# --- decode -> join: what the kernel says ----------------------------------------------------------
#
# A record class is the Python half of the C struct with the same name in snake case. It declares the
# fields it uses in C order, with their C types; `decode.layout` compares that with the object's BTF
# and refuses a mismatch. No offset and no format string is written by hand.

u8 = Annotated[int, "u8"]
u16 = Annotated[int, "u16"]
u32 = Annotated[int, "u32"]
u64 = Annotated[int, "u64"]
Comm = Annotated[bytes, "char[16]"]
Address = Annotated[bytes, "u8[16]"]
Tail = Annotated[bytes, "u8[]"]
"""The variable end of a record: whatever follows the fixed fields, `head.size` long in all."""


class Direction(enum.IntEnum):
    """Which way bytes went, as the watched program sees it."""

    READ = 0
    WRITE = 1


class Process(NamedTuple):
    """Who a process is, before the first of its connections; again when it has become another program."""

    time: u64
    start: u64
    pid: u32
    executable: u16
    """Bytes of `names` that name the executable; the rest names the cgroup."""
    names: Tail
    """Parts of two paths, each last part first and ended by NUL."""


class Gone(NamedTuple):
    """A process has ended, or becomes another program: nothing more comes of it under this name."""

    time: u64
    pid: u32


class Opened(NamedTuple):
    """A connection was seen for the first time, or its addresses became known (same id again)."""

    time: u64
    connection: u64
    target: u32
    pid: u32
    tid: u32
    uid: u32
    family: u16
    """AF_INET, AF_INET6, or 0 while the socket is not known."""
    local_port: u16
    remote_port: u16
    version: u16
    """`ProtocolVersion` of RFC 8446 section 4.1.2 and before: 0x0304 is TLS 1.3; 0 where it is not known."""
    cipher: u16
    """IANA's number of the suite; 0 where it is not known."""
    role: u8
    """An index into `ROLES`."""
    mid: u8
    """1 when the connection is older than the probe."""
    local: Address
    """Network byte order; IPv4 uses the first four bytes."""
    remote: Address
    comm: Comm
    server_name: u16
    """Bytes of `names` that are the server's name (RFC 6066 section 3) and a NUL; 0 where it is not known."""
    names: Tail
    """The rest is the protocol that was agreed on (RFC 7301); empty where it is not known."""


class Data(NamedTuple):
    """Plaintext of one call, or one piece of a call that is longer than a record."""

    time: u64
    connection: u64
    offset: u64
    """Bytes of this direction before these, since the connection was opened."""
    tid: u32
    direction: u8
    bytes: Tail


class Missed(NamedTuple):
    """The kernel knows that bytes are missing, and why."""

    time: u64
    connection: u64
    offset: u64
    size: u64
    direction: u8
    reason: u8
    """An index into `LOSS_REASONS`."""


class Closed(NamedTuple):
    """The library freed or reset the connection, or its process ended."""

    time: u64
    connection: u64
    read: u64
    """All bytes ever read, seen or lost."""
    written: u64


Record = Process | Gone | Opened | Data | Missed | Closed
RECORDS: tuple[type[Record], ...] = (Process, Gone, Opened, Data, Missed, Closed)

ROLES = (None, "client", "server")
"""The order of `enum role` in bpf/connection.h."""

LOSS_REASONS = ("ring_full", "map_full", "unreadable", "over_limit", "sendfile")
"""Why the kernel could not hand over bytes: the order of `enum loss` in bpf/record.h."""


# --- context: what the tracer says -----------------------------------------------------------------


class Context(Struct, tag_field="context", tag=str.lower, frozen=True):
    """What only the privileged half can know; travels in CONTEXT envelopes as JSON."""


class Clock(Context, frozen=True):
    """The same instant on both clocks, in nanoseconds; sent at the start and after each step."""

    boot: int
    wall: int


class Target(Context, frozen=True, omit_defaults=True):
    """A library or executable that is being watched."""

    id: int
    library: str
    """What messages call it: the file's own name, such as `libssl.so.3`."""
    path: str
    site: str
    """Where its probes are, for a person: `inner` or `entry`."""
    watched: bool = True
    """False takes back what was said of it: it could not be attached to, so it has no records."""


class Drops(Context, frozen=True):
    """Totals of the kernel since the start: what was passed to the library, and what was lost."""

    seen_bytes: int
    lost: dict[str, int]
    """Bytes by reason (`LOSS_REASONS`)."""
    untracked_calls: int = 0
    """Calls that began while the kernel's map of threads was full: their bytes are not known."""
    unfollowed_forks: int = 0
    """Forks of a followed process while the map of these was full: what the child does is not seen."""


class Offsets(Context, frozen=True):
    """Where the streams of connections stand when nothing more comes of them, so that a last hole shows."""

    boot: int
    connections: list[tuple[int, int, int]]
    """(connection, bytes read, bytes written)."""
    closed: bool = False
    """They have ended, and the kernel had no room to say so; else the capture ends before them."""


class End(Context, frozen=True):
    """The capture stopped at this boot time; nothing of a connection follows."""

    boot: int
    complete: bool = True
    """False when the stream broke off here, and the capture had more."""


# --- join -> parse: ordered bytes ------------------------------------------------------------------


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
        "comm", "id", "library", "local", "mid", "path", "pid", "program", "remote", "role", "session", "tid",
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


class Totals(NamedTuple):
    """The end of the stream, for the closing summary."""

    time: int
    seconds: float
    targets: int
    seen_bytes: int
    lost: dict[str, int]
    """By reason, in bytes; `untracked_calls` in calls, `unfollowed_forks` in forks."""
    complete: bool = True
    """False when the stream broke off, as in `Summary`."""
    undecided: int | None = None
    """As in `Summary`; None where connections are not selected."""


Flow = Open | Chunk | Gap | Close | Totals


# --- parse -> sink: what a person sees -------------------------------------------------------------
#
# The attribute order is the order in the JSON line. Text is `str`; bytes that are not UTF-8 stay
# `bytes` (base64 in JSON) and the message says `encoding: "base64"`.

Text = str | bytes
Headers = list[tuple[str, str]]


class Message(Struct, tag_field="type", tag=str.lower, kw_only=True):
    """One line of output."""

    ts: str
    """RFC 3339 UTC with microseconds."""


class OnConnection(Message, kw_only=True):
    """A message that belongs to a connection: who, and where."""

    pid: int
    """Process, as the host counts them."""
    tid: int
    """The thread that made the connection's first call."""
    uid: int
    """The user that the process runs as."""
    comm: str
    """The kernel's name for the thread: at most 15 bytes."""
    executable: str | None
    """The program's file, as its own mount namespace names it."""
    container: str | None
    """Id of the container, where the name of the process's cgroup has one."""
    library: str
    """The file that was watched: its own name (soname)."""
    conn: int
    """The connection; never used again in one capture."""
    src: str | None
    """The client's end where the role is known by then, else the local end: `address:port` or null."""
    dst: str | None
    """The other end."""
    role: str | None
    """What the watched program is, `client` or `server`; null where the library does not say and no protocol has
    told yet."""


class Request(Struct, kw_only=True):
    """The request half of an exchange."""

    method: str
    """As sent: any token."""
    url: str
    """The request target as sent: usually path and query."""
    authority: str | None
    """The Host header, or the authority of an absolute target."""
    headers: Headers
    """In order, with their own case."""
    body: Text = ""
    """Content codings undone where that is possible within the limits; at most `--max-body` bytes,
    fewer where memory (`--memory`) ran short; `error` says so."""
    encoding: str | UnsetType = UNSET
    """`base64` where the bytes are not UTF-8."""
    size: int = 0
    """Bytes of the whole body as sent, after chunked framing is removed, before content codings."""
    sha256: str | UnsetType = UNSET
    """Hex digest of all `size` bytes; present when `body` does not hold them all."""
    trailers: Headers | UnsetType = UNSET
    """Fields after a chunked body."""


class Response(Struct, kw_only=True):
    """The response half of an exchange."""

    status: int
    """Three digits."""
    reason: str
    """The words behind it, often empty."""
    headers: Headers
    """In order, with their own case."""
    body: Text = ""
    """As for the request."""
    encoding: str | UnsetType = UNSET
    """`base64` where the bytes are not UTF-8."""
    size: int = 0
    """As for the request."""
    sha256: str | UnsetType = UNSET
    """As for the request."""
    trailers: Headers | UnsetType = UNSET
    """Fields after a chunked body."""


class Http(OnConnection, kw_only=True):
    """One HTTP exchange: `ts` is the beginning of its first half."""

    protocol: str
    """`HTTP/1.1` or `HTTP/1.0`."""
    stream: int | None = None
    """The stream of a protocol that has several on one connection."""
    request: Request | None
    """Null when the capture began between request and response, or the request was lost."""
    response: Response | None
    """Null when there was none before the connection or the capture ended."""
    duration_ms: float | None
    """First byte of the request to last byte of the response."""
    truncated: bool = False
    """A body is longer than what is shown."""
    error: str | None = None
    """What is wrong or missing, in words."""


class RawData(OnConnection, tag="data", kw_only=True):
    """Bytes that no parser claimed, in order."""

    direction: str
    """`read` or `write`."""
    offset: int
    """Bytes of this direction before these."""
    size: int
    """How many they are."""
    data: Text
    """The bytes."""
    encoding: str | UnsetType = UNSET
    """`base64` where the bytes are not UTF-8."""


class ConnectionEvent(OnConnection, tag="connection", kw_only=True):
    """A connection was opened or closed."""

    event: str
    """`opened` or `closed`."""
    started: str
    """`new`, or `mid` for a connection that is older than the probe."""
    path: str = ""
    """The library's file, as a process that used it names it: it tells versions of one `library` apart."""
    process_start: str | None = None
    """When the process began: with `pid` it names one process for ever."""
    tls: str | None = None
    """The protocol version, such as `TLSv1.3`; null, as the following, where the library's object cannot be read."""
    cipher: str | None = None
    """The cipher suite's IANA name, or its number where it is a rare one."""
    server_name: str | None = None
    """The name that the client asked for (SNI)."""
    alpn: str | None = None
    """The protocol that both agreed on, such as `h2`."""


class Lost(Message, kw_only=True):
    """Bytes that are missing at one place of one connection."""

    conn: int | None
    """Null where no connection is known; the following two as well."""
    direction: str | None
    """`read` or `write`."""
    offset: int | None
    """Where the hole begins in the stream of that direction."""
    size: int
    """Bytes that are missing."""
    reason: str
    """`ring_full`, `map_full`, `unreadable`, `over_limit`, or `sendfile` for a file that the kernel itself has sent;
    `undecided` (see `summary`) before the bytes of a connection whose addresses became known late;
    `unknown_connection` is in the summary only."""


class Summary(Message, kw_only=True):
    """The last line."""

    captured: dict[str, int]
    """Messages by type."""
    bytes: int
    """Plaintext bytes that watched programs passed to their libraries, on connections that are not known to be
    unwanted."""
    lost: dict[str, int]
    """Bytes by reason as in `lost`, or `unknown_connection`: those of connections whose opening was itself lost;
    `undecided`: those of connections whose addresses were not known in time for `--port` and `--host`;
    `untracked_calls` in calls, `unfollowed_forks` in forks. Empty when nothing was lost."""
    targets: int
    """Files that were watched."""
    seconds: float
    """From the beginning of the capture to its end."""
    complete: bool = True
    """False when the stream broke off: a recording at its limit or cut short, a tracer that was killed."""
    undecided: int | UnsetType = UNSET
    """Connections with bytes lost as `undecided`; absent without `--port` and `--host`."""
