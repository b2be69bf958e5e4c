"""The plaintext of one connection as a TCP conversation that never was on any wire.

    SYN, SYN-ACK, ACK    before the first bytes, for a connection whose beginning was seen
    data                 as it came, each byte at its place in the stream
    ACK of the receiver  where bytes are lost, for what is missing: readers see that something was there
    FIN, FIN, ACK        when it closes

Addresses and ports are the connection's own. Where they are not known, or are in use in the file already, they are from
the block for documentation (RFC 3849). A port that means TLS is written as that of the same protocol in clear.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, NamedTuple

from pellucid.model import Direction
from pellucid.pcapng.tcp import ACK, FIN, MOST_PAYLOAD, PSH, SYN, End, Segment, Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Connection

CLEAR_PORTS = {
    443: 80, 465: 587, 563: 119, 636: 389, 853: 53, 990: 21, 993: 143, 995: 110, 5061: 5060, 5671: 5672, 8883: 1883,
}  # fmt: skip
"""IANA's port of a protocol over TLS, and of the same without: readers go by ports before they look at bytes."""

HTTP = 80
"""The port of HTTP in clear: only there does Wireshark look for HTTP/2, which it does not recognise by its bytes."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\x04\x00\x00\x00\x00\x00"
"""What a server of HTTP/2 begins with, behind 3 bytes of length (RFC 9113 section 4.1): type, no flags, stream 0."""

_DOCUMENTATION = int(IPv6Address("2001:db8::"))
_CLIENT_NET, _SERVER_NET = 1 << 64, 2 << 64
_DYNAMIC_PORT = 49152
"""The first that is nobody's (RFC 6335 section 6)."""

_BETWEEN_STARTS = 1_000_003
"""By so much do the first sequence numbers of two connections differ: readers tell conversations with equal addresses
apart by these."""

MOST_GAP = 1 << 30
"""Numbers that a hole takes at most: beyond half of what there is, later bytes would look like earlier ones."""


class Ends(NamedTuple):
    """Who talks to whom, as it is written."""

    client: End
    server: End


class Synthetic(NamedTuple):
    """A packet, and whether the watched program sent it."""

    outbound: bool
    data: bytes


class Conversation:
    """One connection: how far each direction has come."""

    def __init__(self, connection: Connection, ends: Ends) -> None:
        self._is_server = connection.role == "server"
        local, remote = reversed(ends) if self._is_server else ends
        self._ways = {Direction.WRITE: Way(local, remote), Direction.READ: Way(remote, local)}
        start = connection.id * _BETWEEN_STARTS + 1
        self._next = {Direction.WRITE: start, Direction.READ: start}

    def open(self) -> Iterator[Synthetic]:
        """The handshake: it takes the number before the first byte of each direction."""
        client = Direction.READ if self._is_server else Direction.WRITE
        first = self._next[client] - 1
        yield self._packet(client, Segment(first, 0, SYN))
        yield self._packet(_back(client), Segment(first, first + 1, SYN | ACK))
        yield self.acknowledge(client)

    def data(self, direction: Direction, data: bytes) -> Iterator[Synthetic]:
        """The next bytes of one direction."""
        for at in range(0, len(data), MOST_PAYLOAD):
            piece = data[at : at + MOST_PAYLOAD]
            yield self._send(direction, PSH | ACK, piece)
            self._next[direction] += len(piece)

    def gap(self, direction: Direction, size: int) -> Synthetic:
        """Bytes of one direction that are missing, as their receiver's acknowledgement."""
        self._next[direction] += min(size, MOST_GAP)
        return self.acknowledge(_back(direction))

    def acknowledge(self, direction: Direction) -> Synthetic:
        """A segment without bytes."""
        return self._send(direction, ACK)

    def close(self) -> Iterator[Synthetic]:
        """The end: who began it is not known."""
        for direction in (Direction.WRITE, Direction.READ):
            yield self._send(direction, FIN | ACK)
            self._next[direction] += 1
        yield self.acknowledge(Direction.WRITE)

    def _send(self, direction: Direction, flags: int, payload: bytes = b"") -> Synthetic:
        numbers = self._next[direction], self._next[_back(direction)]
        return self._packet(direction, Segment(*numbers, flags, payload))

    def _packet(self, direction: Direction, segment: Segment) -> Synthetic:
        return Synthetic(direction == Direction.WRITE, self._ways[direction].packet(segment))


def _back(direction: Direction) -> Direction:
    return Direction.READ if direction == Direction.WRITE else Direction.WRITE


def real_ends(connection: Connection, first: bytes) -> Ends | None:
    """The connection's own, with the port that `first`, its first bytes, are shown by; None where they are not known."""
    if connection.local is None or connection.remote is None:
        return None
    local, remote = _end(connection.local), _end(connection.remote)
    if local.address.version != remote.address.version:
        return None
    client, server = (remote, local) if connection.role == "server" else (local, remote)
    return Ends(client, End(server.address, _clear_port(server.port, connection, first)))


def documentation_ends(connection: Connection, first: bytes) -> Ends:
    """Addresses that nobody has, with the connection's number as their last half."""
    number = connection.id & (1 << 64) - 1
    _, server = split(connection)
    port = _end(server).port if server else HTTP
    return Ends(
        End(IPv6Address(_DOCUMENTATION | _CLIENT_NET | number), _DYNAMIC_PORT),
        End(IPv6Address(_DOCUMENTATION | _SERVER_NET | number), _clear_port(port, connection, first)),
    )


def split(connection: Connection) -> tuple[str | None, str | None]:
    """Client and server as `address:port`; where the role is not known, the program that is watched goes first."""
    ends = connection.local, connection.remote
    return (ends[1], ends[0]) if connection.role == "server" else ends


def _end(text: str) -> End:
    host, _, port = text.rpartition(":")
    return End(ip_address(host.strip("[]")), int(port))


def _clear_port(port: int, connection: Connection, first: bytes) -> int:
    return HTTP if _is_http2(connection, first) else CLEAR_PORTS.get(port, port)


def _is_http2(connection: Connection, first: bytes) -> bool:
    if connection.session.alpn is not None:
        return connection.session.alpn == "h2"
    return bool(first) and (first.startswith(_PREFACE[: len(first)]) or first[3:9] == _SETTINGS)
