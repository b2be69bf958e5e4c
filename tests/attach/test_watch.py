"""Records of new mappings, byte by byte as <linux/perf_event.h> has them."""

from __future__ import annotations

import struct

from pellucid.attach.images import Area, Key
from pellucid.attach.watch import Mapping, Missed, split

LOST, MMAP2 = 2, 10


def record(kind, body):
    """With the header; the kernel fills records up to 8 bytes."""
    body += bytes(-len(body) % 8)
    return struct.pack("<IHH", kind, 0, 8 + len(body)) + body


def mmap2(name, pid=7, major=8, minor=1, inode=42, generation=3):
    place = struct.pack("<IIQQQ", pid, 9, 0x1000, 0x2000, 0)
    return record(MMAP2, place + struct.pack("<IIQQII", major, minor, inode, generation, 5, 2) + name + b"\0")


def test_mapping():
    """A mapping has process, thread, addresses, name, and the device as the kernel encodes it."""
    [new] = split(mmap2(b"/lib/x.so"))
    assert new == Mapping(Area(7, 9, 0x1000, 0x3000, 8 << 20 | 1, 42, 3), "/lib/x.so")
    assert new.area.key == Key(8 << 20 | 1, 42, 3)


def test_many():
    """Records follow one another, whatever their names' lengths; a name may be any bytes."""
    names = [b"/a", b"/ab" * 50, b"/\xff", b"/a b (deleted)"]
    found = list(split(b"".join(map(mmap2, names)) + record(LOST, bytes(16)) + mmap2(b"/last")))
    assert [new.name for new in found if isinstance(new, Mapping)] == [
        "/a", "/ab" * 50, "/\udcff", "/a b (deleted)", "/last",
    ]  # fmt: skip
    assert found[-2] == Missed()


def test_left_out():
    """Mappings of no file, and of processes that have no number in this pid namespace, are left out."""
    assert not list(split(mmap2(b"[vdso]", major=0, minor=0, inode=0) + mmap2(b"/x", pid=0)))


def test_proven():
    """A key with an anonymous device and no generation, as an overlay's, is no proof of which file it is."""
    [overlay, tmpfs, disk] = split(
        mmap2(b"/o", major=0, generation=0) + mmap2(b"/t", major=0) + mmap2(b"/d", generation=0)
    )
    assert [overlay.proven, tmpfs.proven, disk.proven] == [False, True, True]
