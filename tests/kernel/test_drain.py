"""The native binding against the kernel's own ring, filled by a program on a function that does nothing."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading

import pytest

from pellucid.attach.symbols import Elf
from pellucid.capture.envelope import split
from pellucid.libbpf import BpfObject, Drain, Site, attach_uprobes, has_uprobe_multi, possible_cpus
from pellucid.model import Kind
from tests.kernel.running import PATIENCE, wait_for
from tests.libbpf.sources import bpf_object, emit_library

RING = 64 << 10
"""Holds 61 records: each reserves room for 1024 bytes, whatever it is long."""

SUBMIT, DISCARD, HOLD = range(3)
NOTE = struct.Struct("<IIQI")
"""struct note of fill.bpf.c: type, size, time, number."""

OBJECT = 7


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The object and the library that the tests use."""
    folder = tmp_path_factory.mktemp("fill")
    return bpf_object("fill", folder), emit_library(folder)


class Filler:
    """`emit` puts a record into the ring before it returns; `hold` is the record that a thread keeps back."""

    def __init__(self, path, library):
        self.object = BpfObject(path)
        self.object.map("ring").resize(RING)
        program = self.object.program("emit")
        multi = has_uprobe_multi()
        if multi:
            program.for_uprobe_multi()
        self.object.load()
        self.ring = self.object.map("ring")
        with Elf(library) as elf:
            sites = [Site(elf.symbols(("emit",))["emit"].offset, 0)]
        pid = os.getpid()
        (self._link,) = attach_uprobes(program, str(library), sites, pid=pid, at_return=False, multi=multi)
        self._emit = ctypes.CDLL(str(library)).emit
        self._drains = []

    def emit(self, number, size=0, how=SUBMIT):
        """Put record `number` with `size` bytes into the ring, if it has room."""
        self._emit(number, size, how)

    def hold(self, number):
        """Reserve a record in another thread, which submits it after `release`."""
        thread = threading.Thread(target=self._emit, args=(number, 0, HOLD))
        thread.start()
        wait_for(lambda: self._hold()[0], "a reserved record (needs a second CPU)")
        return thread

    def release(self, thread):
        """Let the held record go, and wait until it is submitted."""
        self.object.map("holds").update(bytes(4), struct.pack("<II", 1, 1))
        thread.join(PATIENCE)
        assert not thread.is_alive()

    def _hold(self):
        return struct.unpack("<II", self.object.map("holds").lookup(bytes(4)))

    def lost(self):
        """How many records found no room."""
        raw, cpus = self.object.map("totals").lookup(bytes(4), possible_cpus()), possible_cpus()
        return sum(struct.unpack_from("<QQ", raw, at)[1] for at in range(0, len(raw), len(raw) // cpus))

    def drain(self, **options):
        """Begin to drain the ring."""
        self._drains.append(
            Drain(self.ring.fd, self.ring.max_entries, OBJECT, **{"capacity": 1 << 20, **options})
        )
        return self._drains[-1]

    def close(self):
        """Detach and free everything."""
        for drain in self._drains:
            drain.close()
        self._link.close()
        self.object.close()


@pytest.fixture
def filler(built):
    """A loaded and attached program with an empty ring."""
    filler = Filler(*built)
    yield filler
    filler.close()


def numbers(batch):
    """The records of a batch by number, after a look at their envelopes and contents."""
    found = []
    for envelope in split(batch):
        _, size, _, number = NOTE.unpack_from(envelope.payload)
        assert (envelope.kind, envelope.object) == (Kind.RECORD, OBJECT)
        assert size == len(envelope.payload)
        assert set(envelope.payload[NOTE.size :]) <= {number & 0xFF}
        found.append(number)
    return found


def all_numbers(drain):
    """Take until the ring and the buffers are empty."""
    found = []
    while more := numbers(drain.take(settle=True)):
        found += more
    return found


def test_order(filler):
    """Records come out whole, in the order in which they went in, over as many batches as it takes."""
    drain = filler.drain()
    found = []
    for number in range(997):
        filler.emit(number, size=number % 1000)
        found += numbers(drain.take(settle=number % 13 == 0))
    found += all_numbers(drain)

    assert found == list(range(997))
    assert filler.lost() == 0


def test_a_record_is_as_long_as_it_says(filler):
    """What was reserved beyond a record's own size is not handed over."""
    drain = filler.drain()
    for size in (0, 1, 7, 8, 1000):
        filler.emit(1, size)
    sizes = [len(envelope.payload) for envelope in split(drain.take(settle=True))]

    assert sizes == [NOTE.size + size for size in (0, 1, 7, 8, 1000)]


def test_settle(filler):
    """After `settle` nothing is left behind: what was emitted before the call is in what it returns."""
    drain = filler.drain()
    for number in range(101):
        filler.emit(number)

        assert numbers(drain.take(settle=True)) == [number]
    assert numbers(drain.take(settle=True)) == []


def test_ready(filler):
    """The descriptor is readable, without anybody's asking, when there is something to take, and else not."""
    drain = filler.drain()
    poll = select.poll()
    poll.register(drain.ready_fd, select.POLLIN)

    assert poll.poll(0) == []
    filler.emit(1)
    assert poll.poll(PATIENCE * 1000) == [(drain.ready_fd, select.POLLIN)]
    assert numbers(drain.take()) == [1]
    assert poll.poll(0) == []


def test_full_buffers(filler):
    """Records that the buffers cannot take stay in the ring; nothing is lost, and the order holds."""
    drain = filler.drain(capacity=4096)
    for number in range(50):
        filler.emit(number, size=900)
    batches = [numbers(drain.take(settle=True)) for _ in range(20)]

    assert max(map(len, batches)) == 4096 // (8 + NOTE.size + 900)
    assert [number for batch in batches for number in batch] == list(range(50))
    assert filler.lost() == 0


def test_full_buffers_while_nobody_settles(filler):
    """Taking alone makes room: what waited in the ring follows by itself."""
    drain = filler.drain(capacity=4096)
    for number in range(50):
        filler.emit(number, size=900)
    found = []

    def everything():
        found.extend(numbers(drain.take()))
        return len(found) == 50

    wait_for(everything, "50 records")
    assert found == list(range(50))


def test_around_the_end_of_the_ring(filler):
    """Records that lie across the ring's end, at every place there can be, are whole."""
    drain = filler.drain()
    found = []
    for number in range(1009):  # about 1 MiB: 16 times round, with records that do not divide it
        filler.emit(number, size=1024)
        if number % 31 == 30:
            found += all_numbers(drain)
    found += all_numbers(drain)

    assert found == list(range(1009))
    assert filler.lost() == 0


def test_a_full_ring(filler):
    """Without a reader the ring keeps what came first and the rest is counted; then it goes on."""
    for number in range(1000):
        filler.emit(number)
    lost = filler.lost()
    drain = filler.drain()

    assert lost > 0
    assert all_numbers(drain) == list(range(1000 - lost))
    filler.emit(1000)
    assert all_numbers(drain) == [1000]
    assert filler.lost() == lost


def test_discarded_records(filler):
    """A record that the program gave up is passed over."""
    drain = filler.drain()
    for number in range(53):
        filler.emit(number, how=DISCARD if number % 3 else SUBMIT)

    assert all_numbers(drain) == list(range(0, 53, 3))


def test_only_discarded_records(filler):
    """They make room in the ring all the same."""
    drain = filler.drain()
    for number in range(200):
        filler.emit(number, how=DISCARD)
        assert numbers(drain.take(settle=True)) == []

    assert filler.lost() == 0


def test_a_record_that_is_not_ready(filler):
    """What comes after a record that is still being written waits for it, so the order holds."""
    drain = filler.drain()
    filler.emit(1)
    thread = filler.hold(2)
    filler.emit(3)

    assert all_numbers(drain) == [1]
    filler.release(thread)
    assert all_numbers(drain) == [2, 3]


def test_a_second_reader_continues(filler):
    """The place in the ring outlives a reader: the next one begins behind what was moved."""
    filler.emit(1)
    first = filler.drain()
    assert all_numbers(first) == [1]
    first.close()
    filler.emit(2)

    assert all_numbers(filler.drain()) == [2]
