"""What decode hands to join of the kernel's own words.

A record class is the Python half of the C struct with the same name in snake case. It declares the
fields it uses in C order, with their C types; `decode.layout` compares that with the object's BTF
and refuses a mismatch. No offset and no format string is written by hand.
"""

from __future__ import annotations

import enum
from typing import Annotated, NamedTuple

u8 = Annotated[int, "u8"]
u16 = Annotated[int, "u16"]
u32 = Annotated[int, "u32"]
u64 = Annotated[int, "u64"]
s32 = Annotated[int, "s32"]
Comm = Annotated[bytes, "char[16]"]
Terminal = Annotated[bytes, "char[64]"]
Address = Annotated[bytes, "u8[16]"]
Random = Annotated[bytes, "u8[32]"]
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


class Prompted(NamedTuple):
    """A shell asks for a line, so what it ran before has ended."""

    time: u64
    pid: u32
    status: s32
    """Of the last command."""
    more: u8
    """1 where the line is to continue a command that is not complete: then nothing has ended."""


class Line(NamedTuple):
    """A line was typed into a shell; `Typed` with its text follows, if it has any."""

    time: u64
    pid: u32
    ppid: u32
    uid: u32
    shell: u8
    """An index into `SHELLS`."""
    kind: u8
    """An index into `LINES`."""
    comm: Comm
    tty: Terminal
    directory: Tail
    """The working directory, as the shell calls it."""


class Typed(NamedTuple):
    """Text of the last line, or a piece of it."""

    time: u64
    pid: u32
    offset: u32
    """Bytes of the line before these."""
    last: u8
    """1 in the last piece."""
    bytes: Tail


class Left(NamedTuple):
    """A shell that was seen has ended, or its process runs another program."""

    time: u64
    pid: u32
    status: s32
    """As wait(2) has it."""
    replaced: u8
    """1 after exec."""


class Secret(NamedTuple):
    """A secret of a TLS handshake: one line of a key log."""

    time: u64
    object: u64
    """The library's connection object: its address in the process."""
    target: u32
    pid: u32
    tid: u32
    uid: u32
    label: u8
    """An index into `LABELS`."""
    mid: u8
    """1 where it was read from a connection that is older than the probe."""
    comm: Comm
    random: Random
    """The client's; of `RSA` the first 8 bytes of the encrypted premaster secret, and zeros."""
    bytes: Tail


class Established(NamedTuple):
    """The library's object of a TLS 1.3 connection that is older than the probe: what its secrets are found in."""

    time: u64
    object: u64
    """Its address in the process."""
    target: u32
    pid: u32
    tid: u32
    uid: u32
    cipher: u16
    """IANA's number of the suite."""
    comm: Comm
    random: Random
    """The client's."""
    bytes: Tail
    """Its memory, from its beginning on; empty where the secrets cannot be there."""


class Ran(NamedTuple):
    """A shell runs a command; `Words` with its texts follow."""

    time: u64
    sp: u64
    """Its place on the stack: what it contains lies below."""
    start: u64
    """When the process began, in nanoseconds since boot: another may have its number later."""
    pid: u32
    ppid: u32
    uid: u32
    depth: u32
    """Functions and subshells around it."""
    lineno: s32
    """In its source; 0 where it is not known."""
    shell: u8
    """An index into `SHELLS`."""
    waits: u8
    """1 where it begins when the words of a program come, if they do."""
    script_at: u16
    """Where in `directory` begins what is run ($0); 0 where it comes as a text."""
    comm: Comm
    tty: Terminal
    directory: Tail
    """The working directory, as the shell calls it, and with `script_at` what is run."""


class Words(NamedTuple):
    """A text of the process's last command, or a piece of it."""

    time: u64
    sp: u64
    """As in the `Ran` that it belongs to; 0 for a line and for a program."""
    pid: u32
    text: u8
    """An index into `TEXTS`."""
    open: u8
    """1 where the last word goes on in the next piece, or was lost."""
    last: u8
    """1 in the last piece."""
    bytes: Tail
    """Words, each ended by NUL but for one that goes on."""


class Finished(NamedTuple):
    """All commands of the process that lie below have ended."""

    time: u64
    sp: u64
    pid: u32
    status: s32


class Keyed(NamedTuple):
    """The secrets of a flow have all been seen, and come before this: its packets wait no longer."""

    time: u64
    flow: u64


Record = (
    Process
    | Gone
    | Opened
    | Data
    | Missed
    | Closed
    | Prompted
    | Line
    | Typed
    | Left
    | Ran
    | Words
    | Finished
    | Secret
    | Established
    | Keyed
)
RECORDS: tuple[type[Record], ...] = (
    Process, Gone, Opened, Data, Missed, Closed, Prompted, Line, Typed, Left, Ran, Words, Finished, Secret, Established, Keyed,
)  # fmt: skip

LABELS = (
    "CLIENT_RANDOM",
    "CLIENT_EARLY_TRAFFIC_SECRET",
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "EARLY_EXPORTER_SECRET",
    "EXPORTER_SECRET",
    "CLIENT_TRAFFIC_SECRET_N",
    "SERVER_TRAFFIC_SECRET_N",
    "RSA",
)
"""The order of `enum label` in bpf/secret.h, in the words of a key log (draft-ietf-tls-keylogfile): what OpenSSL and
its kin write."""

SHELLS = ("bash", "zsh")
"""The order of `enum shell` in bpf/typed.h."""

LINES = ("first", "more", "given up", "earlier")
"""The order of `enum kind` in bpf/typed.h: the first of a command, its continuation, one that Ctrl-C or
the end of the input has ended, and the first line of a shell that asked for it before the capture began."""

TEXTS = ("source", "script", "words", "program", "expanded", "tried")
"""The order of `enum text` in bpf/words.h: how the source has a command, what the shell runs ($0), and what became of it,
which for a program that zsh runs is told when the process has become that; `expanded` is what a typed line is after
history expansion, nothing where it does not run; `tried` are the words of a program that zsh is about to become, if it can."""

ROLES = (None, "client", "server")
"""The order of `enum role` in bpf/connection.h."""

LOSS_REASONS = ("ring_full", "map_full", "unreadable", "over_limit", "sendfile")
"""Why the kernel could not hand over bytes: the order of `enum loss` in bpf/record.h."""

RECORDS_LOST = "_records"
"""How a reason ends that counts records: of what shells have no room for, the size is not known."""
