"""What decode hands to join of the tracer's words."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

LEFT_OUT = "unowned", "without_first"
"""Why it is not known whose a packet is: no process here is known to have a socket for it; it is a fragment, and the
first of its datagram, which has the ports, did not pass before it. `enum left_out` of bpf/packet.h."""


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
    """Where its probes are, for a person: `inner`, `entry`, or `socket` where only calls that encrypt have any."""
    since: int = 0
    """Where each connection has a process of its own: the boot time since which its probes have been there."""
    role: str | None = None
    """`server` where all its connections are a server's."""
    watched: bool = True
    """False takes back what was said of it: it could not be attached to, so it has no records."""


class Users(Context, frozen=True):
    """The users of this machine."""

    names: dict[int, str]
    """By number."""


class Login(NamedTuple):
    """Who is in a session that is older than the capture, as its process says."""

    pid: int
    start: int
    """When the process began, in hundredths of a second since boot."""
    user: str
    database: str


class Logins(Context, frozen=True):
    """Sessions of servers that have a process for each."""

    known: list[Login]


class Drops(Context, frozen=True):
    """Totals of the kernel since the start: what was passed to the library, and what was lost."""

    seen_bytes: int
    lost: dict[str, int]
    """Bytes by reason (`LOSS_REASONS`), of shells records by reason with `RECORDS_LOST` behind it."""
    untracked_calls: int = 0
    """Calls that began while the kernel's map of threads was full: their bytes are not known."""
    unfollowed_forks: int = 0
    """Forks of a followed process while the map of these was full: what the child does is not seen."""
    unread_older: int | None = None
    """Connected sockets that programs had before the capture, less the connections that were read of them; None where
    nobody has asked for these."""


class Offsets(Context, frozen=True):
    """Where the streams of connections stand when nothing more comes of them, so that a last hole shows."""

    boot: int
    connections: list[tuple[int, int, int]]
    """(connection, bytes read, bytes written)."""
    closed: bool = False
    """They have ended, and the kernel had no room to say so; else the capture ends before them."""


class Interface(Context, frozen=True):
    """A network interface whose packets are captured; always before the first of them."""

    id: int
    """The number in its packets' blocks: 0, 1, 2 ... in the order in which they are told."""
    name: str
    link_type: int
    """As pcapng has it: 1 is Ethernet, 101 IP without a link layer."""
    index: int
    """The kernel's number for it."""
    filter: str = ""
    """The words of the filter that its packets have passed; none where all were captured."""
    network: int = 0
    """The number of its network namespace (the inode of /proc/PID/ns/net), in which `index` counts."""
    description: str = ""
    """For a person, whose network namespace that is; nothing for ours."""


class Interfaces(Context, frozen=True):
    """What the kernel has counted since the start: told now and then, and last at the end."""

    boot: int
    """When, on the boot clock in ns."""
    counts: list[tuple[int, int, int]]
    """(interface id, packets that were wanted, those of them that were lost: the ring was full)."""
    left_out: dict[str, int] | None = None
    """Packets by reason (`LEFT_OUT`) that a filter for processes has left out, since whose they are is not known; None
    without such a filter."""


class End(Context, frozen=True):
    """The capture stopped at this boot time; nothing of a connection follows."""

    boot: int
    complete: bool = True
    """False when the stream broke off here, and the capture had more."""
