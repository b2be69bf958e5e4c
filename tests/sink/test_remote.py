"""Outputs to connections: real sockets, and beside them the process that makes another connection (here a thread)."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import closing

import pytest
from tests.kernel.running import wait_for
from tests.sink.messages import raw

from pellucid.channel import Channel
from pellucid.errors import PellucidError
from pellucid.inbox import Inbox
from pellucid.log import log
from pellucid.places import Places, serve
from pellucid.settings import Show
from pellucid.sink import SinkOptions, SinkSpec
from pellucid.sink.framing import Plain
from pellucid.sink.json import JsonSink
from pellucid.sink.remote import Remote

LIMIT = 1 << 20
SIZE = 4096
"""Bytes of the data in each message."""


class Place:
    """A TCP server on one port, and a sink to it; `accept` takes the next connection."""

    def __init__(self, *, patient: bool = False) -> None:
        # A small window, so that a reader who stops is felt at once; it is inherited by accepted connections.
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        self._port = self._listening.getsockname()[1]
        self._places = Places()
        spec = SinkSpec("json", f"tcp://127.0.0.1:{self._port}")
        (fd,) = self._places.open([spec], Show())
        ours, theirs = Channel.pair()
        self.channels = ours, theirs
        self.inbox = Inbox(ours)
        self._thread = threading.Thread(target=serve, args=(theirs, self._places))
        self._thread.start()
        self.output = Remote(
            os.dup(fd), spec.place, 0, self.inbox, Plain, LIMIT, framed=False, patient=patient
        )
        self._places.let_go()
        self.sink = JsonSink(self.output, SinkOptions())
        self.sent = 0
        self._ends: list[socket.socket] = []

    def accept(self) -> socket.socket:
        """The next connection."""
        end, _ = self._listening.accept()
        end.settimeout(20)
        self._ends.append(end)
        return end

    def send(self, number: int) -> None:
        """So many messages, each with its number."""
        for _ in range(number):
            self.sink.write(raw("x" * SIZE, offset=self.sent))
            self.sent += 1
        self.sink.flush()

    def go_on(self) -> None:
        """What the decoder does when a connection can go on, or a message came."""
        self.inbox.wait(10)
        while self.inbox.pending:
            self.inbox.receive()
        self.sink.flush()

    def close(self) -> None:
        """End everything."""
        for end in self._ends:
            end.close()
        self.output.close()
        self.channels[0].close()
        self._thread.join()
        self.channels[1].close()
        self._places.close()
        self._listening.close()


@pytest.fixture
def place():
    """A place whose reader is not waited for."""
    with closing(Place()) as opened:
        yield opened


class Reader:
    """Reads a connection to its end in another thread: the whole lines of it."""

    def __init__(self, end: socket.socket) -> None:
        self.text = b""
        self._end = end
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while piece := self._end.recv(65536):
            self.text += piece

    def wait(self) -> list[dict[str, object]]:
        """All messages, once the connection has ended."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.messages()

    def messages(self) -> list[dict[str, object]]:
        """Those so far."""
        return [json.loads(line) for line in self.text.splitlines(keepends=True) if line.endswith(b"\n")]


def check(messages, sent: int) -> tuple[int, int]:
    """Every message is there, in order, or counted exactly where it is missing; how many are, and how many not."""
    following = missing = 0
    for message in messages:
        if message["type"] == "lost":
            assert (message["reason"], message["conn"]) == ("place_full", None)
            assert message["size"] > SIZE * message["messages"]
            following += message["messages"]
            missing += message["messages"]
        else:
            assert message["offset"] == following
            following += 1
    assert following == sent
    return sent - missing, missing


def test_a_reader_that_keeps_up(place):
    """Everything arrives, in order."""
    reader = Reader(place.accept())
    for _ in range(10):
        place.send(10)
        wait_for(lambda: place.go_on() or len(reader.messages()) == place.sent, "the messages")
    place.sink.close()
    assert check(reader.wait(), 100) == (100, 0)


def test_a_reader_that_stops(place):
    """Nobody waits for it; what does not fit is counted where it is missing, once the reader goes on."""
    end = place.accept()
    place.send(1000)
    assert 1000 * SIZE > 3 * LIMIT
    reader = Reader(end)
    wait_for(
        lambda: place.go_on() or any(each["type"] == "lost" for each in reader.messages()),
        "what is said of it",
    )
    place.send(10)
    place.sink.close()
    arrived, missing = check(reader.wait(), 1010)
    assert arrived > LIMIT / SIZE / 2
    assert missing > 500


def test_a_reader_that_comes_back(place):
    """What its kernel had not acknowledged comes again on the next connection, whole; nothing is missing between."""
    first = place.accept()
    place.send(100)
    first.shutdown(socket.SHUT_WR)
    old = Reader(first)
    wait_for(lambda: place.go_on() or place.output._fd < 0, "the loss to be noticed")
    place.send(50)
    place.go_on()
    new = Reader(place.accept())
    wait_for(lambda: place.go_on() or place.output._fd >= 0, "another connection")
    place.send(50)
    place.sink.close()
    earlier, later = old.wait(), new.wait()
    offsets = [message["offset"] for message in later]
    assert offsets == list(range(offsets[0], 200))
    assert {message["offset"] for message in earlier} | set(offsets) == set(range(200))


def test_a_reader_that_stays_away(place, caplog):
    """While nobody is there messages wait up to the limit; at the end the log says how many never arrived."""
    log.addHandler(caplog.handler)
    end = place.accept()
    wait_for(lambda: place.go_on() or place.output._proven, "the connection to be used")
    place._listening.close()
    end.close()
    wait_for(lambda: place.go_on() or place.output._fd < 0, "the loss to be noticed")
    place.send(1000)
    assert LIMIT - 2 * SIZE < place.output._held <= LIMIT
    place.sink.close()
    log.removeHandler(caplog.handler)
    assert caplog.messages[-1].endswith("the last 1000 messages have not arrived")


def test_patience():
    """A replay waits for its reader: however slow it is, nothing is dropped."""
    with closing(Place(patient=True)) as place:
        reader = Reader(place.accept())
        place.send(800)
        place.sink.close()
        assert check(reader.wait(), 800) == (800, 0)


def test_a_message_larger_than_the_queue(place):
    """It goes through when nothing else waits."""
    reader = Reader(place.accept())
    place.sink.write(raw("x" * (LIMIT * 2), offset=0))
    place.sink.close()
    (message,) = reader.wait()
    assert len(message["data"]) == 2 * LIMIT


def test_somebody_who_hangs_up_at_once(place):
    """A place that accepts and closes is none: that is an error, as if nobody had been there."""
    place.accept().close()
    with pytest.raises(PellucidError, match=r"^cannot write to tcp://127.0.0.1:\d+: "):
        wait_for(place.go_on, "the error")
