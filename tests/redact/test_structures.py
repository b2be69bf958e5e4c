"""JSON, forms, headers and SQL keep their structure; only values are masked."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.redact import Rules
from pellucid.redact.content import Content
from pellucid.redact.headers import masked_authority, masked_headers, masked_url
from pellucid.redact.sql import masked_error, masked_literals

redact = Content(Rules())
FORM = "application/x-www-form-urlencoded"


# --- JSON ------------------------------------------------------------------------------------------


def test_json() -> None:
    """Values of every type are masked by their key, at any depth; spacing, numbers and null stay as sent."""
    text = """{"user": "me",
  "password" : "hu\\"n,}ter2", "n": [1.50, {"accessToken": {"a": ["]", 1]}, "x": true}], "pin": 1234,
  "token": null, "sec\\u0072et": "x"}"""
    expected = """{"user": "me",
  "password" : "***", "n": [1.50, {"accessToken": "***", "x": true}], "pin": "***",
  "token": null, "sec\\u0072et": "***"}"""
    assert redact.body(text, "application/json") == expected


def test_text_in_json() -> None:
    """A string that holds a credential, JSON or a form of its own is masked inside, and stays a string."""
    document = {
        "log": 'login "me" password=hunter2 ok',
        "inner": json.dumps({"secret": 'q"uote', "b": 1}),
        "key": "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
    }
    shown = json.loads(str(redact.body(json.dumps(document))))
    assert shown == {
        "log": 'login "me" password=*** ok',
        "inner": '{"secret": "***", "b": 1}',
        "key": "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\n",
    }


@pytest.mark.parametrize("cut", range(22, 60, 3))
def test_json_that_was_cut(cut: int) -> None:
    """Wherever a body ends, what is there of a credential does not show."""
    text = '{"a": 1, "password": "hunter2hunter2", "secret": {"a": ["hunter2"]}, "b": 2}'[:cut]
    assert "hu" not in str(redact.body(text, "application/json"))


def test_several_documents() -> None:
    """Lines of JSON, one a document, are each masked."""
    assert redact.body('{"token":"a"}\n{"token":"b"}\n') == '{"token":"***"}\n{"token":"***"}\n'


def test_json_that_is_not_text() -> None:
    """One byte that is no UTF-8 does not change what is masked, and every other byte stays."""
    body = b'\xff{"passwords":["S1","S\\"2"], "a": "\xe2\x82\xac", "b": "\\u20ac password=S3"}'
    expected = b'\xff{"passwords":"***", "a": "\xe2\x82\xac", "b": "\\u20ac password=***"}'
    assert redact.body(body, "application/json") == expected
    assert redact.body(b'\xff{"passwords": ["S1","S2"]}') == b'\xff{"passwords": ***}'
    assert redact.body(b"a=\xff&password=S%22;S&b=1", FORM) == b"a=\xff&password=***&b=1"


@given(secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_secret_in_json(secret: str) -> None:
    """Whatever is in a string, all of it is masked: as JSON, in JSON within JSON, and in a text."""
    inner = json.dumps({"password": secret, "b": 1})
    twice = json.dumps({"in": inner})
    assert redact.body(inner) == '{"password": "***", "b": 1}'
    assert json.loads(str(redact.body(twice))) == {"in": '{"password": "***", "b": 1}'}
    assert redact.text(f"sent {inner} ok") == 'sent {"password": "***", "b": 1} ok'
    assert redact.text(f"sent {twice} ok") == 'sent {"in": "{\\"password\\": \\"***\\", \\"b\\": 1}"} ok'


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(["password", "token", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def hidden(document: Any) -> Any:
    """The same by another way: over the parsed document. None where a string may hold something of its own."""
    if isinstance(document, dict):
        return {k: v if v is None or k not in {"password", "token"} else "***" for k, v in document.items()}
    return document


@given(document=documents)
def test_any_json_stays_json(document: Any) -> None:
    """What comes out can be parsed, has the same keys, and masks what the keys say."""
    shown = json.loads(str(redact.body(json.dumps(document), "application/json")))
    assert type(shown) is type(document)
    if isinstance(document, dict):
        assert list(shown) == list(document)
        for key in {"password", "token"} & set(document):
            assert shown[key] == hidden(document)[key]


def test_deeply_nested_json_does_no_harm() -> None:
    """Neither depth nor quotes within quotes exhaust the stack."""
    assert str(redact.body("[" * 100_000)).startswith("[[")
    text = "x"
    for _ in range(9):
        text = json.dumps({"password": "p", "in": text})
    assert '"password": "***"' in str(redact.body(text))


# --- forms -----------------------------------------------------------------------------------------


def test_form() -> None:
    """Fields are masked by name, and values by what they hold; all else stays as it was encoded."""
    form = "user=me%40x&Password=a%20b&code=1&token_type=x&note=%7B%22secret%22%3A%22x%22%7D&empty_token="
    expected = (
        "user=me%40x&Password=***&code=***&token_type=x&note=%7B%22secret%22%3A%22***%22%7D&empty_token="
    )
    assert redact.body(form, f"{FORM}; charset=utf-8") == expected


@pytest.mark.parametrize("extra", [b"", b"\xff\xfe"])
def test_multipart(extra: bytes) -> None:
    """Parts are masked by name or by their own type, also beside a part that is binary."""
    body = (
        b'--B\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n'
        b'--B\r\nContent-Disposition: form-data; name="j"\r\nContent-Type: application/json\r\n\r\n{"token":"t"}\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nfile '
        + extra
        + b"\r\n--B--\r\n"
    )
    expected = body.replace(b"hunter2", b"***").replace(b'"t"', b'"***"')
    data: str | bytes = body if extra else body.decode()
    shown = redact.body(data, 'multipart/form-data; boundary="B"')
    assert shown == (expected if extra else expected.decode())


@pytest.mark.parametrize(
    "head",
    [
        b' X: y\r\nContent-Disposition: form-data; name="password"\r\n\r\n',
        b'Content-Disposition: form-data;\r\n name="password"\r\n\r\n',
        b"Content-Disposition: form-data; name*=utf-8''password\r\n\r\n",
        b'Content-Disposition: form-data; name="password"\r\nContent-Disposition: x; name="a"\r\n\r\n',
        b'Content-Disposition: form-data; filename="x"; name="password"\n\n',
    ],
)
def test_parts_with_an_odd_head(head: bytes) -> None:
    """A part of which the field's name cannot be read for certain is masked; the next one is not."""
    body = (
        b"--B\r\n"
        + head
        + b'it\'s;S\r\n--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nshown\r\n--B--'
    )
    shown = redact.body(body, "multipart/form-data; boundary=B")
    assert isinstance(shown, bytes)
    assert b"it's" not in shown
    assert b"shown" in shown


def test_beside_the_parts() -> None:
    """More parts than are told apart are masked, and text before and behind them is searched."""
    part = b'--B\r\nContent-Disposition: form-data; name="pin"\r\n\r\n7S7\r\n'
    body = b"password=7S7\r\n" + part * 1003 + b"--B--\r\npassword=7S7"
    shown = redact.body(body, "multipart/form-data; boundary=B")
    assert isinstance(shown, bytes)
    assert b"7S7" not in shown


# --- headers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Authorization", "Bearer abc", "Bearer ***"),
        ("authorization", "Basic dXNlcjpwYXNz", "Basic ***"),
        ("Proxy-Authorization", 'Digest username="me", response="x"', "Digest ***"),
        ("Authorization", "my-own-secret and more", "***"),
        ("Authorization", "bearer", "***"),
        ("Cookie", "a=b; sid=c=d;lone", "a=***; sid=***;***"),
        ("Set-Cookie", "sid=abc; Path=/; HttpOnly", "sid=***; Path=/; HttpOnly"),
        ("X-Api-Key", "abc", "***"),
        ("X-Api-Key", "", ""),
        ("Location", "https://u:p@e.com/cb?code=abc&state=1", "https://***@e.com/cb?code=***&state=1"),
        ("Referer", "https://e.com/?token=abc", "https://e.com/?token=***"),
        ("Host", "example.com", "example.com"),
        ("Host", "user:S@example.com:8", "***@example.com:8"),
        ("Location", "//u:S@e.com/a@b", "//***@e.com/a@b"),
        ("X-Session-Id", "S", "***"),
        ("X-Passphrase", "S", "***"),
        ("X-Credentials", "S", "***"),
        ("X-Pin", "S", "***"),
        ("X-Auth", "S", "***"),
        ("X-Otp", "S", "***"),
        ("Access-Control-Allow-Credentials", "true", "true"),
        (
            "Sec-WebSocket-Protocol",
            "base64url.bearer.authorization.k8s.io.S, v1",
            "base64url.bearer.authorization.k8s.io.***, v1",
        ),
        ("WWW-Authenticate", 'Bearer realm="x"', 'Bearer realm="x"'),
    ],
)
def test_headers(name: str, value: str, expected: str) -> None:
    """Schemes, names of cookies and attributes stay; credentials do not."""
    assert masked_headers([(name, value)], Rules()) == [(name, expected)]


def test_url() -> None:
    """User and password, and parameters by their names; the path and the others stay."""
    assert masked_url("/a/b?page=1&api_key=x%20y&sig=z", Rules()) == "/a/b?page=1&api_key=***&sig=***"


@given(
    secret=st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="&#"), min_size=1)
)
def test_values_in_urls(secret: str) -> None:
    """In the URL of a request, and in headers that are one, nothing but `&` and `#` ends the value of a parameter."""
    url = f"https://e.com/a?password={secret}&x=1"
    expected = "https://e.com/a?password=***&x=1"
    assert masked_url(url, Rules()) == expected
    assert masked_headers([("Referer", url), ("Location", url)], Rules()) == [
        ("Referer", expected),
        ("Location", expected),
    ]


@given(
    secret=st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='&#"<>/?'), min_size=1
    )
)
def test_users_in_urls(secret: str) -> None:
    """What stands before the host is masked whatever is in it, with and without a scheme."""
    assert masked_url(f"https://me:{secret}@h/x", Rules()) == "https://***@h/x"
    assert masked_url(f"me:{secret}@h:443", Rules()) == "***@h:443"
    assert masked_authority(f"me:{secret}@h:443", Rules()) == "***@h:443"
    assert redact.text(f"see https://me:{secret}@h/x and").endswith("@h/x and")
    assert redact.text(f"see https://me:{secret}@h/x and") == "see https://***@h/x and"


# --- SQL -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "query", "expected"),
    [
        ("mysql", r"SELECT 'it\'s', 'it''s', 1", "SELECT '***', '***', 1"),
        ("mysql", "SELECT \"x\" FROM `a'b` # don't\n, 'y'", "SELECT \"***\" FROM `a'b` # don't\n, '***'"),
        ("mysql", "SELECT 'cut", "SELECT '***'"),
        ("mysql", "SELECT 5--1, 'S' -- it's", "SELECT 5--1, '***' -- it's"),
        (
            "mysql",
            "SELECT /*!50000 'S' */ /*M! 'S' */ /* 'c' */ 1",
            "SELECT /*!50000 '***' */ /*M! '***' */ /* 'c' */ 1",
        ),
        ("postgres", "SELECT 5--1, 'c'\n, a$$b, 'x$$S'", "SELECT 5--1, 'c'\n, a$$b, '***'"),
        ("postgres", "SELECT /* a /* b */ it's */ 'S'", "SELECT /* a /* b */ it's */ '***'"),
        ("postgres", r"SELECT 'a\', 'b', E'it\'s'", "SELECT '***', '***', '***'"),
        (
            "postgres",
            "SELECT \"Col'umn\" -- it's\n, $$x'y$$, $q$a$q$",
            "SELECT \"Col'umn\" -- it's\n, '***', '***'",
        ),
        ("postgres", "SELECT $1 /* 'c' */ WHERE a = 'b'", "SELECT $1 /* 'c' */ WHERE a = '***'"),
    ],
)
def test_sql_literals(server: str, query: str, expected: str) -> None:
    """String literals are masked as each server reads them; identifiers, comments and numbers stay."""
    assert masked_literals(query, server) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Duplicate entry 'it's S' for key 'users.email'", "Duplicate entry ***"),
        ("Key (email)=(a)S) already exists.", "Key (email)=*** already exists."),
        ("Failing row contains (1, (S), null).", "Failing row contains ***."),
        ('invalid input syntax for type integer: "a"S"', "invalid input syntax for type integer: ***"),
        ("Table 'a.b' doesn't exist", "Table *** doesn't exist"),
        ("Incorrect value: 'S", "Incorrect value: ***"),
    ],
)
def test_errors_of_servers(words: str, expected: str) -> None:
    """What an error repeats of the values is masked, quotes and parentheses that are part of them too."""
    assert masked_error(words) == expected


PASSWORDS = [
    ("CREATE USER b IDENTIFIED BY {}", "\"'"),
    ("CREATE USER b@'%' IDENTIFIED WITH 'p' AS {} REQUIRE SSL", "\"'"),
    ("CREATE USER b IDENTIFIED VIA p USING PASSWORD({})", "\"'"),
    ("ALTER USER b IDENTIFIED BY {} REPLACE {}", "\"'"),
    ("SET PASSWORD FOR 'b'@'%' = {}", "\"'"),
    ("SELECT PASSWORD( {})", "\"'"),
    ("CREATE ROLE b ENCRYPTED PASSWORD\n{} VALID UNTIL 'x'", "'$E"),
    ("update u set password = {} where id = 'x'", "\"'$E"),
    ("CHANGE MASTER TO MASTER_PASSWORD={}, MASTER_PORT=1", "\"'"),
]


@given(
    secret=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=4),
    where=st.sampled_from(PASSWORDS),
    data=st.data(),
)
def test_passwords_of_accounts(secret: str, where: tuple[str, str], data: st.DataObject) -> None:
    """Whatever a password has in it, and however it is quoted, nothing of it is left, also without --redact-sql."""
    template, quotes = where
    quoted = literal(secret, data.draw(st.sampled_from(quotes)))
    shown = redact.text(template.format(quoted, quoted))
    left = re.escape(template).replace(r"\{\}", r"""[E$q'"]*\*\*\*[$q'"*]*""")
    assert re.fullmatch(left, shown)


def literal(text: str, quote: str) -> str:
    """Write a text as a literal of SQL."""
    if quote == "$":
        return f"$q${text.replace('$', '')}$q$"
    text = text.replace("\\", "\\\\") if quote == "E" else text.replace("\\", "")
    mark = "'" if quote == "E" else quote
    return f"{'E' if quote == 'E' else ''}{mark}{text.replace(mark, 2 * mark)}{mark}"
