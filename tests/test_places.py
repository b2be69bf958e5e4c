"""What the decoder may ask for: the next file and another connection of an output that has such, and nothing else."""

from __future__ import annotations

import errno
import os
import select
import socket
import time

import pytest

from pellucid import dial
from pellucid.channel import NextFile, NotOpened, Opened, Reconnect
from pellucid.dial import Dialer
from pellucid.errors import PellucidError
from pellucid.places import Places
from pellucid.settings import Show
from pellucid.sink import Endpoint, SinkSpec
from tests.kernel.running import PATIENCE, wait_for


@pytest.fixture
def server():
    """A server of loopback that lets anybody connect."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def places(server, tmp_path):
    """A file that rotates, a connection, and standard output."""
    opened = Places()
    port = server.getsockname()[1]
    specs = [
        SinkSpec("json", str(tmp_path / "x")),
        SinkSpec("json", f"tcp://127.0.0.1:{port}"),
        SinkSpec("text", "-"),
    ]
    fds = opened.open(specs, Show(rotate_size=1))
    os.write(fds[0], b"something")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "nonsense",
    [NextFile(1), NextFile(2), NextFile(3), NextFile(-1), Reconnect(0), Reconnect(2), Reconnect(1 << 40)],
)
def test_nothing_else_is_opened(nonsense, places, tmp_path):
    """An output that is no file has no next one, one that is no connection no other; and there are no more outputs."""
    with pytest.raises(PellucidError, match="does not make sense"):
        places.hear(nonsense)
    assert list(places.answers()) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_the_next_file(places, tmp_path):
    """It is answered with a descriptor of a new file of the same name."""
    places.hear(NextFile(0))
    ((answer, fd),) = places.answers()
    assert answer == Opened(0)
    assert os.path.samestat(os.fstat(fd), (tmp_path / "x").stat())
    assert os.fstat(fd).st_size == 0
    os.close(fd)


def test_no_next_file(places, tmp_path):
    """What is wrong is told to the decoder, which ends with that line."""
    (tmp_path / "x").unlink()
    (tmp_path / "x").mkdir()
    places.hear(NextFile(0))
    (answer,) = places.answers()
    assert answer == (NotOpened(0, f"cannot rotate {tmp_path / 'x'}: another file has taken its place"), None)


@pytest.mark.parametrize(
    ("before", "expected"), [("", "new\n"), ("old\n", "old\nnew\n"), ("cut sh", "cut sh\nnew\n")]
)
def test_a_file_that_is_appended_to(before, expected, tmp_path):
    """What it holds stays, and what is written begins a line, also where an earlier run was cut short."""
    path = tmp_path / "keys"
    path.write_text(before)
    opened = Places()
    (fd,) = opened.open([SinkSpec("keylog", str(path), appends=True)], Show())
    opened.empty()
    os.write(fd, b"new\n")
    opened.close()
    assert path.read_text() == expected


def test_another_connection(places, server):
    """It is made in the background, once however often it is asked for, and handed over when it is there."""
    first, _ = server.accept()
    for _ in range(5):
        places.hear(Reconnect(1))
    assert list(places.answers()) == []  # it takes its time
    assert 0 < places.patience_ms() <= dial.LEAST_DELAY * 1000
    ((answer, fd),) = wait_for(lambda: list(places.answers()), "another connection")
    second, _ = server.accept()
    os.write(fd, b"through it")
    assert (answer, second.recv(100)) == (Opened(1), b"through it")
    assert places.patience_ms() is None
    for end in (first, second):
        end.close()
    os.close(fd)


def test_ever_longer_pauses(server, monkeypatch):
    """Where nobody listens, attempts come after 0.1 s, 0.2 s ... and no less often than every 5 s; then one succeeds."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    address = server.getsockname()
    dialer = Dialer(Endpoint("tcp", "127.0.0.1", address[1]), "x")
    server.close()
    pauses = []
    with select.epoll() as wake:
        dialer.ask()
        for _ in range(9):
            pauses.append(dialer.due - now[0])
            now[0] = dialer.due
            assert dialer.step(wake) is None  # begins an attempt
            assert wake.poll(PATIENCE)
            assert dialer.step(wake) is None  # which has failed
        now[0] = dialer.due
        with socket.create_server(address):
            assert dialer.step(wake) is None
            assert wake.poll(PATIENCE)
            fd = dialer.step(wake)
    assert [round(pause, 1) for pause in pauses] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    os.close(fd)
    assert dialer.due is None


@pytest.mark.parametrize(
    ("host", "reason"),
    [("127.0.0.1", "Connection refused"), ("no-such-host.invalid", "")],
)
def test_nobody_is_there(host, reason, server):
    """At the start that is an error that names the place and the reason."""
    port = server.getsockname()[1]
    server.close()
    with pytest.raises(PellucidError, match=f"^cannot write to the place: {reason}"):
        Dialer(Endpoint("tcp", host, port), "the place").connect()


def test_a_host_that_does_not_answer(monkeypatch):
    """A connection that nobody accepts or refuses is given up in time."""
    monkeypatch.setattr(dial, "FIRST_WAIT", 0.05)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        dialer = Dialer(Endpoint("tcp", *full.getsockname()), "x")
        accepted = dialer.connect()  # by the kernel, which holds one for it
        with pytest.raises(PellucidError, match="Connection timed out"):
            dialer.connect()
        os.close(accepted)


@pytest.fixture
def refused(monkeypatch):
    """The errno's name with which sockets of a family are refused from now on."""

    class Refusing(socket.socket):
        def __init__(self, family=-1, *more, **named):
            if family in refusals:
                raise OSError(refusals[family], os.strerror(refusals[family]))
            super().__init__(family, *more, **named)

    refusals = {}
    monkeypatch.setattr(dial.socket, "socket", Refusing)
    return refusals


def test_a_family_that_the_machine_has_not(server, refused, monkeypatch):
    """Where there is no IPv6, the next address is tried."""
    ipv4 = server.getsockname()
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", ipv4[1], 0, 0)),
             (socket.AF_INET, socket.SOCK_STREAM, 6, "", ipv4)]  # fmt: skip
    monkeypatch.setattr(dial.socket, "getaddrinfo", lambda *_, **__: found)
    refused[socket.AF_INET6] = errno.EAFNOSUPPORT
    os.close(Dialer(Endpoint("tcp", "localhost", ipv4[1]), "x").connect())


def test_no_descriptor_left(server, refused):
    """At the start that is one line; later it is a failure like others, after which another attempt follows."""
    dialer = Dialer(Endpoint("tcp", *server.getsockname()), "x")
    refused[socket.AF_INET] = errno.EMFILE
    with pytest.raises(PellucidError, match="cannot write to x: Too many open files"):
        dialer.connect()
    with select.epoll() as wake:
        dialer.ask()
        wait_for(lambda: dialer.step(wake) is None and dialer.due > time.monotonic() + 0.1, "a failure")
        refused.clear()
        os.close(wait_for(lambda: dialer.step(wake), "a connection"))
