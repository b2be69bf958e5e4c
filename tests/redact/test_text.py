"""Credentials in text: found by their shape or by the name before them, the rest is untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.redact import Rules
from pellucid.redact.content import Content

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def shown(text: str) -> str:
    """What remains of a text."""
    return Content(Rules()).text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"got {JWT}, ok", "got ***, ok"),
        ("Bearer abc.def-123", "Bearer ***"),
        ("bearer%20abc123&x=1", "bearer%20***&x=1"),
        ("see Basic dXNlcjpwYXNz here", "see Basic *** here"),
        ("id AKIAIOSFODNN7EXAMPLE.", "id ***."),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789!", "***!"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx",
         "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\nx"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut", "-----BEGIN PRIVATE KEY-----***"),
        ("postgres://me:pa@ss@db/x?y=1", "postgres://***@db/x?y=1"),
        ("/cb?code=abc&state=1#access_token=xyz", "/cb?code=***&state=1#access_token=***"),
        ("/x?pass%77ord=abc", "/x?pass%77ord=***"),
        ("/x;jsessionid=abc?y", "/x;jsessionid=***"),
        ("a password=hunter2, b", "a password=*** b"),
        ("password='hunter 2' b", "password='***' b"),
        ('\\"password\\": \\"hun\\" b', '\\"password\\": \\"***\\" b'),
        ("x {secret: 12, b: 3}", "x {secret: ***, b: 3}"),
        ("a: 1\n  password: two words, and more\nb: 2", "a: 1\n  password: ***\nb: 2"),
        ("Authorization: Digest a, b\r\nCookie: a=b; c=d\r\nHost: e", "Authorization: ***\r\nCookie: ***\r\nHost: e"),
        ("mysql --password hunter2 -h db", "mysql --password *** -h db"),
        ("<ns:Password t='1'>hunter2</ns:Password><b>x</b>", "<ns:Password t='1'>***</ns:Password><b>x</b>"),
        ('<input name="csrf_token" type=hidden value="abc">', '<input name="csrf_token" type=hidden value="***">'),
        ("<input value='abc' type=password>", "<input value='***' type=password>"),
        ("CREATE USER x IDENTIFIED BY 'hunter2'", "CREATE USER x IDENTIFIED BY '***'"),
        ("ALTER ROLE x PASSWORD 'it''s'", "ALTER ROLE x PASSWORD '***'"),
    ],
)  # fmt: skip
def test_what_is_masked(text: str, expected: str) -> None:
    """Each kind is masked from end to end, and nothing beside it."""
    assert shown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "the bearer of this, and basic information",
        'Bearer realm="api", error="invalid_token"',
        "password: ",
        "SELECT password FROM users WHERE id = 1",
        "<input name=city value=Rome>",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "https://example.com/a@b?q=token",
        '{"token_type": "bearer", "expires_in": 3600}',
    ],
)
def test_what_is_not(text: str) -> None:
    """Text that only speaks of credentials stays as it is."""
    assert shown(text) == text


def test_the_mask_tells_no_length() -> None:
    """A short and a long password leave the same behind."""
    assert shown("password=a&x") == shown(f"password={'a' * 5000}&x")


hostile = st.text(st.sampled_from("ab01 \n\r\t\"'\\<>{}[],;:=&?#%/@-._$*")) | st.lists(
    st.sampled_from(
        ["password", "=", ":", '"', "'", "\\", "Bearer ", "eyJ", "<input ", "://", "@", "--", "\n", "x"]
    )
).map("".join)


@given(before=hostile, secret=st.text(st.sampled_from("cdefgh345678"), min_size=12, max_size=20))
def test_a_password_is_masked_wherever_it_stands(before: str, secret: str) -> None:
    """Whatever comes before it in another line, the value after `password=` does not survive."""
    assert secret not in shown(f"{before}\nx&password={secret}&y")
