"""What parse hands to the sinks: what a person sees.

The attribute order is the order in the JSON line. Text is `str`; bytes that are not UTF-8 stay
`bytes` (base64 in JSON) and the message says `encoding: "base64"`.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

Text = str | bytes


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
    """A connection was opened or closed. `opened` is told when its first bytes have told who is the client; `ts` is
    when it was opened.
    """

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
    messages: int | UnsetType = UNSET
    """With `place_full`: how many messages are missing; `size` is then their size in this output."""
    reason: str
    """`ring_full`, `map_full`, `unreadable`, `over_limit`, or `sendfile` for a file that the kernel itself has sent;
    `undecided` (see `summary`) before the bytes of a connection whose addresses became known late;
    `unknown_connection` is in the summary only. `place_full`: the reader of this output alone was too slow."""


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
    what does not count bytes is called by its unit. Of shells `ring_full_records`, `unreadable_records` and
    `over_limit_records`: each a line, a list of words, a part of either that is long, or an end; `unended_commands`: commands
    that there was no room to wait for, `unknown` for that. Of all `untracked_calls` and `unfollowed_forks`. Empty when nothing
    was lost."""
    targets: int
    """Files that were watched."""
    seconds: float
    """From the beginning of the capture to its end."""
    complete: bool = True
    """False when the stream broke off: a recording at its limit or cut short, a tracer that was killed."""
    undecided: int | UnsetType = UNSET
    """Connections with bytes lost as `undecided`; absent without `--port` and `--host`."""
    left_out: dict[str, int] | UnsetType = UNSET
    """With `-m pcap` and a filter for processes, packets that were left out because whose they are is not known:
    `unowned` are those that no process here is known to have a socket for (ARP, forwarded packets ...),
    `without_first` fragments of datagrams whose first did not pass before them."""
    older: dict[str, int] | UnsetType = UNSET
    """In a key log, connections that are older than the capture, each end by itself: `read` are those whose secrets
    are in it; of `unproven` the secrets were not found where the library keeps them; `unread` are at most so many of
    which nothing was read or written in time (connected sockets count, of which not all carry TLS)."""
