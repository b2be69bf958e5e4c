"""What is remembered of a call from its entry to its return, with a library that does exactly as it is told."""

from __future__ import annotations

from tests.kernel.puppets import build_program, numbered
from tests.kernel.streams import shown, streams


def written(messages):
    """The writes of each connection in the order of their ends."""
    return [shown(message, "data") for message in messages if message["type"] == "data"]


def test_nested_calls(puppet, watch):
    """Calls within calls (TLS inside TLS) each give their own bytes; one too deep is counted, not guessed."""
    run = watch()
    puppet("""
write(1, b"outer", inside=lambda: read(2, b"middle", inside=lambda: write(3, b"inner")))
write(1, b"first", lambda: write(2, b"second", lambda: write(3, b"third", lambda: write(4, b"too deep"))))
""").end()
    messages = run.stop()

    assert written(messages) == [b"inner", b"middle", b"outer", b"third", b"second", b"first"]
    assert messages[-1]["lost"] == {"untracked_calls": 1}


def test_a_count_that_makes_no_sense(puppet, watch):
    """More bytes than were asked for are not believed, whatever the program's memory says: the call is counted."""
    run = watch()
    puppet("""
write_ex(1, b"honest", 6)
write_ex(1, b"boasting", 9)
write_ex(1, b"absurd", 2**64 - 1)
write_ex(1, b" again", 6)
""").end()
    messages = run.stop()

    assert written(messages) == [b"honest", b" again"]
    assert messages[-1]["bytes"] == 12
    assert messages[-1]["lost"] == {"untracked_calls": 2}


def test_files_that_the_kernel_sends(puppet, watch):
    """What SSL_sendfile sends is lost, and said to be: how many bytes, and at which place of the stream."""
    run = watch()
    puppet("""
write(1, b"header")
sendfile(1, 70_000)
write(1, b"trailer")
""").end()
    messages = run.stop()

    assert written(messages) == [b"header", b"trailer"]
    (hole,) = [message for message in messages if message["type"] == "lost"]
    assert (hole["direction"], hole["offset"], hole["size"], hole["reason"]) == (
        "write",
        6,
        70_000,
        "sendfile",
    )
    assert [message["offset"] for message in messages if message["type"] == "data"] == [0, 70_006]
    assert (messages[-1]["bytes"], messages[-1]["lost"]) == (70_013, {"sendfile": 70_000})


def test_calls_left_by_longjmp(puppet, watch):
    """A call that never returns gives no bytes, and however many there were, later calls are whole."""
    run = watch()
    puppet("""
for number in range(7):
    write_and_leave(1, b"never returned")
    write(1, b"returned %d" % number)
write(1, b"outer", inside=lambda: (write_and_leave(2, b"never"), write(2, b"inner")))
""").end()
    messages = run.stop()

    assert written(messages) == [*(b"returned %d" % number for number in range(7)), b"inner", b"outer"]
    assert messages[-1]["lost"] == {}


def test_a_thread_that_dies_in_a_call(puppet, watch):
    """Threads that end within calls leave nothing behind: the map of threads never fills, the rest is whole."""
    run = watch()
    puppet("""
import os, signal, threading
child = os.fork()
if child == 0:
    write(1, b"complete")
    write(1, b"never returned", inside=lambda: os._exit(0))
os.waitpid(child, 0)
write(1, b"parent")
""").end()
    messages = run.stop()

    assert written(messages) == [b"complete", b"parent"]
    assert messages[-1]["lost"] == {}


def test_stacks_that_the_program_switches(programs, watch, fake_ssl, tmp_path):
    """A call on one stack (coroutine) that begins and ends within a call on another takes nothing from it."""
    run = watch()
    programs.run(build_program("fibers", tmp_path, fake_ssl), env={"LD_LIBRARY_PATH": str(fake_ssl.parent)})
    messages = run.stop()

    assert written(messages) == [b"lower stack\n", b"higher stack\n"]
    assert messages[-1]["lost"] == {}


def test_records_as_long_as_their_data(puppet, watch):
    """A call of any size arrives whole in both directions, in pieces of at most 16 KiB."""
    sizes = [191, 192, 193, 960, 961, 4032, 4033, 16384, 16385, 32768, 100_003, 1]
    run = watch()
    puppet(f"""
for size in {sizes}:
    write(size, numbered(size))
    read(size, numbered(size))
""").end()
    messages = run.stop()

    for size, stream in zip(sizes, streams(messages), strict=True):
        assert stream.written == numbered(size)
        assert stream.read == numbered(size)
    offsets = [message["offset"] for message in messages if message["type"] == "data"]
    expected = [at for size in sizes for _ in range(2) for at in range(0, size, 16384)]
    assert sorted(offsets) == sorted(
        expected
    )  # a single byte, which may begin a protocol, is shown at the end
    assert (messages[-1]["bytes"], messages[-1]["lost"]) == (2 * sum(sizes), {})
