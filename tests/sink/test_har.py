"""HAR: a document that its schema accepts, whole after every flush, and says what the messages say."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pellucid.errors import PellucidError
from pellucid.media import MAX_PARTS
from pellucid.model import ConnectionEvent, Http, Message, Request, Response, WebSocket
from pellucid.rotation import Limits, RotatedFile
from pellucid.sink import Output, SinkOptions
from pellucid.sink.har import HarSink
from pellucid.sink.har_form import params_of
from pellucid.sink.har_open import MAX_OPEN
from pellucid.sink.output import Rotation

from . import messages as some
from .har_schema import check_har
from .messages import TS, WHO, answer, http, lost, raw, summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HANDSHAKE = http(
    request=Request(method="GET", url="/chat?room=1", authority="e.com", headers=[("Upgrade", "websocket")]),
    response=Response(status=101, reason="Switching Protocols", headers=[("Upgrade", "WebSocket")]),
)
STREAM_OF_H2 = http(
    protocol="HTTP/2",
    stream=3,
    request=Request(
        method="CONNECT", url="/chat", authority="e.com", headers=[("sec-websocket-version", "13")]
    ),
    response=Response(status=200, reason="", headers=[]),
)


class Har:
    """A sink and its file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sink = HarSink(Output(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), str(path)), SinkOptions())
        self.sink.begin()

    def write(self, *messages: Message) -> list[dict[str, Any]]:
        """Write and flush; the file's entries, which must be valid."""
        for message in messages:
            self.sink.write(message)
        self.sink.flush()
        return check_har(self.path.read_bytes())

    @property
    def comment(self) -> str | None:
        """Of the whole log."""
        comment = json.loads(self.path.read_bytes())["log"].get("comment")
        assert comment is None or isinstance(comment, str)
        return comment


@pytest.fixture
def har(tmp_path: Path) -> Iterator[Har]:
    """A log that was begun."""
    log = Har(tmp_path / "log.har")
    yield log
    log.sink.close()


def entry(har: Har, **changes: Any) -> dict[str, Any]:
    """The one entry of one exchange."""
    (only,) = har.write(http(**changes))
    return only


def websocket(data: str | bytes = "hello", **changes: Any) -> WebSocket:
    """A message that the client sends."""
    fields = {**WHO, "url": "/chat", "direction": "write", "opcode": "text", "data": data, "size": len(data)}
    return WebSocket(**{**fields, **changes})


def request(url: str = "/", **changes: Any) -> Request:
    """A request for it."""
    return Request(**{"method": "GET", "authority": "e.com", "headers": [], **changes}, url=url)


def form(media: str, body: str | bytes) -> Request:
    """A request that posts it."""
    encoding = {"encoding": "base64"} if isinstance(body, bytes) else {}
    headers = [("Content-Type", media)]
    return request(method="POST", headers=headers, body=body, size=len(body), **encoding)


# --- the document ------------------------------------------------------------------------------------


def test_an_empty_log(har: Har) -> None:
    """Before the first exchange the file is a document without entries, which names who wrote it."""
    assert har.write() == []
    log = json.loads(har.path.read_bytes())["log"]
    assert (log["version"], log["creator"]["name"], log["pages"]) == ("1.2", "Pellucid", [])


def test_whole_after_every_flush(har: Har) -> None:
    """Each flush leaves a valid document that holds all exchanges so far, in order."""
    for number in range(7):
        entries = har.write(http(request=request(f"/{number}")), http(request=request("/same")))
        assert [one["request"]["url"] for one in entries][-2] == f"https://e.com/{number}"
        assert len(entries) == 2 * number + 2


def test_much_is_written_before_a_flush(har: Har) -> None:
    """A long batch does not pile up in memory: it is written, and valid, before it ends."""
    for _ in range(30):
        har.sink.write(http(response=answer("x" * 20_000)))
    assert len(check_har(har.path.read_bytes())) >= 13


def test_what_is_no_exchange(har: Har) -> None:
    """Raw data and opened connections have no place in the format and leave the file as it is."""
    before = har.path.read_bytes()
    har.write(raw("x"), some.connection())
    assert har.path.read_bytes() == before


def test_what_was_lost(har: Har) -> None:
    """The log's comment tells what was lost so far, and at the end what the summary says."""
    har.write(http(), lost(size=4000), lost(size=96))
    assert har.comment == "lost: 4096 bytes (ring_full)"
    har.write(summary(lost={"unreadable": 7}, complete=False))
    assert har.comment == "lost: 7 bytes (unreadable); incomplete: the capture broke off"


def test_a_shorter_end(har: Har) -> None:
    """An end that becomes shorter leaves nothing of the longer one behind."""
    har.write(http(), lost(reason="x" * 500))
    assert len(har.write(summary())) == 1
    assert har.comment is None


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Files cannot grow beyond it: a write is taken in part, the next refused, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("room", [0, 1, 5, 3000, 100_000])
def test_a_full_disk(har: Har, room: int) -> None:
    """When the disk is full in the middle of a write, that is an error, and the document is what it was before."""
    har.write(http(), HANDSHAKE, websocket())
    before = har.path.read_bytes()
    with disk_of(len(before) + room), pytest.raises(PellucidError, match=r"cannot write to .*log\.har: "):
        har.write(http(response=answer("x" * 200_000)))
    assert har.path.read_bytes().rstrip() == before.rstrip()
    har.sink.close()
    assert har.path.read_bytes() == before.rstrip() + b"\n"


def test_a_writer_that_is_killed(tmp_path: Path) -> None:
    """After kill -9 at any time the file is a valid document; small writes are not torn."""
    path = tmp_path / "log.har"
    endless = (
        "import sys; from pathlib import Path; from tests.sink.test_har import Har, http\n"
        "har = Har(Path(sys.argv[1])); print(flush=True)\n"
        "while True: har.sink.write(http()); har.sink.flush()"
    )
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", endless, path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            while path.stat().st_size < 200_000:
                assert writer.poll() is None
            writer.kill()
        assert len(check_har(path.read_bytes())) > 10
        path.unlink()


def test_a_pipe_is_refused() -> None:
    """What cannot be rewritten is refused in one line that says what to do."""
    reader, writer = os.pipe()
    sink = HarSink(Output(writer, "fifo"), SinkOptions())
    with pytest.raises(PellucidError, match="cannot write har to fifo: name a regular file"):
        sink.begin()
    sink.close()
    os.close(reader)


def test_a_file_is_full_when_the_next_is_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever opens the next file, and looks for itself, finds in this one what waited for a flush."""
    rotated = RotatedFile(str(tmp_path / "log.har"), Limits(200_000, 0, 0))
    rotation = Rotation(200_000, 0, lambda: rotated.following(asked=True))
    sink = HarSink(Output(rotated.open(), "har", rotation), SinkOptions())
    sink.begin()
    for number in range(20):
        sink.write(http(response=answer("x" * 45_000), request=request(f"/{number}")))
    sink.close()
    rotated.close()
    entries = [one for path in sorted(tmp_path.iterdir()) for one in check_har(path.read_bytes())]
    assert [one["request"]["url"] for one in entries] == [f"https://e.com/{number}" for number in range(20)]
    assert len(list(tmp_path.iterdir())) == 5
    assert not caplog.messages


def test_rotation(tmp_path: Path) -> None:
    """Each file of a rotation is a document of its own and no longer than asked for; each exchange is in one of them."""
    limit, paths = 20_000, [tmp_path / "0.har"]

    def following() -> int:
        paths.append(tmp_path / f"{len(paths)}.har")
        return os.open(paths[-1], os.O_WRONLY | os.O_CREAT, 0o600)

    fd = os.open(paths[0], os.O_WRONLY | os.O_CREAT, 0o600)
    sink = HarSink(Output(fd, "har", Rotation(limit, 0, following)), SinkOptions())
    sink.begin()
    sink.write(HANDSHAKE)
    for number in range(97):
        sink.write(http(conn=8, request=request(f"/{number}")))
        sink.write(websocket(str(number)))
        if number % 5 == 0:
            sink.flush()
    sink.close()

    entries = [entry for path in paths for entry in check_har(path.read_bytes())]
    assert len(paths) > 3
    assert all(limit * 0.8 < path.stat().st_size <= limit for path in paths[:-1])
    urls = [one["request"]["url"] for one in entries if one["connection"] == "8"]
    assert urls == [f"https://e.com/{number}" for number in range(97)]
    chats = [one for one in entries if one["connection"] == "7"]
    assert [m["data"] for chat in chats for m in chat["_webSocketMessages"]] == [str(n) for n in range(97)]
    assert {chat["request"]["url"] for chat in chats} == {"wss://e.com/chat?room=1"}


# --- entries -----------------------------------------------------------------------------------------


def test_an_exchange(har: Har) -> None:
    """Method, absolute URL, status, headers in order, body, who and where stand in the format's fields."""
    headers = [("Content-Type", "text/plain"), ("X", "1"), ("X", "2")]
    one = entry(har, request=request("/a?b=c"), response=answer("héllo", headers, size=6))
    asked, answered = one["request"], one["response"]
    assert (asked["method"], asked["url"], asked["httpVersion"]) == ("GET", "https://e.com/a?b=c", "HTTP/1.1")
    assert asked["queryString"] == [{"name": "b", "value": "c"}]
    assert "postData" not in asked
    assert (answered["status"], answered["statusText"], answered["bodySize"]) == (200, "OK", 6)
    assert answered["content"] == {"size": 6, "mimeType": "text/plain", "text": "héllo"}
    assert [(field["name"], field["value"]) for field in answered["headers"]] == headers
    assert (one["startedDateTime"], one["serverIPAddress"], one["connection"]) == (TS, "93.184.216.34", "7")
    assert (one["_pid"], one["_process"], one["_role"]) == (4711, "curl", "client")
    assert (one["_client"], one["_server"]) == (WHO["src"], WHO["dst"])


def test_http_2(har: Har) -> None:
    """The version is written as Chromium writes it, and the stream is told."""
    one = entry(har, protocol="HTTP/2", stream=5)
    assert {one["request"]["httpVersion"], one["response"]["httpVersion"]} == {"http/2.0"}
    assert one["_stream"] == 5


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        (request("http://other.org/x"), "http://other.org/x"),
        (request("*", method="OPTIONS"), "https://e.com/"),
        (request("e.com:443", method="CONNECT", authority="e.com:443"), "https://e.com:443/"),
        (request("/x", authority=None), "https://93.184.216.34:443/x"),
        (request("/x://y?z=http://a"), "https://e.com/x://y?z=http://a"),
        (request('/ä"%20<'), "https://e.com/%C3%A4%22%20%3C"),
    ],
)
def test_urls(har: Har, asked: Request, url: str) -> None:
    """Whatever form a target has, the entry has an absolute URL without characters that no URL may hold."""
    assert entry(har, request=asked)["request"]["url"] == url


def test_no_address_and_no_authority(har: Har) -> None:
    """Where nothing tells the host, the URL names one that never exists, and no address is made up."""
    one = entry(har, request=request("/x", authority=None), src=None, dst=None)
    assert one["request"]["url"] == "https://unknown.invalid/x"
    assert "serverIPAddress" not in one


def test_ipv6(har: Har) -> None:
    """The address of an IPv6 server stands without its brackets."""
    assert entry(har, dst="[2001:db8::1]:443")["serverIPAddress"] == "2001:db8::1"


def test_no_response(har: Har) -> None:
    """An exchange that was not answered has status 0, as Chromium writes it, and the reason."""
    one = entry(har, response=None, duration_ms=None, error="no response before the end")
    assert (one["response"]["status"], one["response"]["_error"]) == (0, "no response before the end")
    assert (one["comment"], one["time"]) == ("no response before the end", 0)


def test_no_request(har: Har) -> None:
    """A response alone has a request without a method, at the server's address."""
    one = entry(har, request=None)
    assert (one["request"]["method"], one["request"]["url"]) == ("", "https://93.184.216.34:443/")


@pytest.mark.parametrize(
    ("sent", "received", "whole", "expected"),
    [
        (1.5, 2.25, 10.0, (1.5, 6.25, 2.25)),
        (8.0, 4.0, 10.0, (8.0, 0, 2.0)),
        (None, 2.0, None, (0, 0, 2.0)),
        (3.0, None, None, (3.0, 0, 0)),
    ],
)
def test_timings(har: Har, sent: float, received: float, whole: float, expected: tuple[float, ...]) -> None:
    """Sending, waiting and receiving add up to the time; where both halves overlap nothing is waited for."""
    one = entry(har, request_ms=sent, response_ms=received, duration_ms=whole)
    phases = tuple(one["timings"][name] for name in ("send", "wait", "receive"))
    assert (phases, one["time"]) == (expected, sum(expected))


def test_bodies_that_are_not_text(har: Har) -> None:
    """Bytes are base64 in both halves; a request says so in a field of its own, for the format has none."""
    one = entry(har, request=form("image/png", b"\xff\x00"), response=answer(b"\x00\xfe"))
    content, posted = one["response"]["content"], one["request"]["postData"]
    assert (base64.b64decode(content["text"]), content["encoding"]) == (b"\x00\xfe", "base64")
    assert (base64.b64decode(posted["text"]), posted["_encoding"]) == (b"\xff\x00", "base64")


def test_sizes_of_a_compressed_body(har: Har) -> None:
    """The content's size is that of the decoded body, and the compression is what the coding saved."""
    answered = entry(har, response=answer("x" * 1000, [("Content-Encoding", "gzip")], size=30))["response"]
    assert (answered["content"]["size"], answered["content"]["compression"]) == (1000, 970)
    assert answered["bodySize"] == 30


def test_sizes_of_a_body_that_is_cut(har: Har) -> None:
    """A body that is only shown in part keeps its size, has its hash, and the entry says that it is cut."""
    one = entry(har, response=answer("x" * 10, size=5000, sha256="ab" * 32), truncated=True)
    assert (one["response"]["content"]["size"], one["response"]["_sha256"]) == (5000, "ab" * 32)
    assert one["_truncated"] is True


def test_cookies(har: Har) -> None:
    """Cookies of both halves are taken apart, with attributes and an ISO date; nonsense dates are left out."""
    asked = request(headers=[("cookie", "a=1; b=x=y"), ("Cookie", "c=")])
    headers = [
        (
            "Set-Cookie",
            "id=7; Path=/x; Domain=e.com; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure; HttpOnly",
        ),
        ("set-cookie", "k=; expires=nonsense; SameSite=Lax"),
    ]
    one = entry(har, request=asked, response=answer("", headers))
    sent = [(cookie["name"], cookie["value"]) for cookie in one["request"]["cookies"]]
    assert sent == [("a", "1"), ("b", "x=y"), ("c", "")]
    assert one["response"]["cookies"] == [
        {"name": "id", "value": "7", "path": "/x", "domain": "e.com", "expires": "2026-10-21T07:28:00.000Z",
         "httpOnly": True, "secure": True},
        {"name": "k", "value": "", "httpOnly": False, "secure": False, "sameSite": "Lax"},
    ]  # fmt: skip


def test_the_date_of_a_cookie(har: Har) -> None:
    """An offset behind it is passed over, as browsers do (RFC 6265 section 5.1.1); what is no date is left out."""
    lines = ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 +0200", "b=1; Expires=tomorrow"]
    cookies = entry(har, response=answer("", [("Set-Cookie", line) for line in lines]))["response"]["cookies"]
    assert [cookie.get("expires") for cookie in cookies] == ["2026-10-21T07:28:00.000Z", None]


def test_a_form(har: Har) -> None:
    """The fields of a form are listed with their encoding undone, and the text stands as it was sent."""
    posted = entry(har, request=form("application/x-www-form-urlencoded; charset=utf-8", "a=b+c&d=%C3%A4&e"))
    assert posted["request"]["postData"]["text"] == "a=b+c&d=%C3%A4&e"
    fields = [(param["name"], param["value"]) for param in posted["request"]["postData"]["params"]]
    assert fields == [("a", "b c"), ("d", "ä"), ("e", "")]


MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
    b'--B\r\ncontent-disposition: form-data; name="f"; filename="x.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\xff\r\n\x00\r\n--B--\r\n"
)  # fmt: skip


def test_a_multipart_form(har: Har) -> None:
    """Its parts are listed with file name and type; one that is not text is base64."""
    posted = entry(har, request=form('multipart/form-data; boundary="B"', MULTIPART))["request"]["postData"]
    assert posted["params"] == [
        {"name": "a", "value": "one"},
        {"name": "f", "value": base64.b64encode(b"\xff\r\n\x00").decode(), "fileName": "x.bin",
         "contentType": "application/octet-stream", "_encoding": "base64"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("media", "field"),
    [
        ("application/x-www-form-urlencoded", b"a&"),
        ("multipart/form-data; boundary=a", b"\r\n--a"),
        ("multipart/form-data; boundary=a", b"--a\r\n\r\nx\r\n"),
    ],
)
def test_a_form_of_too_many_fields(media: str, field: bytes, har: Har) -> None:
    """However many a body seems to have, the list has a bound, and so has what it costs; the text is whole."""
    body = field * 100_000
    posted = form(media, body.decode())
    tracemalloc.start()
    one = entry(har, request=posted)["request"]["postData"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert one["text"] == body.decode()
    assert len(one["params"]) <= MAX_PARTS
    assert ("comment" in one) == (len(one["params"]) == MAX_PARTS)
    assert peak < 12 * len(body) + 2**21


def test_a_query_of_too_many_fields(har: Har) -> None:
    """Its list has the same bound, and says that."""
    one = entry(har, request=request("/?" + "a&" * 2 * MAX_PARTS))["request"]
    assert len(one["queryString"]) == MAX_PARTS
    assert one["comment"] == "no more than 1000 fields are listed"


def test_a_quoted_boundary_and_names(har: Har) -> None:
    """A form is read as in every other output: quotes are undone, single line ends will do."""
    body = b'--a b\nContent-Disposition: form-data; name="x\\"y"\n\none\n--a b--\n'
    posted = entry(har, request=form('multipart/form-data; x="boundary=no"; boundary="a b"', body.decode()))
    assert posted["request"]["postData"]["params"] == [{"name": 'x"y', "value": "one"}]


@given(cut=st.integers(0, len(MULTIPART)), data=st.binary(max_size=40))
def test_any_multipart_body(cut: int, data: bytes) -> None:
    """Whatever a form's body is, and wherever it is cut off, nothing is raised, and only whole parts are listed."""
    params = params_of("multipart/form-data; boundary=B", MULTIPART[:cut] + data)
    assert isinstance(params, list)
    if not data:
        assert [param.name for param in params] == ["a", "f"][: len(params)]


def test_the_size_of_another_charset(har: Har) -> None:
    """The size of a body is that of its bytes, not that of the text which they mean."""
    answered = entry(har, response=answer("é", [("Content-Type", "text/plain; charset=iso-8859-1")], size=1))
    assert answered["response"]["content"]["size"] == 1


def test_a_redirect(har: Har) -> None:
    """The target of a redirection is where viewers look for it."""
    assert entry(har, response=answer("", [("location", "/b")]))["response"]["redirectURL"] == "/b"


def test_a_grpc_call(har: Har) -> None:
    """A gRPC call is an entry of HTTP/2 that tells its status."""
    call = entry(har, protocol="gRPC", response=answer("", grpc_status=5, grpc_message="no such thing"))
    assert call["request"]["httpVersion"] == "http/2.0"
    assert (call["response"]["_grpc_status"], call["response"]["_grpc_message"]) == (5, "no such thing")


ADDRESSES = st.none() | st.sampled_from(["10.0.0.1:443", "[::1]:443"])


@settings(max_examples=150, deadline=None)  # it writes files, and others do so too
@given(
    exchanges=st.lists(
        st.builds(lambda one, dst: replace(one, dst=dst), some.exchanges, ADDRESSES), min_size=1, max_size=3
    )
)
def test_any_exchange(tmp_path_factory: pytest.TempPathFactory, exchanges: list[Http]) -> None:
    """Whatever was captured, the document is valid, has an entry for each exchange, and absolute URLs."""
    har = Har(tmp_path_factory.mktemp("any") / "log.har")
    entries = har.write(*exchanges)
    har.sink.close()
    assert len(entries) == len(exchanges)
    assert all(re.fullmatch(r"[!-~]+://[!-~]*", one["request"]["url"]) for one in entries)


# --- WebSocket ---------------------------------------------------------------------------------------


def test_websocket_messages(har: Har) -> None:
    """Messages stand in the entry of their handshake as Chromium writes them, whatever was written in between."""
    har.write(HANDSHAKE)
    har.write(websocket("hi"), http(conn=8))
    other, chat = har.write(websocket(b"\x00\xff", opcode="binary", direction="read"))
    assert other["connection"] == "8"
    assert (chat["_resourceType"], chat["request"]["url"]) == ("websocket", "wss://e.com/chat?room=1")
    time = 1795316262.123456
    assert chat["_webSocketMessages"] == [
        {"type": "send", "time": time, "opcode": 1, "data": "hi"},
        {"type": "receive", "time": time, "opcode": 2, "data": base64.b64encode(b"\x00\xff").decode()},
    ]


def test_websocket_of_a_server(har: Har) -> None:
    """What a server reads is what the client has sent."""
    (chat,) = har.write(replace(HANDSHAKE, role="server"), websocket(role="server", direction="read"))
    assert chat["_webSocketMessages"][0]["type"] == "send"


def test_a_message_that_is_not_whole(har: Har) -> None:
    """A message that is cut keeps its size and hash, a close its code, a broken one its error."""
    har.write(HANDSHAKE, websocket("x", size=5000, sha256="ab" * 32, truncated=True))
    close = websocket("bye", opcode="close", code=4001, error="a bit too much")
    cut, closing = har.write(close)[0]["_webSocketMessages"]
    assert (cut["_size"], cut["_sha256"]) == (5000, "ab" * 32)
    assert (closing["opcode"], closing["_code"], closing["_error"]) == (8, 4001, "a bit too much")


def test_a_websocket_that_closes(har: Har) -> None:
    """When its connection has closed the entry is settled: later messages of that number are another's."""
    har.write(HANDSHAKE, websocket("one"))
    closed = ConnectionEvent(**WHO, event="closed", started="new")
    chat, later = har.write(closed, websocket("two"))
    assert [message["data"] for message in chat["_webSocketMessages"]] == ["one"]
    assert (later["comment"], later["response"]["status"]) == ("the handshake was not seen", 0)


def test_websocket_over_http_2(har: Har) -> None:
    """A stream's exchange is told when it ends, after its messages: they are one entry."""
    har.write(websocket("one", stream=3), websocket("other", stream=5))
    (first, second) = har.write(websocket("two", stream=3), STREAM_OF_H2)
    assert [message["data"] for message in first["_webSocketMessages"]] == ["one", "two"]
    assert (first["request"]["method"], first["response"]["status"]) == ("CONNECT", 200)
    assert [message["data"] for message in second["_webSocketMessages"]] == ["other"]


def test_long_websockets_are_bounded(har: Har) -> None:
    """When too much is open the longest entry is settled and says so; what is left out is counted, others go on."""
    har.write(HANDSHAKE, replace(HANDSHAKE, conn=8))
    long, short = "x" * (MAX_OPEN // 4), websocket("short", conn=8)
    har.write(*[websocket(long) for _ in range(6)], short)
    chat, other = har.write(websocket(), short)
    assert len(chat["_webSocketMessages"]) == 4
    assert chat["_truncated"] is True
    assert "_truncated" not in other
    assert len(other["_webSocketMessages"]) == 2
    assert har.comment == "3 WebSocket messages left out: their entries were too long"


def test_a_late_handshake_of_a_long_websocket(har: Har) -> None:
    """A stream of HTTP/2 whose entry was settled has no second entry when it ends; what that leaves out is counted."""
    long = "x" * (MAX_OPEN // 4)
    har.write(*[websocket(long, stream=3) for _ in range(5)])
    (only,) = har.write(STREAM_OF_H2)
    assert only["_truncated"] is True
    assert har.comment is not None
    assert har.comment.endswith("; 1 handshakes of such entries left out")


def test_a_long_handshake_is_bounded(har: Har) -> None:
    """A handshake that alone is too long is settled at once, and its messages are left out."""
    (chat,) = har.write(websocket(url="/" + "x" * MAX_OPEN), websocket())
    assert chat["_webSocketMessages"] == []
    assert har.comment == "2 WebSocket messages left out: their entries were too long"


def test_an_exchange_beside_a_websocket(har: Har) -> None:
    """An exchange never takes the place of a handshake that was seen."""
    chat, other = sorted(har.write(HANDSHAKE, http()), key=lambda one: "_webSocketMessages" not in one)
    assert (chat["request"]["url"], other["request"]["url"]) == ("wss://e.com/chat?room=1", "https://e.com/a")


def test_another_upgrade(har: Har) -> None:
    """A switch to another protocol than WebSocket is an exchange like any other."""
    (one,) = har.write(http(response=Response(status=101, reason="", headers=[("Upgrade", "h2c")])))
    assert "_webSocketMessages" not in one
