"""Each way to call libssl, by the victims in tests/victims: every byte once, at its place, on both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel import victims
from tests.kernel.streams import Stream, streams
from tests.kernel.victims import End, answered, asked, at, conversation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

    RunVictim = Callable[..., tuple[list[End], list[Stream]]]

both_versions = pytest.mark.parametrize("version", ["1.2", "1.3"])


@pytest.fixture
def run_victim(tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> RunVictim:
    """`run_victim(name, version)` runs a victim under capture: what it says, and what was seen of it."""

    def run(name: str, version: str) -> tuple[list[End], list[Stream]]:
        program = victims.build(name, tmp_path)
        running = capture()
        ends = victims.run(program, programs, tls, version)
        messages = running.stop()
        assert messages[-1]["lost"] == {}
        return ends, sorted(streams(messages))

    return run


@both_versions
def test_read_and_write(run_victim: RunVictim, version: str) -> None:
    """SSL_read and SSL_write: both ends have the whole conversation, and their sockets' addresses."""
    ends, seen = run_victim("read_write", version)
    assert seen == sorted(conversation(end) for end in ends)


@both_versions
def test_ex_calls(run_victim: RunVictim, version: str) -> None:
    """SSL_read_ex and SSL_write_ex: as many bytes as they store, whatever they return."""
    ends, seen = run_victim("read_write_ex", version)
    texts = (b"a question by SSL_write_ex", b"an answer by SSL_write_ex")
    assert seen == sorted(at(end, *texts) for end in ends)


@both_versions
def test_peek(run_victim: RunVictim, version: str) -> None:
    """Bytes that the server peeks at three times before it reads them appear once."""
    ends, seen = run_victim("peek", version)
    assert seen == sorted(conversation(end) for end in ends)


def test_early_data(run_victim: RunVictim) -> None:
    """What both ends of a resumed TLS 1.3 connection write before its handshake is over comes first."""
    ends, seen = run_victim("early_data", "1.3")
    early = {
        "first": (b"", b""),
        "second": (b"a question as early data", b"an answer as early data"),
    }
    assert seen == sorted(
        at(end, early[end.name][0] + asked(end.name), early[end.name][1] + answered(end.name)) for end in ends
    )


@both_versions
def test_retries(run_victim: RunVictim, version: str) -> None:
    """A write that is made again after WANT_WRITE appears once, done in the end as a whole or in parts."""
    ends, seen = run_victim("nonblocking", version)
    texts = {
        name: bytes(ord(first) + number % 23 for number in range(8209))
        for name, first in (("whole", "a"), ("parts", "A"))
    }
    assert all(end.retries for end in ends if end.role == "client")
    assert seen == sorted(at(end, texts[end.name], b"") for end in ends)


@both_versions
def test_threads(run_victim: RunVictim, version: str) -> None:
    """Five connections of five threads at each end, all at the same time, keep their bytes apart."""
    ends, seen = run_victim("threads", version)
    assert seen == sorted(at(end, end.name.encode() + asked(end.name), answered(end.name)) for end in ends)


@both_versions
def test_fork(run_victim: RunVictim, version: str) -> None:
    """A child that serves its parent's connection is seen as itself, with that connection's addresses."""
    ends, seen = run_victim("fork", version)
    texts = {
        ("client", "child"): (b"to the parent" + asked("child"), answered("child")),
        ("server", "parent"): (b"to the parent", b""),
        ("server", "child"): (asked("child"), answered("child")),
    }
    assert seen == sorted(at(end, *texts[end.role, end.name]) for end in ends)


@both_versions
def test_clear(run_victim: RunVictim, version: str) -> None:
    """An SSL object that SSL_clear makes ready for a second connection is a second connection."""
    ends, seen = run_victim("clear", version)
    assert seen == sorted(conversation(end) for end in ends)


@both_versions
def test_socketpair(run_victim: RunVictim, version: str) -> None:
    """TLS over Unix sockets has no addresses: null, not those of a TCP connection that is open beside it."""
    ends, seen = run_victim("socketpair", version)
    assert seen == sorted(conversation(end)._replace(local=None, remote=None) for end in ends)
