"""No credential reaches any output, in any message, whatever the format."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from pellucid import plugins
from pellucid.model import Grpc, Message, Query, QueryError, Request, ServerSentEvent, WebSocket
from pellucid.redact import Redactor, Rules
from pellucid.sink import Output, SinkOptions, Tap
from tests.sink.messages import WHO, answer, command, connection, http, lost, messages, raw, secret, summary

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cr3tValu3"
INSIDE: dict[str, Any] = {**WHO, "url": f"/ws?token={SECRET}", "direction": "read"}


class Shell(Message, kw_only=True):
    """A message that only a plug-in knows."""

    line: str
    arguments: list[dict[str, str]]


def query(**changes: Any) -> Query:
    """Return a query."""
    fields = {"server": "mysql", "user": "me", "database": "d", "kind": "query", "query": "", "rows": 1}
    return Query(**{**WHO, **fields, "duration_ms": 1.0, **changes})


EXCHANGES = [
    http(
        request=Request(
            method="POST",
            url=f"/login?access_token={SECRET}&x=1",
            authority="e.com",
            headers=[
                ("Authorization", f"Bearer {SECRET}"),
                ("Cookie", f"sid={SECRET}"),
                ("X-Api-Key", SECRET),
            ],
            body=f"user=me&password={SECRET}",
            trailers=[("x-auth-token", SECRET)],
            sha256="ab" * 32,
        ),
        response=answer(
            f'{{"token": "{SECRET}", "n": {{"client_secret": "{SECRET}"}}}}',
            [("Set-Cookie", f"sid={SECRET}; Path=/"), ("Content-Type", "application/json")],
            grpc_message=f"password={SECRET}",
        ),
    ),
    http(response=answer(f'{{"password": "{SECRET}'.encode() + b"\xff", [("Content-Type", "image/png")])),
    http(response=answer(f'{{"a": [1, {{"password": "{SECRET}', [("Content-Type", "application/json")])),
]
OTHERS = [
    raw(f"EHLO x\r\nAUTH PLAIN {SECRET}\r\n"),
    raw(f"\xff*2\r\n$4\r\nAUTH\r\n$11\r\n{SECRET}\r\n".encode("latin-1")),
    WebSocket(**INSIDE, opcode="text", data=f'{{"token":"{SECRET}"}}', size=20, sha256="ab" * 32),
    WebSocket(**INSIDE, opcode="binary", data=b"\xff password=" + SECRET.encode(), encoding="base64"),
    ServerSentEvent(**INSIDE, data=f'{{"api_key":"{SECRET}"}}'),
    Grpc(**INSIDE, number=0, message={"password": SECRET}, data=f"\n\x0b{SECRET}", size=13),
    query(query=f"ALTER USER x IDENTIFIED BY '{SECRET}'", parameters=[f"password={SECRET}"]),
    query(failure=QueryError(code="1", message=f"bad password='{SECRET}'")),
    command(line=f"mysql --password {SECRET}"),
    command(line=f"curl -H 'Authorization: Bearer {SECRET}' \xff".encode("latin-1"), encoding="base64"),
    Shell(ts=WHO["ts"], line=f"mysql --password {SECRET}", arguments=[{"password": SECRET}]),
    secret(secret=SECRET),
]


def encodings(secret: str) -> list[bytes]:
    """A secret as it may be written: plain, and the middle of it in base64 at each of the three alignments."""
    plain = secret.encode()
    coded = [base64.b64encode(b"x" * shift + plain)[shift + 1 or 0 : -4] for shift in range(3)]
    return [plain, *(piece for piece in coded if len(piece) > 6)]


FORMATS = [name for name, sink in plugins.load(plugins.SINKS).items() if not issubclass(sink, Tap)]
"""Those of messages; with a tap masking is refused (tests/test_cli.py)."""


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("options", [{}, {"hex": True}, {"color": True, "verbose": True}], ids=str)
def test_no_output_has_a_secret(format_: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Every message that holds the secret is written in every format, and the secret is in none of the files."""
    shown = [Redactor(Rules())(message) for message in (*EXCHANGES, *OTHERS)]
    written = write(format_, shown, tmp_path / "masked", options)
    assert [found for found in encodings(SECRET) if found in written] == []
    unmasked = write(format_, [*EXCHANGES, *OTHERS], tmp_path / "plain", options)
    assert any(found in unmasked for found in encodings(SECRET)) or options.get("hex")


def write(format_: str, shown: list[Message], path: Path, options: dict[str, Any]) -> bytes:
    """Write messages through a sink; return what is in the file."""
    with path.open("wb") as file:
        sink = plugins.load(plugins.SINKS)[format_](Output(file.fileno(), str(path)), SinkOptions(**options))
        sink.begin()
        for message in shown:
            sink.write(message)
        sink.flush()
    return path.read_bytes()


def test_what_stays() -> None:
    """Names, schemes and everything else of an exchange stay readable, and no digest is left to guess by."""
    shown = Redactor(Rules())(EXCHANGES[0])
    assert shown.request.url == "/login?access_token=***&x=1"
    assert shown.request.headers == [
        ("Authorization", "Bearer ***"),
        ("Cookie", "sid=***"),
        ("X-Api-Key", "***"),
    ]
    assert shown.request.body == "user=me&password=***"
    assert shown.request.sha256 is msgspec.UNSET
    assert shown.response.body == '{"token": "***", "n": {"client_secret": "***"}}'
    assert EXCHANGES[0].request.headers[0] == ("Authorization", f"Bearer {SECRET}"), (
        "the original was changed"
    )


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        (
            [("content-type", "application/grpc+proto")],
            f"\n\x0b{SECRET}",
            "its messages are shown by themselves",
        ),
        ([("Content-Encoding", "gzip")], b"\x1f\x8b\xff", "it may still be in its content coding"),
    ],
)
def test_bodies_that_cannot_be_looked_into(headers: Any, body: str | bytes, reason: str) -> None:
    """What could hold a secret unseen is left out, and that is said."""
    shown = Redactor(Rules())(http(response=answer(body, headers), error="cut"))
    assert (shown.response.body, shown.response.encoding, shown.response.size) == (
        "",
        msgspec.UNSET,
        len(body),
    )
    assert shown.error.startswith(f"cut; the response body is left out by --redact: {reason}")


def test_grpc() -> None:
    """Where a field is masked, the bytes that hold it are left out, and that is said."""
    shown = Redactor(Rules())(OTHERS[5])
    assert (shown.message, shown.data, shown.size) == ({"password": "***"}, "", 13)
    assert shown.error == "data is left out by --redact: it holds what is masked, or may"


def test_what_is_still_compressed() -> None:
    """Bytes that could not be decompressed are left out: they may hold anything."""
    frame = WebSocket(
        **INSIDE, opcode="text", data=b"\xaa", encoding="base64", error="compressed, and broken"
    )
    assert Redactor(Rules())(frame).data == ""
    message = Grpc(**INSIDE, number=0, compression="snappy", data=b"\xaa", encoding="base64")
    assert Redactor(Rules())(message).data == ""


@pytest.mark.parametrize(
    ("protocol", "headers"), [("gRPC", []), ("HTTP/1.1", [("Content-Type", "application/grpc-web+proto")])]
)
def test_bodies_of_grpc(protocol: str, headers: list[tuple[str, str]]) -> None:
    """The bytes of all messages are in the body of their call: they are left out, and that is said."""
    body = b"\0\0\0\0\x0d\x0a\x0b" + SECRET.encode()
    asked = Request(method="POST", url="/a.B/C", authority=None, headers=headers, body=body.decode(), size=17)
    message = http(protocol=protocol, request=asked, response=answer(body + b"\xff", headers))
    shown = Redactor(Rules())(message)
    assert SECRET.encode() not in msgspec.json.encode(shown)
    assert (shown.request.body, shown.response.body, shown.response.encoding) == ("", "", UNSET)
    assert (shown.request.size, shown.response.size) == (17, message.response.size)
    assert shown.error == "; ".join(
        f"the {half} body is left out by --redact: its messages are shown by themselves, where fields have names"
        for half in ("request", "response")
    )


def test_sql_on_request() -> None:
    """With --redact-sql no value of a query is left: parameters, literals, and what an error repeats of them."""
    message = query(
        query=f"INSERT INTO t VALUES ('{SECRET}', 7)",
        parameters=[SECRET, 7, None, {"base64": "AAAA"}],
        failure=QueryError(code="1062", message=f"Duplicate entry '{SECRET}' for key 'k'"),
    )
    shown = Redactor(Rules(), sql=True)(message)
    assert shown.query == "INSERT INTO t VALUES ('***', 7)"
    assert shown.parameters == ["***", "***", None, "***"]
    assert shown.failure.message == "Duplicate entry ***"
    assert Redactor(Rules())(message).parameters == message.parameters


@pytest.mark.parametrize(
    "data", [f"\x03select '{SECRET}'", b"\x0b\x00\x00\x04\xfb" + SECRET.encode()], ids=["command", "row"]
)
def test_sql_that_no_parser_claimed(data: str | bytes) -> None:
    """With --redact-sql nothing but the size is left of bytes that no parser claimed: they may be an older session's SQL and rows."""
    message = raw(data, library="mysqld")
    shown = Redactor(Rules(), sql=True)(message)
    assert shown == raw("***", size=len(data), library="mysqld")
    assert Redactor(Rules())(message) == message


def test_other_messages_pass() -> None:
    """Holes, connections and the summary are what they were."""
    for message in (lost(), connection(), connection(event="closed"), summary()):
        assert Redactor(Rules())(message) == message


# --- raw data in pieces ----------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(1, 30))
@pytest.mark.parametrize(
    "text",
    ["user=me&password=Q7z9Kw4x&x=1", "<a>.</a><Password>Q7z9Kw4x&x=1", "GET https://user:Q7z9Kw4x@h&x=1"],
)
def test_a_secret_in_two_pieces(text: str, at: int) -> None:
    """Wherever the stream was split, what a name or a URL announces is masked in both pieces."""
    redact = Redactor(Rules())
    first, second = redact(raw(text[:at])), redact(raw(text[at:], offset=at))
    shown = first.data + second.data
    assert not [part for part in ("Q7", "z9", "Kw", "4x") if part in shown]
    assert shown.endswith(("&x=1", "***"))


def test_a_secret_byte_by_byte() -> None:
    """Of a password that comes in single bytes none is shown, in neither direction of two connections at once."""
    redact = Redactor(Rules())
    shown = ""
    for offset, byte in enumerate(f"password: {SECRET}\r\nquit\r\n"):
        shown += redact(raw(byte, offset=offset)).data
        redact(raw("password: \r\n", offset=12 * offset, conn=8))
        redact(raw(b"\xff", offset=offset, direction="read"))
    assert shown == f"password: {'***' * len(SECRET)}\r\nquit\r\n"


def test_a_hole_separates() -> None:
    """What comes after missing bytes is not taken for the rest of what was before them."""
    redact = Redactor(Rules())
    redact(raw("password="))
    assert redact(raw("hello", offset=20)).data == "hello"


def test_memory_is_bounded() -> None:
    """Of many connections, and of those that have closed, nothing is kept."""
    redact = Redactor(Rules())
    for number in range(2000):
        redact(raw("x" * 10_000, conn=number))
    ends = redact._streams._ends
    assert len(ends) <= 512
    assert max(len(before) for _, before in ends.values()) <= 4096
    redact(connection(event="closed", conn=1999))
    assert (1999, "write") not in ends


@given(message=messages, sql=st.booleans())
def test_any_message(message: Message, sql: bool) -> None:
    """Whatever was captured, the message that comes out is of the same type and can be written."""
    shown = Redactor(Rules(), sql=sql)(message)
    assert type(shown) is type(message)
