"""The join stage as a dialogue: records and contexts in, flow out."""

from __future__ import annotations

import socket

import pytest
from msgspec import structs

from pellucid.errors import FormatError
from pellucid.join import Join
from pellucid.model import (
    Chunk,
    Clock,
    Close,
    Closed,
    Data,
    Direction,
    Drops,
    End,
    Gap,
    Gone,
    Interfaces,
    Missed,
    Offsets,
    Open,
    Opened,
    Process,
    Program,
    Session,
    Target,
    Totals,
)

READ, WRITE = Direction.READ, Direction.WRITE
CLOCK = Clock(boot=1_000, wall=1_000_001_000)
TARGET = Target(id=3, library="libssl.so.3", path="/lib/libssl.so.3", site="inner")


def opened(**changes):
    """The record of a connection over IPv4 loopback."""
    fields = {
        "time": 2_000, "connection": 7, "target": 3, "pid": 10, "tid": 11, "uid": 12,
        "family": socket.AF_INET, "local_port": 4000, "remote_port": 443,
        "version": 0, "cipher": 0, "role": 0, "mid": 0,
        "local": bytes([127, 0, 0, 1]) + bytes(12), "remote": bytes([192, 0, 2, 9]) + bytes(12),
        "comm": b"curl\0\0garbage\0\0\0", "server_name": 0, "names": b"",
    }  # fmt: skip
    return Opened(**{**fields, **changes})


def data(offset, payload, direction=WRITE, time=3_000):
    return Data(time=time, connection=7, offset=offset, tid=11, direction=direction, bytes=payload)


def played(*values, join=None):
    """All that follows from the values, after a clock and a target."""
    join = join or Join()
    return [flow for value in (CLOCK, TARGET, *values) for flow in join(value)]


def test_targets_that_were_watched():
    """A target that was taken back is not counted, nor one twice that was told twice."""
    other = structs.replace(TARGET, id=4)
    *_, totals = played(other, other, structs.replace(other, watched=False), End(boot=5_000))
    assert totals.targets == 1


def test_a_connection_carries_who_and_where():
    """Process, user, library and both addresses of the record come out in the connection."""
    (begin,) = played(opened())

    connection = begin.connection
    assert isinstance(begin, Open)
    assert (connection.pid, connection.tid, connection.uid, connection.comm) == (10, 11, 12, "curl")
    assert (connection.library, connection.path) == ("libssl.so.3", "/lib/libssl.so.3")
    assert connection.mid is False
    assert (connection.local, connection.remote) == ("127.0.0.1:4000", "192.0.2.9:443")


def process(executable, cgroup, pid=10):
    """The record of a process; paths are given part by part, as the kernel does, last part first."""
    names = [b"".join(part + b"\0" for part in parts) for parts in (executable, cgroup)]
    return Process(time=1_500, start=500, pid=pid, executable=len(names[0]), names=b"".join(names))


def test_a_connection_carries_its_program():
    """Executable, container and start of its process come out in the connection."""
    docker = b"docker-" + b"ab" * 32 + b".scope"
    begin, *_ = played(process([b"curl", b"bin", b"usr"], [docker, b"system.slice"]), opened())

    assert begin.connection.program == Program("/usr/bin/curl", "ab" * 32, 1_000_000_500)


def test_a_process_that_has_gone_is_forgotten():
    """A pid that is used again is not taken for the process that had it before."""
    curl = process([b"curl", b"bin"], [])
    first, second = played(curl, opened(), Gone(time=5_000, pid=10), opened(connection=8))

    assert first.connection.program.executable == "/bin/curl"
    assert second.connection.program == Program()


def test_a_connection_carries_its_session():
    """Version, suite, names and role of the record come out in words."""
    said = {"version": 0x0304, "cipher": 0x1302, "role": 2}
    names = {"server_name": 10, "names": b"a.example\0h2"}
    (begin,) = played(opened(**said, **names))

    assert begin.connection.session == Session("TLSv1.3", "TLS_AES_256_GCM_SHA384", "a.example", "h2")
    assert begin.connection.role == "server"


def test_a_session_that_is_known_later():
    """What is told of a connection again holds for it from then on; it is opened once."""
    begin, *rest = played(opened(), opened(version=0x0303, role=1))

    assert rest == []
    assert (begin.connection.session.version, begin.connection.role) == ("TLSv1.2", "client")


def test_a_session_that_makes_no_sense_is_not_known():
    """A version that does not exist and a name that is no text are left out; a rare suite shows its number."""
    (begin,) = played(opened(version=0x7777, cipher=0x1399, server_name=3, names=b"\x01\xff\0"))

    assert begin.connection.session == Session(None, "0x1399", None, None)


def test_times_become_wall_clock():
    """The clock envelope shifts boot time to wall-clock time, a later one for what follows it."""
    first, chunk, after = played(opened(), data(0, b"a"), Clock(boot=0, wall=5_000_000_000), data(1, b"b"))

    assert [first.time, chunk.time, after.time] == [1_000_002_000, 1_000_003_000, 5_000_003_000]


def test_bytes_in_order_are_chunks():
    """Consecutive records of both directions pass through with their own offsets."""
    flow = played(opened(), data(0, b"abc"), data(0, b"12", READ), data(3, b"d"))

    chunks = [(at.direction, at.offset, at.data) for at in flow if isinstance(at, Chunk)]
    assert chunks == [(WRITE, 0, b"abc"), (READ, 0, b"12"), (WRITE, 3, b"d")]
    assert not any(isinstance(at, Gap) for at in flow)


def test_a_hole_is_shown_before_the_bytes_that_follow_it():
    """An offset beyond what was seen yields a gap of exactly the missing size."""
    _, _, gap, chunk = played(opened(), data(0, b"abc"), data(10, b"z"))

    assert (gap.offset, gap.size, gap.direction, gap.reason) == (3, 7, WRITE, "ring_full")
    assert (chunk.offset, chunk.data) == (10, b"z")


def test_a_hole_with_a_reason_is_split_from_one_without():
    """What the kernel says it missed has its reason; what it could not even say is a full ring."""
    missed = Missed(time=4_000, connection=7, offset=8, size=4, direction=READ, reason=2)
    _, silent, said, chunk = played(opened(), missed, data(12, b"x", READ))

    assert (silent.offset, silent.size, silent.reason) == (0, 8, "ring_full")
    assert (said.offset, said.size, said.reason) == (8, 4, "unreadable")
    assert (chunk.offset, chunk.data) == (12, b"x")


def test_closing_shows_a_hole_at_the_end():
    """The final offsets of a closed connection uncover bytes after the last record."""
    _, _, gap, close = played(opened(), data(0, b"abc"), Closed(5_000, 7, read=0, written=9))

    assert isinstance(close, Close)
    assert (gap.offset, gap.size, gap.direction) == (3, 6, WRITE)


def test_connections_open_at_the_end_show_their_holes_too():
    """The tracer's final offsets uncover what was lost last on connections that are still open."""
    flow = played(opened(), data(0, b"abc"), Offsets(9_000, [(7, 20, 3), (99, 1, 1)]))

    gaps = [(at.direction, at.offset, at.size, at.time) for at in flow if isinstance(at, Gap)]
    assert gaps == [(READ, 0, 20, 1_000_009_000)]


def test_an_end_that_the_kernel_had_no_room_for():
    """Final offsets of a connection that is closed end it, after its last hole."""
    join = Join()
    _, _, gap, close = played(opened(), data(0, b"abc"), Offsets(9_000, [(7, 0, 5)], closed=True), join=join)

    assert (gap.offset, gap.size) == (3, 2)
    assert isinstance(close, Close)
    assert [*join(Offsets(9_000, [(7, 0, 9)]))] == []


def test_addresses_that_become_known_later_reach_the_same_connection():
    """A second announcement updates the connection and opens no other."""
    join = Join()
    unknown = opened(family=0, local_port=0, remote_port=0)
    (begin,) = played(unknown, join=join)
    before = begin.connection.local, begin.connection.remote
    (chunk,) = [*join(opened()), *join(data(0, b"a"))]

    assert before == (None, None)
    assert chunk.connection is begin.connection
    assert begin.connection.remote == "192.0.2.9:443"


def test_bytes_of_a_connection_that_was_never_announced_are_counted():
    """A record without its connection is said as lost, and does not stop the stream."""
    flow = played(data(0, b"abc"), Drops(seen_bytes=3, lost={}), End(2_000_001_000))

    assert flow == [Totals(3_000_001_000, 2.0, 1, 3, {"unknown_connection": 3})]


def test_totals_name_only_what_was_lost():
    """Reasons with nothing behind them do not appear in the closing totals."""
    drops = Drops(seen_bytes=50, lost={"ring_full": 5, "map_full": 0}, untracked_calls=2)
    (totals,) = played(drops, End(1_000_001_000))

    assert totals.lost == {"ring_full": 5, "untracked_calls": 2}
    assert (totals.seconds, totals.targets, totals.seen_bytes) == (1.0, 1, 50)


def test_packets_that_were_left_out():
    """The totals have the last word of how many packets nobody is known to own, and none where nobody has asked."""
    first, last = (Interfaces(2_000, [], {"unowned": number, "without_first": 0}) for number in (1, 4))
    (totals,) = played(first, last, End(1_000_001_000))
    assert totals.left_out == {"unowned": 4, "without_first": 0}
    (totals,) = played(Interfaces(2_000, []), End(1_000_001_000))
    assert totals.left_out is None


@pytest.mark.parametrize(
    "damaged",
    [
        data(0, b"x")._replace(direction=126),
        Missed(time=3_000, connection=7, offset=0, size=1, direction=2, reason=0),
        Missed(time=3_000, connection=7, offset=0, size=1, direction=1, reason=99),
        opened(role=3),
    ],
)
def test_damage(damaged):
    """A record that says what does not exist is refused: the stream is damaged."""
    with pytest.raises(FormatError, match="which does not exist"):
        played(opened(), damaged)


@pytest.mark.parametrize(("began", "mid"), [(1_400, True), (1_600, False)])
def test_a_process_for_each_connection(began, mid):
    """Where each connection has a process of its own, it is older than the probes if that process is."""
    target = structs.replace(TARGET, since=1_500)
    (begin,) = played(target, process([b"postgres"], [b"system.slice"])._replace(start=began), opened(mid=1))
    assert begin.connection.mid is mid
