"""The file of packets: what stands where in it, whole at any moment."""

from __future__ import annotations

import io
import logging
import os
import resource
import struct
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from pcapng.blocks import EnhancedPacket, UnknownBlock
from tests.wireshark import fields

from pcapng import FileScanner
from pellucid.errors import FormatError, PellucidError
from pellucid.model import LABELS, Clock, Envelope, Interface, Interfaces, Keyed, Kind, Secret
from pellucid.packets.hold import PATIENCE_NS
from pellucid.packets.secrets import MOST_BYTES, MOST_LINES, Secrets
from pellucid.packets.sink import PacketSink
from pellucid.pcapng import Packet, enhanced_packet, whole_blocks
from pellucid.sink import Output, OutputClosed, Rotation, SinkOptions
from pellucid.sink.compressed import Compressed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:Field type should not be:DeprecationWarning")

START = 1_700_000_000_000_000_000
RANDOM = bytes(range(32))
HELLO = bytes(54) + b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + RANDOM + bytes(40)


def block(number: int, data: bytes | None = None) -> bytes:
    """A packet that can be told from others by its time."""
    return enhanced_packet(Packet(0, START + number, data or bytes(60)))


def packets(*blocks: bytes, flow: int = 0) -> Envelope:
    """Those that wait no longer."""
    return Envelope(Kind.PACKETS, 1, struct.pack("<Q", flow) + b"".join(blocks))


def held(flow: int, data: bytes) -> Envelope:
    """One that waits."""
    return Envelope(Kind.HELD, 1, struct.pack("<Q", flow) + data)


def secret(label: str, random: bytes = RANDOM, content: bytes = bytes(32), **more: Any) -> Secret:
    """As the kernel tells it."""
    fields = {
        "time": 500,
        "object": 1,
        "target": 1,
        "pid": 41,
        "tid": 41,
        "uid": 0,
        "mid": 0,
        "comm": b"curl\0" + bytes(11),
    }
    return Secret(**{**fields, "label": LABELS.index(label), "random": random, "bytes": content, **more})


class File:
    """A sink and what it has written."""

    def __init__(
        self,
        path: Path,
        held_bytes: int = 1 << 20,
        rotation: Rotation | None = None,
        kind: type[Output] = Output,
    ) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        self.sink = PacketSink(kind(self._fd, str(path), rotation), SinkOptions(), held_bytes)
        self.sink.begin()
        self.sink.tell(Clock(boot=0, wall=START))
        self.sink.tell(Interface(id=0, name="veth0", link_type=1, index=7))

    def then(self, *values: Any) -> File:
        """Take envelopes and what is told, in this order, as one batch."""
        for value in values:
            if isinstance(value, Envelope):
                self.sink.take(value)
            else:
                self.sink.tell(value)
        self.sink.flush()
        return self

    def what(self) -> list[Any]:
        """Behind head and interface: the number of each packet, the lines of secrets."""
        _, _, *blocks = FileScanner(io.BytesIO(self.path.read_bytes()))
        return list(map(_brief, blocks))


def _brief(found: Any) -> Any:
    if isinstance(found, EnhancedPacket):
        return (found.timestamp_high << 32 | found.timestamp_low) - START
    if isinstance(found, UnknownBlock):  # of secrets
        (size,) = struct.unpack_from("<I", found.data, 4)
        return found.data[8 : 8 + size].decode()
    return dict(found.options)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    """An open one."""
    made = File(tmp_path / "a.pcapng")
    yield made
    made.sink.close()


def line(label: str, content: bytes = bytes(32)) -> str:
    """Of a key log."""
    return f"{label} {RANDOM.hex()} {content.hex()}\n"


def test_a_run_is_written_as_it_is(file: File) -> None:
    """Packets that nothing is waited for stand in the file as the kernel laid them out, in one piece."""
    file.then(packets(block(1), block(2)), packets(block(3)))
    assert file.path.read_bytes().endswith(block(1) + block(2) + block(3))
    assert [name for (name,) in fields(file.path, "frame.interface_name")] == ["veth0"] * 3


def test_secrets_stand_before_what_needs_them(file: File) -> None:
    """Packets of a flow wait for its secrets, those of others pass, and then they come in their order."""
    file.then(held(5, block(1)), packets(block(2)), held(5, block(3)))
    assert file.what() == [2]
    file.then(secret("CLIENT_TRAFFIC_SECRET_0"), packets(block(4)), secret("SERVER_TRAFFIC_SECRET_0"))
    file.then(Keyed(1, 5), packets(block(6)))
    assert file.what() == [2, line("CLIENT_TRAFFIC_SECRET_0"), 4, line("SERVER_TRAFFIC_SECRET_0"), 1, 3, 6]


def test_a_flow_that_waits_no_longer(file: File) -> None:
    """What was held of a flow goes before its first packet that is not."""
    file.then(held(5, block(1)), held(6, block(2)), packets(block(3), block(4), flow=5))
    assert file.what() == [1, 3, 4]


def test_what_waits_at_the_end_is_written(tmp_path: Path) -> None:
    """The end of the capture releases everything."""
    made = File(tmp_path / "a.pcapng").then(held(5, block(1)), held(6, block(2)))
    made.sink.close()
    assert made.what() == [1, 2]


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Where more waits than may, the flow that has waited longest is written."""
    made = File(tmp_path / "a.pcapng", held_bytes=1000)
    made.then(*(held(flow, block(flow, bytes(400))) for flow in (1, 2, 3)))
    assert made.what() == [1, 2]
    made.sink.close()
    assert made.what() == [1, 2, 3]


def test_both_ends_have_the_same_secrets(file: File) -> None:
    """A line stands in the file once, whoever told it."""
    file.then(secret("CLIENT_RANDOM", content=bytes(48)), secret("CLIENT_RANDOM", content=bytes(48), pid=42))
    assert file.what() == [line("CLIENT_RANDOM", bytes(48))]


def test_key_updates_without_end(file: File, caplog: pytest.LogCaptureFixture) -> None:
    """A peer that asks for a new key all the time gets 64 lines of a connection into the file, and the log says so once."""
    first = secret("CLIENT_TRAFFIC_SECRET_0")
    updates = [secret("CLIENT_TRAFFIC_SECRET_N", content=number.to_bytes(32)) for number in range(20_000)]
    with caplog.at_level(logging.INFO, "pellucid"):
        file.then(first, *updates, first)
    assert len(file.what()) == MOST_LINES
    assert file.what()[0] == line("CLIENT_TRAFFIC_SECRET_0")
    assert [text.split(":")[0] for text in caplog.messages] == [
        "curl[41] has told 64 secrets of one connection"
    ]


def test_secrets_of_very_many_connections() -> None:
    """What the next file of a rotation begins with is bounded, and has the latest connections."""
    secrets = Secrets()
    for number in range(5000):
        secrets.add(secret("CLIENT_RANDOM", random=number.to_bytes(32), content=bytes(48)))
    kept = secrets.lines().splitlines()
    assert MOST_BYTES - 1000 < len(secrets.lines()) <= MOST_BYTES
    assert kept[-1].split()[1] == b"%064x" % 4999
    assert not secrets.some(bytes(32))


def test_the_line_of_a_key_exchange_with_rsa(file: File) -> None:
    """It is known by 8 bytes of the encrypted premaster secret."""
    file.then(secret("RSA", random=bytes(range(8)) + bytes(24), content=bytes(48)))
    assert file.what() == [f"RSA 0001020304050607 {'00' * 48}\n"]


def test_keys_that_come_late_are_said(file: File, caplog: pytest.LogCaptureFixture) -> None:
    """Packets that were written before their keys came are told of, by whose they are and how late these were."""
    with caplog.at_level(logging.WARNING, "pellucid"):
        file.then(held(5, block(1, HELLO)), packets(block(2), flow=5))
        assert file.sink.keyless == 1
        file.then(secret("CLIENT_RANDOM", content=bytes(48), time=7_250_000_001))
    assert (file.sink.keyless, file.sink.late) == (0, 1)
    assert caplog.messages == [
        "keys of curl[41] came 7.2 s after its hello, behind packets that need them: that connection stays encrypted"
    ]


def test_keys_that_came_in_time_are_not_late(file: File) -> None:
    """A flow that was released by its next packet, for what says that it is keyed was lost, counts as keyed."""
    file.then(held(5, block(1, HELLO)), secret("CLIENT_RANDOM", content=bytes(48)), packets(block(2), flow=5))
    assert (file.sink.keyless, file.sink.late) == (0, 0)


@pytest.mark.parametrize(
    ("labels", "late"), [(("CLIENT_RANDOM",), 1), (("CLIENT_EARLY_TRAFFIC_SECRET",), 0), ((), 0)]
)
def test_a_lost_word_is_said(
    labels: tuple[str, ...],
    late: int,
    file: File,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Packets that waited to the end though all their keys were there count as late; those of a slow handshake do not."""
    monkeypatch.setattr("time.monotonic_ns", lambda: 0)
    file.then(held(5, block(1, HELLO)), *(secret(label, content=bytes(48)) for label in labels))
    monkeypatch.setattr("time.monotonic_ns", lambda: PATIENCE_NS)
    with caplog.at_level(logging.WARNING, "pellucid"):
        file.then()
    assert file.what()[-1] == 1
    assert file.sink.late == late
    assert [text.split(":")[0] for text in caplog.messages] == [
        "packets of a connection waited 7 s, though its keys were there"
    ] * late


def test_counters_of_interfaces(tmp_path: Path) -> None:
    """What was lost stands in the file once it is known, also without an end, and all counts at the end."""
    made = File(tmp_path / "a.pcapng").then(Interfaces(1, [(0, 5, 0)]), packets(block(1)))
    assert made.what() == [1]
    made.then(Interfaces(2, [(0, 9, 2)]), Interfaces(3, [(0, 9, 2)]))
    (_, told) = made.what()
    assert (told["isb_filteraccept"], told["isb_ifdrop"]) == (9, 2)
    assert "isb_ifrecv" not in told  # what the filter left out is not counted
    made.then(Interfaces(4, [(0, 12, 2)])).sink.close()
    assert [each["isb_filteraccept"] for each in made.what()[1:]] == [9, 12]
    assert made.sink.totals == (12, 2)


def test_each_file_of_a_rotation_stands_alone(tmp_path: Path) -> None:
    """The next file has interfaces and secrets again, and packets that waited meanwhile."""
    second = File.__new__(File)
    second.path = tmp_path / "b.pcapng"
    descriptor = os.open(second.path, os.O_WRONLY | os.O_CREAT)
    made = File(tmp_path / "a.pcapng", rotation=Rotation(1000, 0, lambda: descriptor))
    made.then(secret("CLIENT_RANDOM", content=bytes(48)), held(5, block(1)), packets(block(2, bytes(400))))
    made.then(packets(block(3, bytes(700))), Keyed(1, 5))
    assert made.what() == [line("CLIENT_RANDOM", bytes(48)), 2]
    assert second.what() == [line("CLIENT_RANDOM", bytes(48)), 3, 1]
    made.sink.close()


def test_each_file_counts_its_own_packets(tmp_path: Path) -> None:
    """The numbers of a rotation's files add up to what was seen, and each file's begin when it does."""
    second = File.__new__(File)
    second.path = tmp_path / "b.pcapng"
    descriptor = os.open(second.path, os.O_WRONLY | os.O_CREAT)
    made = File(tmp_path / "a.pcapng", rotation=Rotation(1000, 0, lambda: descriptor))
    made.then(packets(block(1, bytes(700))), Interfaces(1, [(0, 5, 1)]), packets(block(2, bytes(700))))
    made.then(Interfaces(2, [(0, 9, 1)])).sink.close()
    (last, then) = made.what()[-1], second.what()[-1]
    assert [(each["isb_filteraccept"], each["isb_ifdrop"]) for each in (last, then)] == [(5, 1), (4, 0)]
    assert then["isb_starttime"] >= last["isb_endtime"]


def test_a_file_says_what_it_leaves_out(file: File) -> None:
    """The words of the filter stand with the interface, where there are any."""
    file.then(Interface(id=1, name="veth1", link_type=1, index=8, filter="tcp port 443"))
    _, plain, filtered = FileScanner(io.BytesIO(file.path.read_bytes()))
    assert "if_filter" not in dict(plain.options)
    assert filtered.options["if_filter"] == (0, b"tcp port 443")  # 0: in words


def test_an_interface_that_was_missed(file: File) -> None:
    """A number that skips one is a damaged stream: packets would be said to be of another interface."""
    with pytest.raises(FormatError, match="interface 2"):
        file.then(Interface(id=2, name="veth2", link_type=1, index=9))


def test_a_compressed_file(tmp_path: Path) -> None:
    """What was flushed can be read back while the file grows: the very bytes that another file has."""
    plain, packed = File(tmp_path / "a.pcapng"), File(tmp_path / "a.pcapng.zst", kind=Compressed)
    for made in (plain, packed):
        made.then(packets(block(1)), secret("CLIENT_RANDOM", content=bytes(48))).then(packets(block(2)))
    unpacked = zstandard.ZstdDecompressor().decompressobj().decompress(packed.path.read_bytes())
    assert unpacked == plain.path.read_bytes()


def test_a_reader_that_leaves() -> None:
    """Nobody reads the pipe any more: that is the end and no error, as for every output."""
    reader, writer = os.pipe()
    os.close(reader)
    sink = PacketSink(Output(writer, "stdout"), SinkOptions(), 1000)
    sink.begin()
    with pytest.raises(OutputClosed):
        sink.flush()


def test_a_label_that_does_not_exist(file: File) -> None:
    """It is a damaged stream, and told as such."""
    with pytest.raises(FormatError, match="the label 99"):
        file.then(secret("RSA")._replace(label=99))


@pytest.mark.parametrize("room", [1, 59, 100, 101])
def test_a_full_disk(room: int, tmp_path: Path) -> None:
    """The file ends with its last whole block, wherever the disk was full, one line says so, and statistics do not follow."""
    made = File(tmp_path / "a.pcapng").then(Interfaces(1, [(0, 3, 0)]), packets(block(1)))
    size = made.path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, before[1]))
    try:
        with pytest.raises(PellucidError, match=r"^cannot write to .*a\.pcapng: File too large$"):
            made.then(packets(block(2), block(3)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    made.sink.close()
    data = made.path.read_bytes()
    assert whole_blocks(data) == len(data)
    assert made.what() == ([1, 2] if room >= len(block(2)) else [1])
