"""Connections in the kernel: when they begin and end, what tells them apart, and their addresses."""

from __future__ import annotations

import pytest

from tests.kernel.running import wait_for

NO_SOCKET_TRACEPOINTS = "import pellucid.attach.loader as loader; loader.SOCKET_TRACEPOINTS = ()"


def events(messages):
    """(event, connection) of each connection message, in order."""
    return [(m["event"], m["conn"]) for m in messages if m["type"] == "connection"]


def said(messages):
    """(connection, offset, text) of each piece of data, in order."""
    return [(m["conn"], m["offset"], m["data"]) for m in messages if m["type"] == "data"]


def started(messages):
    """How each connection that was opened had begun."""
    return {m["conn"]: m["started"] for m in messages if m["type"] == "connection"}


def test_a_handle_used_again(puppet, watch):
    """A freed object's address stands for a new connection, with a new id and offsets from 0."""
    run = watch()
    puppet("""
for text in b"first", b"second":
    new(1)
    write(1, text)
    write(1, b" and more")
    free(1)
""").end()
    messages = run.stop()

    assert said(messages) == [(1, 0, "first"), (1, 5, " and more"), (2, 0, "second"), (2, 6, " and more")]
    assert events(messages) == [("opened", 1), ("closed", 1), ("opened", 2), ("closed", 2)]
    assert started(messages) == {1: "new", 2: "new"}


def test_a_shared_object(puppet, watch):
    """SSL_free ends a connection only when the last reference is given back."""
    run = watch()
    puppet("new(1); share(1); write(1, b'one'); free(1); write(1, b'two'); free(1)").end()
    messages = run.stop()

    assert said(messages) == [(1, 0, "one"), (1, 3, "two")]
    assert events(messages) == [("opened", 1), ("closed", 1)]


def test_reset(puppet, watch):
    """SSL_clear ends a connection that has moved bytes, and changes nothing for one that has not."""
    run = watch()
    puppet("new(1); clear(1); write(1, b'one'); clear(1); clear(1); write(1, b'two'); free(1)").end()
    messages = run.stop()

    assert [text for *_, text in said(messages)] == ["one", "two"]
    assert [event for event, _ in events(messages)] == ["opened", "closed", "opened", "closed"]
    assert set(started(messages).values()) == {"new"}


def test_reset_keeps_references(puppet, watch):
    """A reset object is another connection, but still held by as many: only the last free ends it."""
    run = watch()
    puppet(
        "new(1); share(1); write(1, b'one'); clear(1); free(1); write(1, b'two'); write(1, b'more'); free(1)"
    ).end()
    messages = run.stop()

    assert [(offset, text) for _, offset, text in said(messages)] == [(0, "one"), (0, "two"), (3, "more")]
    assert [event for event, _ in events(messages)] == ["opened", "closed", "opened", "closed"]


def test_objects_of_threads_that_are_not_wanted(puppet, watch):
    """Objects that other threads make and free are told apart, though only one thread's calls are wanted."""
    run = watch("--comm", "worker")
    puppet("""
import threading

def work(text):
    with open("/proc/thread-self/comm", "w") as comm:
        comm.write("worker")
    write(1, text)

for text in b"one", b"two":
    new(1)
    thread = threading.Thread(target=work, args=[text])
    thread.start()
    thread.join()
    free(1)
""").end()
    messages = run.stop()

    assert [(offset, text) for _, offset, text in said(messages)] == [(0, "one"), (0, "two")]
    assert [event for event, _ in events(messages)] == ["opened", "closed"] * 2


def test_new_and_mid(puppet, watch):
    """Connections older than the probe say `mid`; those that began before its eyes say `new`."""
    program = puppet("new(1); write(1, b'unseen'); pause(); write(1, b'old'); new(2); write(2, b'young')")
    program.step()
    run = watch()
    program.end()
    messages = run.stop()

    assert [text for *_, text in said(messages)] == ["old", "young"]
    old, young = (conn for conn, *_ in said(messages))
    assert started(messages) == {old: "mid", young: "new"}


def test_the_end_of_a_process(puppet, watch):
    """A process that ends without freeing anything, by exit or by signal, closes all its connections."""
    run = watch()
    script = "for handle in range(1, 8): write(handle, b'x')\npause()"
    exits, killed = puppet(script), puppet(script)
    exits.step()
    killed.step()
    exits.end()
    killed.process.kill()
    killed.process.wait()
    wait_for(lambda: len(run.messages("connection")) == 28, "14 connections to be opened and closed")
    messages = run.stop()

    opened = [conn for event, conn in events(messages) if event == "opened"]
    closed = [conn for event, conn in events(messages) if event == "closed"]
    assert len(opened) == 14
    assert sorted(closed) == sorted(opened)


def test_exec(puppet, watch):
    """A program that becomes another one closes its connections, and the calls it was in are forgotten."""
    run = watch()
    program = puppet("""
import os, sys
left = int(os.environ.get("LEFT", 13))
again = lambda: os.execve(sys.executable, sys.orig_argv, {**os.environ, "LEFT": str(left - 1)})
new(1)
write(1, b"%d left" % left)
if left:
    write(1, b"never returned", inside=again)
""")
    for _ in range(13):
        program.step()
    program.end()
    messages = run.stop()

    assert [text for *_, text in said(messages)] == [f"{left} left" for left in range(13, -1, -1)]
    assert {m["pid"] for m in messages if m["type"] == "data"} == {program.pid}
    assert events(messages) == [
        (event, conn) for conn, *_ in said(messages) for event in ("opened", "closed")
    ]
    assert messages[-1]["lost"] == {}


def test_more_connections_than_the_map_holds(puppet, watch):
    """Beyond 65,536 open connections bytes are counted as lost; nothing that is known is forgotten."""
    run = watch()
    puppet("""
for handle in range(1, 65536 + 102):
    write(handle, b"seven..")
for handle in range(1, 102):
    free(handle)
for handle in range(65536 + 1, 65536 + 102):
    write(handle, b"room again")
write(60000, b"still known")
""").end()
    messages = run.stop()
    whole = said(messages)

    assert len(whole) == 65536 + 101 + 1
    assert whole[-1][1:] == (7, "still known")
    assert messages[-1]["lost"] == {"map_full": 101 * len("seven..")}
    assert messages[-1]["bytes"] == sum(len(text) for *_, text in whole) + 707


SHOWN = {"127.0.0.1": "127.0.0.1", "::1": "[::1]", "::ffff:127.0.0.1": "127.0.0.1"}
"""Addresses as a program gives them, and as they are shown: an IPv4 peer of an IPv6 socket as its peer sees it."""

CALLS = (
    "write(1, b'x', inside=lambda: sock.send(b'x'))",
    "peer.send(b'y'); read(1, b'x', inside=lambda: sock.recv(1))",
    "set_fd(1, sock.fileno()); write(1, b'x')",
)


@pytest.mark.parametrize("address", SHOWN)
def test_addresses(address, puppet, watch):
    """The socket used inside a call, or told by SSL_set_fd, gives the addresses that the program itself sees."""
    run = watch()
    program = puppet(f"""
for calls in {CALLS}:
    sock, peer = connected({address!r})
    new(1)
    exec(calls)
    free(1)
    pause(f"{{sock.getsockname()[1]}} {{sock.getpeername()[1]}}")
""")
    ports = [program.step().split() for _ in CALLS]
    program.end()
    messages = run.stop()

    found = [(m["src"], m["dst"]) for m in messages if m["type"] == "data"]
    assert found == [(f"{SHOWN[address]}:{src}", f"{SHOWN[address]}:{dst}") for src, dst in ports]


def test_a_socket_that_is_reset_inside_the_call(puppet, watch):
    """A reset takes the local port away: the address is not known then, never one with port 0."""
    run = watch()
    puppet("""
sock, peer = connected("127.0.0.1")
peer.close()
write(1, b"x", inside=lambda: sock.send(b"the answer to this is a reset"))
""").end()

    assert [(m["src"], m["dst"]) for m in run.stop() if m["type"] == "data"] == [(None, None)]


@pytest.mark.parametrize("address", SHOWN)
def test_addresses_without_socket_tracepoints(address, puppet, watch):
    """On kernels that lack the tracepoints the setter is enough; a socket that is not known is null."""
    run = watch(patch=NO_SOCKET_TRACEPOINTS)
    program = puppet(f"""
import socket
sock, peer = connected({address!r})
write(1, b"nobody told", inside=lambda: sock.send(b"x"))
set_fd(1, sock.fileno())
write(1, b"told")
set_fd(2, 0)
write(2, b"a pipe")
set_fd(3, 9999)
write(3, b"no descriptor")
unconnected = socket.socket()
set_fd(4, unconnected.fileno())
write(4, b"not connected")
pause(f"{{sock.getsockname()[1]}} {{sock.getpeername()[1]}}")
""")
    src, dst = program.step().split()
    program.end()
    messages = run.stop()

    ends = f"{SHOWN[address]}:{src}", f"{SHOWN[address]}:{dst}"
    found = {m["data"]: (m["src"], m["dst"]) for m in messages if m["type"] == "data"}
    unknown = dict.fromkeys(["nobody told", "a pipe", "no descriptor", "not connected"], (None, None))
    assert found == {"told": ends, **unknown}
