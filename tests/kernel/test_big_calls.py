"""The longest calls: whole with the default ring, and exactly accounted for where the ring cannot hold them."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess

import pytest

from tests.kernel.follow import Follow
from tests.kernel.processes import decoder_of
from tests.kernel.puppets import build_program, numbered, wait_until_stopped
from tests.kernel.running import wait_for
from tests.kernel.streams import shown

MIB = 1 << 20
BIG = 16 * MIB
TIMES = 20
RING = 32 * MIB
"""The default (attach/loaded.py, ring_bytes), which the kernel never fills to the last byte."""


@pytest.fixture
def busy_cores(programs):
    """Something else to do for each core, all the time."""
    for _ in range(os.cpu_count()):
        programs.start("sh", "-c", "while :; do :; done")


@pytest.fixture
def follow():
    """Follow the output of a capture."""
    opened = []

    def begin(run):
        opened.append(Follow(run.events))
        return opened[-1]

    yield begin
    for output in opened:
        output.close()


def arrives(output, pid, direction, total):
    """Wait until so many bytes of the connection of a process are there, in order; return their hash."""

    def complete():
        stream = output.read_on().stream(pid, direction)
        return stream if stream and output.size[stream] >= total else None

    stream = wait_for(complete, f"{total} bytes, {output.lost} lost")
    assert output.size[stream] == total
    return output.sha256[stream].hexdigest()


@pytest.mark.usefixtures("busy_cores")
def test_16_mib_writes(programs, tls, capture, follow, tmp_path):
    """20 of 20 single SSL_write calls of 16 MiB through libssl arrive whole while both cores are busy."""
    data, sent = numbered(BIG), hashlib.sha256()
    victim = programs.start(
        build_program("big_write", tmp_path, "-lssl", "-lcrypto"), tls.cert, tls.key, "1.3",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with victim.stdin, victim.stdout:
        pid = int(victim.stdout.readline())
        run = capture("--pid", str(pid))
        output = follow(run)
        for number in range(1, TIMES + 1):
            victim.stdin.write(b"write\n")
            victim.stdin.flush()
            assert victim.stdout.readline() == b"written\n"
            sent.update(data)
            assert arrives(output, pid, "write", number * BIG) == sent.hexdigest()
    assert run.stop()[-1]["lost"] == {}
    assert output.lost == []


@pytest.mark.usefixtures("busy_cores")
def test_16_mib_reads(puppet, watch, follow):
    """20 of 20 single calls that return 16 MiB at once arrive whole, though no encryption slows them down."""
    data, sent = numbered(BIG), hashlib.sha256()
    run = watch()
    output = follow(run)
    program = puppet(f"data = numbered({BIG})\nwhile True: read(1, data); pause()")
    for number in range(1, TIMES + 1):
        program.step()
        sent.update(data)
        assert arrives(output, program.pid, "read", number * BIG) == sent.hexdigest()
    program.process.kill()
    assert run.stop()[-1]["lost"] == {}
    assert output.lost == []


def account(messages, content):
    """Check each piece of the only stream against `content`; return the sizes of what came and what is lost.

    Pieces and holes must follow each other without overlap, to the end.
    """
    at, sizes = 0, {"data": 0, "lost": 0}
    for message in messages:
        if message["type"] not in sizes:
            continue
        size, start = message["size"], message["offset"]
        assert start == at
        if message["type"] == "data":
            assert shown(message, "data") == content[start : start + size]
        else:
            assert message["reason"] == "ring_full"
        at += size
        sizes[message["type"]] += size
    assert at == len(content)
    return sizes


def undrained(run):
    """Stop the decoder of a capture, as a machine that is out of breath does; return its process."""
    decoder = decoder_of(run.process.pid)
    os.kill(decoder, signal.SIGSTOP)
    wait_until_stopped(decoder)
    return decoder


def test_what_the_ring_cannot_hold_is_lost_exactly(puppet, watch):
    """While nobody drains, the ring takes what fits; the holes are where they are said to be, to the byte."""
    content = numbered(49 * MIB)
    run = watch()
    program = puppet(f"""
data = numbered({len(content)})
write(1, data[:1000])
pause()
for at in range(1000, {48 * MIB}, {8 * MIB}):
    write(1, data[at:min(at + {8 * MIB}, {48 * MIB})])
pause()
write(1, data[{48 * MIB}:])
""")
    program.step()
    wait_for(lambda: run.messages("data"), "the first bytes")
    decoder = undrained(run)
    program.step()
    os.kill(decoder, signal.SIGCONT)
    wait_for(lambda: run.events.stat().st_size > 0.9 * RING, "the ring's content")
    program.end()
    messages = run.stop()

    sizes = account(messages, content)
    assert sizes["data"] > RING * 0.9
    assert messages[-1]["bytes"] == len(content) == sizes["data"] + sizes["lost"]
    assert messages[-1]["lost"] == {"ring_full": sizes["lost"]}


@pytest.mark.parametrize("ending", ["free(1)", "import os; os.kill(os.getpid(), 9)"])
def test_the_last_bytes_lost(ending, puppet, watch):
    """A hole at the end of a stream shows too, also when there was no room to say that the stream ended."""
    content, others = numbered(34 * MIB), range(2, 300)
    run = watch()
    program = puppet(f"""
data = numbered({len(content)})
write(1, data[:1000])
for handle in {others}:
    write(handle, b"words")
pause()
write(1, data[1000:])
for handle in {others}:  # into what little room is left
    write(handle, b"words")
    free(handle)
{ending}
pause()
""")
    program.step()
    wait_for(lambda: len(run.messages("data")) == 1 + len(others), "the first bytes")
    decoder = undrained(run)
    program.go_on()
    if ending == "free(1)":
        program.said()
    else:
        program.process.wait()
    os.kill(decoder, signal.SIGCONT)
    messages = run.stop()
    stream = [message for message in messages if message.get("conn") == messages[0]["conn"]]
    elsewhere = [m["size"] for m in messages if m["type"] == "lost" and m not in stream]

    sizes = account(stream, content)
    assert sizes["lost"] > 0
    assert messages[-1]["bytes"] == len(content) + 2 * len(b"words") * len(others)
    assert messages[-1]["lost"] == {"ring_full": sizes["lost"] + sum(elsewhere)}


@pytest.mark.parametrize("_", range(3))
def test_the_end_in_the_middle_of_a_call(_, puppet, watch):
    """A capture that ends while a call is being copied still accounts for each of its bytes."""
    run = watch()
    program = puppet(f"data = numbered({BIG})\nwhile True: write(1, data)")
    program.go_on()
    wait_for(lambda: run.events.stat().st_size > MIB, "the first bytes")
    messages = run.stop()
    *stream, summary = [message for message in messages if message["type"] in {"data", "lost", "summary"}]

    at = 0
    for message in stream:
        assert message["offset"] == at
        at += message["size"]
    assert summary["bytes"] == at
    assert sum(summary["lost"].values()) == sum(m["size"] for m in stream if m["type"] == "lost")
