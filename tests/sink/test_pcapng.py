"""Plaintext as synthetic TCP: what tshark makes of it."""

from __future__ import annotations

import hashlib
import os
import resource
from typing import TYPE_CHECKING, Any

import pytest
from tests.wireshark import fields, followed, tshark

from pellucid.errors import PellucidError
from pellucid.model import Chunk, Close, Connection, Direction, Gap, Session, Totals
from pellucid.sink import Output, Rotation, SinkOptions
from pellucid.sink.pcapng import PcapngSink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pellucid.model import Flow

READ, WRITE = Direction.READ, Direction.WRITE
START = 1_700_000_000_123_456_789
SETTINGS = bytes.fromhex("000000040000000000")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS


def connection(
    id: int = 7, local: str | None = "10.0.0.1:50000", remote: str | None = "10.0.0.2:443", **more: Any
) -> Connection:
    """A client's, whose beginning was seen unless `mid` says otherwise."""
    made = Connection(
        id, pid=41, tid=42, uid=1000, comm="curl", library="libssl.so.3", mid=more.pop("mid", False)
    )
    made.local, made.remote, made.role = local, remote, "client"
    for name, value in more.items():
        setattr(made, name, value)
    return made


class Talk:
    """The flow of connections: each step a millisecond after the one before."""

    def __init__(self) -> None:
        self.flows: list[Flow] = []
        self._offsets: dict[tuple[int, Direction], int] = {}

    def _step(self, made: Connection, direction: Direction, size: int) -> tuple[int, int]:
        offset = self._offsets.get((made.id, direction), 0)
        self._offsets[made.id, direction] = offset + size
        return offset, self.time

    @property
    def time(self) -> int:
        """Of the next step."""
        return START + len(self.flows) * 1_000_000

    def say(self, made: Connection, direction: Direction, data: bytes) -> Talk:
        """Bytes of one direction."""
        self.flows.append(Chunk(made, direction, *self._step(made, direction, len(data)), data))
        return self

    def lose(self, made: Connection, direction: Direction, size: int) -> Talk:
        """A hole."""
        self.flows.append(Gap(made, direction, *self._step(made, direction, size), size, "ring_full"))
        return self

    def close(self, made: Connection) -> Talk:
        """Its end."""
        self.flows.append(Close(made, self.time))
        return self

    def write(self, file: Path) -> Path:
        """All of it through the sink."""
        sink = PcapngSink(Output(os.open(file, os.O_WRONLY | os.O_CREAT), str(file)), SinkOptions())
        sink.begin()
        for flow in self.flows:
            sink.tap(flow)
        sink.close()
        return file


def exchange(made: Connection, talk: Talk | None = None) -> Talk:
    """One request and its answer."""
    talk = talk or Talk()
    talk.say(made, WRITE, b"GET /tea HTTP/1.1\r\nHost: e.com\r\n\r\n")
    return talk.say(made, READ, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").close(made)


@pytest.mark.parametrize("port", [443, 27017])
def test_http_at_once(port: int, tmp_path: Path) -> None:
    """Whatever port the server had, requests and answers of HTTP/1.1 show, between a handshake and an end, at their times."""
    file = exchange(connection(remote=f"10.0.0.2:{port}")).write(tmp_path / "a.pcapng")
    shown = fields(file, "frame.time_epoch", "http.request.uri", "http.response.code", only="http")
    assert shown == [["1700000000.123456789", "/tea", ""], ["1700000000.124456789", "", "200"]]
    flags = fields(file, "tcp.flags")
    assert flags == [
        ["0x0002"],
        ["0x0012"],
        ["0x0010"],
        ["0x0018"],
        ["0x0018"],
        ["0x0011"],
        ["0x0011"],
        ["0x0010"],
    ]
    assert not fields(file, "frame.number", only="tcp.analysis.flags")


@pytest.mark.parametrize(
    ("port", "first", "alpn"),
    [(443, WRITE, None), (8443, WRITE, "h2"), (8443, READ, None), (443, READ, "h2")],
)
def test_http2_at_once(port: int, first: Direction, alpn: str | None, tmp_path: Path) -> None:
    """HTTP/2 shows on any port, whichever end speaks first, whether or not ALPN is known."""
    made = connection(remote=f"10.0.0.2:{port}", session=Session(alpn=alpn))
    talk = Talk()
    for direction in (first, WRITE if first == READ else READ):
        talk.say(made, direction, PREFACE if direction == WRITE else SETTINGS)
    talk.say(made, WRITE, bytes.fromhex("000003010500000001828684"))
    file = talk.write(tmp_path / "a.pcapng")
    assert [line for (line,) in fields(file, "http2.headers.path", only="http2.headers.path")] == ["/"]


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_stream_is_what_was_sent(role: str, tmp_path: Path) -> None:
    """Both directions of a stream have the very bytes, by hash, longer than a packet may be, and to their side."""
    made = connection(role=role)
    sent = {WRITE: os.urandom(300_000), READ: os.urandom(70_000)}
    talk = Talk()
    for at in range(0, 300_000, 100_000):
        talk.say(made, WRITE, sent[WRITE][at : at + 100_000])
        talk.say(made, READ, sent[READ][at : at + 100_000])
    sides = followed(talk.write(tmp_path / "a.pcapng"))
    of_client, of_server = (WRITE, READ) if role == "client" else (READ, WRITE)
    for client, direction in ((True, of_client), (False, of_server)):
        assert hashlib.sha256(sides[client]).digest() == hashlib.sha256(sent[direction]).digest()


def test_a_hole(tmp_path: Path) -> None:
    """Lost bytes are a gap of just that size where they were, and a comment says how many and why."""
    made = connection()
    talk = Talk().say(made, WRITE, b"before").lose(made, WRITE, 4711).say(made, WRITE, b"after")
    file = talk.say(made, READ, b"answer").write(tmp_path / "a.pcapng")
    sent = fields(file, "tcp.seq", "tcp.len", only="tcp.len > 0 && tcp.dstport == 80")
    assert sent == [["1", "6"], [str(1 + 6 + 4711), "5"]]
    (told,) = fields(
        file,
        "frame.comment",
        "tcp.ack",
        only="frame.comment contains missing && tcp.analysis.ack_lost_segment",
    )
    assert told == ["4711 bytes are missing here: ring_full", str(1 + 6 + 4711)]
    assert "[4711 bytes missing in capture file]" in "".join(tshark(file, "-q", "-z", "follow,tcp,ascii,0"))


def test_who_it_was(tmp_path: Path) -> None:
    """The first packet of a connection names process, library and the port that was; packets have their direction."""
    file = exchange(connection()).write(tmp_path / "a.pcapng")
    (comment,) = [line for (line,) in fields(file, "frame.comment") if line]
    assert comment.startswith("curl[41] client, libssl.so.3, conn 7, uid 1000, ")
    assert "10.0.0.1:50000 -> 10.0.0.2:443" in comment
    assert "synthetic TCP" in comment
    assert "port 443 is written as 80" in comment
    ways = fields(file, "frame.packet_flags_direction", "ip.src", only="tcp.len > 0")
    assert ways == [["0x00000002", "10.0.0.1"], ["0x00000001", "10.0.0.2"]]
    assert {name for (name,) in fields(file, "frame.interface_name")} == {
        "pellucid: plaintext, synthetic TCP"
    }


def test_addresses_that_are_not_known(tmp_path: Path) -> None:
    """They are from the block for documentation, each connection's own, and a comment says so."""
    talk = exchange(connection(2, None, None), exchange(connection(1, None, None)))
    file = talk.write(tmp_path / "a.pcapng")
    shown = fields(file, "ipv6.dst", "http.request.uri", only="http.request")
    assert shown == [["2001:db8:0:2::1", "/tea"], ["2001:db8:0:2::2", "/tea"]]
    assert len(fields(file, "frame.number", only='frame.comment contains "RFC 3849"')) == 2


def test_both_ends_of_a_connection(tmp_path: Path) -> None:
    """Where both ends are watched each is a stream of its own: the second has addresses for documentation, and says so."""
    client, server = connection(1), connection(2, "10.0.0.2:443", "10.0.0.1:50000", role="server")
    talk = Talk()
    for made, asks, answers in ((client, WRITE, READ), (server, READ, WRITE)):
        talk.say(made, asks, b"GET /tea HTTP/1.1\r\nHost: e.com\r\n\r\n")
        talk.say(made, answers, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    file = talk.close(client).close(server).write(tmp_path / "a.pcapng")
    shown = fields(file, "tcp.stream", "ip.src", "ipv6.src", "http.request.uri", only="http.request")
    assert shown == [["0", "10.0.0.1", "", "/tea"], ["1", "", "2001:db8:0:1::2", "/tea"]]
    assert not fields(file, "frame.number", only="tcp.analysis.flags")


def test_addresses_again(tmp_path: Path) -> None:
    """A connection with the addresses of one that has closed is another stream, though the file has no reset between."""
    talk = exchange(connection(2), exchange(connection(1)))
    shown = fields(talk.write(tmp_path / "a.pcapng"), "tcp.stream", "http.request.uri", only="http.request")
    assert shown == [["0", "/tea"], ["1", "/tea"]]


def test_an_older_connection(tmp_path: Path) -> None:
    """One whose beginning was not seen has no handshake, and says so."""
    file = exchange(connection(mid=True)).write(tmp_path / "a.pcapng")
    assert not fields(file, "frame.number", only="tcp.flags.syn == 1")
    assert len(fields(file, "frame.number", only='frame.comment contains "older than the capture"')) == 1


def test_what_was_lost_in_all(tmp_path: Path) -> None:
    """The end of the file tells what was lost of all connections."""
    talk = exchange(connection())
    talk.flows.append(Totals(talk.time, 2.5, 1, 100, {"ring_full": 33, "untracked_calls": 1}))
    data = talk.write(tmp_path / "a.pcapng").read_bytes()
    assert b"lost: 33 bytes (ring_full), 1 call (untracked_calls)" in data


def test_each_file_of_a_rotation_stands_alone(tmp_path: Path) -> None:
    """A connection that goes on in another file is introduced there too, and each file can be read by itself."""
    files = [tmp_path / str(number) for number in range(3)]
    descriptors = [os.open(file, os.O_WRONLY | os.O_CREAT) for file in files]
    first, *others = descriptors
    following: Callable[[], int | None] = lambda: others.pop(0) if others else None  # noqa: E731  # as short as that
    sink = PcapngSink(Output(first, "a", Rotation(5000, 0, following)), SinkOptions())
    sink.begin()
    made = connection()
    for offset in range(0, 12_000, 4000):
        sink.tap(Chunk(made, WRITE, offset, START, bytes(4000)))
    sink.close()
    for file in files:
        assert [line for (line,) in fields(file, "tcp.len", only="tcp.len > 0")] == ["4000"]
        assert len(fields(file, "frame.number", only='frame.comment contains "curl[41]"')) == 1


def test_a_full_disk(tmp_path: Path) -> None:
    """The file ends with its last whole block, and one line says why."""
    made, file = connection(), tmp_path / "a.pcapng"
    sink = PcapngSink(Output(os.open(file, os.O_WRONLY | os.O_CREAT), str(file)), SinkOptions())
    sink.begin()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        for number in range(3):
            sink.tap(Chunk(made, WRITE, number * 1900, START, bytes(1900)))
        with pytest.raises(PellucidError, match=r"^cannot write to .*a\.pcapng: File too large$"):
            sink.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert fields(file, "tcp.len", only="tcp.len > 0") == [["1900"], ["1900"]]
