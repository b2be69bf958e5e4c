"""Batches of packets as the kernel and the drain make them: runs, and packets that wait for their keys."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.loaded import set_constants
from pellucid.attach.values import MapValue
from pellucid.capture.envelope import split
from pellucid.decode.btf import Btf
from pellucid.libbpf import BpfObject, attach_tcx, close_links
from pellucid.libbpf.packets import PacketDrain
from pellucid.model import Envelope, Kind
from pellucid.pcapng import whole_blocks
from pellucid.probes.packets import OBJECT
from tests.kernel.networks import alone
from tests.kernel.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOPBACK = 1
CAPACITY = 20_000
"""Bytes of a batch: many are needed, and none ends with a part of a block."""
HOLD_NS = 1_500_000_000
HELLO = b"\x16\x03\x01\x00\x80\x01\x00\x00\x7c\x03\x03" + bytes(range(32)) + bytes(85)
"""The beginning of a TLS record with a ClientHello (RFC 8446 section 4.1.2), and zeros."""
FLOW, BLOCK = struct.Struct("<Q"), struct.Struct("<II")


@pytest.fixture
def take() -> Iterator[Callable[[], list[Envelope]]]:
    """What a drain gives of packets on loopback, in a namespace of the test's own."""
    bpf = BpfObject(OBJECT)
    types = Btf(bpf.btf())
    set_constants(bpf, types, {"hold_time": HOLD_NS})
    bpf.load()
    described = MapValue(types, "interface").write(id=0, link=14, inbound_only=1)
    bpf.map("interfaces").update(struct.pack("<II", 0, LOOPBACK), described)
    ring = bpf.map("ring")
    with alone() as here, here.entered():
        links = [
            attach_tcx(bpf.program(way), LOOPBACK, egress=way == "egress") for way in ("ingress", "egress")
        ]
        drain = PacketDrain(ring.fd, ring.max_entries, 1, CAPACITY, types.struct("packet").id)

        def settled() -> list[Envelope]:
            batches = [bytes(batch) for batch in drain.settle()]
            assert all(len(batch) <= CAPACITY for batch in batches)
            return [envelope for batch in batches for envelope in split(batch)]

        yield settled
        drain.close()
        close_links(links)
    bpf.close()


def blocks(envelope: Envelope) -> list[bytes]:
    """The blocks of an envelope, which has nothing else behind its flow."""
    data, found = bytes(envelope.payload[FLOW.size :]), []
    assert whole_blocks(data) == len(data)
    while data:
        _, size = BLOCK.unpack_from(data)
        found.append(data[:size])
        data = data[size:]
    return found


def flow_of(envelope: Envelope) -> int:
    """The flow that an envelope names."""
    return int(FLOW.unpack_from(envelope.payload)[0])


def test_runs(take):
    """Packets that wait for nothing come as runs of whole blocks, a run a batch, none missing and in their order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(500):
            sender.sendto(f"<{number}>".encode() * 20, ("127.0.0.1", 9))
    envelopes = take()
    assert {envelope.kind for envelope in envelopes} == {Kind.PACKETS}
    assert {flow_of(envelope) for envelope in envelopes} == {0}
    sent = [
        block for envelope in envelopes for block in blocks(envelope) if b"><" in block[28 + 42 : 28 + 60]
    ]
    assert [int(block[28 + 43 :].split(b">")[0]) for block in sent] == list(range(500))
    assert len(envelopes) > sum(map(len, sent)) // CAPACITY


def test_packets_that_wait(take):
    """From a ClientHello on packets of its flow are held, one an envelope; those of others are not. After the time that
    they wait the next one is straight, names the flow once, and those behind it are like any others.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server, _ = listener.accept()
        with client, server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            assert [envelope.kind for envelope in take()] == [Kind.PACKETS]
            client.sendall(HELLO)
            began = time.monotonic()
            other.sendto(b"other", ("127.0.0.1", 9))
            server.sendall(b"answer")
            held = take()
            assert time.monotonic() - began < HOLD_NS / 1e9, "this machine is too slow for this test"
            wait_for(lambda: time.monotonic() - began > HOLD_NS / 1e9, "the time to be over")
            client.sendall(b"later")
            client.sendall(b"at last")
            later = take()
    waiting = [envelope for envelope in held if envelope.kind == Kind.HELD]
    [flow] = {flow_of(envelope) for envelope in waiting}
    assert flow > 0
    assert all(len(blocks(envelope)) == 1 for envelope in waiting)
    assert HELLO in waiting[0].payload.tobytes()
    assert any(b"answer" in bytes(envelope.payload) for envelope in waiting)
    straight = [block for envelope in held if envelope.kind == Kind.PACKETS for block in blocks(envelope)]
    assert any(b"other" in block for block in straight)
    assert not any(b"answer" in block for block in straight)
    assert [(envelope.kind, flow_of(envelope)) for envelope in later] == [(Kind.PACKETS, flow)]
    assert b"later" in blocks(later[0])[0]
    assert any(b"at last" in block for block in blocks(later[0]))
