"""WebSocket framing against another implementation's server half (the `websockets` library's own, sans I/O)."""

from __future__ import annotations

import pytest
from websockets.frames import Opcode
from websockets.server import ServerProtocol

from pellucid.sink.framing import ConnectionEnded, Plain
from pellucid.sink.websocket import MOST_HEARD, WebSocket

URL = "ws://viewer.example:9000/events?from=here"


class Server:
    """The other end; `accept` says how it answers to the handshake."""

    def __init__(self, client: WebSocket) -> None:
        self.protocol = ServerProtocol()
        self.client = client
        self.protocol.receive_data(client.begin())
        (self.request,) = self.protocol.events_received()

    def accept(self) -> None:
        """Agree."""
        self.protocol.send_response(self.protocol.accept(self.request))
        self.say()

    def say(self) -> None:
        """Hand what is to be said to the client, and hear its answer."""
        answer = self.client.receive(b"".join(self.protocol.data_to_send()))
        if answer:
            self.protocol.receive_data(answer)


@pytest.fixture
def client() -> WebSocket:
    """A client for text."""
    return WebSocket(URL, binary=False)


def test_the_handshake(client):
    """It asks for the path of the place, and nothing is sent before the server has agreed."""
    server = Server(client)
    assert (server.request.path, server.request.headers["Host"]) == (
        "/events?from=here",
        "viewer.example:9000",
    )
    assert not client.ready
    server.accept()
    assert client.ready


@pytest.mark.parametrize(
    ("binary", "opcode", "data"), [(False, Opcode.TEXT, b'{"a":1}'), (True, Opcode.BINARY, b'{"a":1}\n')]
)
def test_one_message_a_frame(binary, opcode, data):
    """Text goes without its line end, anything else as it is; each message is one whole frame of its kind."""
    server = Server(WebSocket(URL, binary=binary))
    server.accept()
    server.protocol.receive_data(server.client.frame(b'{"a":1}\n') + server.client.frame(b'{"a":1}\n'))
    assert [(frame.opcode, frame.data, frame.fin) for frame in server.protocol.events_received()] == [
        (opcode, data, True)
    ] * 2


def test_pings_are_answered(client):
    """With what they carry (RFC 6455 section 5.5.3)."""
    server = Server(client)
    server.accept()
    server.protocol.send_ping(b"still there?")
    server.say()
    (frame,) = server.protocol.events_received()
    assert (frame.opcode, frame.data) == (Opcode.PONG, b"still there?")


def test_the_end(client):
    """Taking leave is a close frame with status 1000; before there is a connection there is nothing to leave."""
    server = Server(client)
    assert client.finish() == b""
    server.accept()
    server.protocol.receive_data(client.finish())
    assert server.protocol.close_rcvd.code == 1000


def test_a_server_that_refuses(client):
    """Its status is the reason."""
    server = Server(client)
    server.protocol.send_response(server.protocol.reject(404, "no such thing"))
    with pytest.raises(ConnectionEnded, match="refused the WebSocket with status 404"):
        server.say()


def test_a_server_of_something_else(client):
    """One that does not answer in HTTP is no such server."""
    client.begin()
    with pytest.raises(ConnectionEnded, match="does not speak WebSocket"):
        client.receive(b"220 mail.example ESMTP\r\n\r\n")


def test_a_server_that_closes(client):
    """Nothing may be sent after its close frame."""
    server = Server(client)
    server.accept()
    server.protocol.send_close(1001)
    with pytest.raises(ConnectionEnded, match="has closed the WebSocket"):
        server.say()


def test_a_server_that_talks(client):
    """What it says is passed over, up to a limit beyond which the connection ends: nobody reads it."""
    server = Server(client)
    server.accept()
    server.protocol.send_text(b"hello")
    server.say()
    server.protocol.send_text(bytes(MOST_HEARD + 1))
    with pytest.raises(ConnectionEnded):
        server.say()


def test_plain():
    """`tcp://` adds nothing and hears nothing."""
    plain = Plain()
    assert (plain.begin(), plain.frame(b"x\n"), plain.receive(b"hello"), plain.finish()) == (
        b"",
        b"x\n",
        b"",
        b"",
    )
    assert plain.ready
