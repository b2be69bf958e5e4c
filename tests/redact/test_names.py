"""Which names are those of credentials, however they are written."""

from __future__ import annotations

import pytest

from pellucid.redact.names import Names


@pytest.mark.parametrize(
    "name",
    [
        "password", "Password", "user_password", "userPassword", "userpassword", "password2", "passwd", "pwd", "pass",
        "secret", "clientSecret", "client_secret", "aws_secret_access_key", "SecretAccessKey", "apiKey", "api-key",
        "X-API-KEY", "APIKey", "access_token", "accessToken", "id_token", "refresh_token", "csrf-token", "sessionId",
        "PHPSESSID", "JSESSIONID", "credentials", "jwt", "private_key", "authorization", "code_verifier", "otp",
    ],
)  # fmt: skip
def test_keys(name: str) -> None:
    """Words of a credential are found in every way of joining words."""
    assert Names().key(name)


@pytest.mark.parametrize(
    "name",
    ["user", "token_type", "max_tokens", "prompt_tokens", "secretary", "key", "code", "passenger", "pinned", "author",
     "authority", "compass", "bypass", "keyboard", "session", "expires_in", ""],
)  # fmt: skip
def test_other_keys(name: str) -> None:
    """Names that only resemble them stay readable."""
    assert not Names().key(name)


def test_parameters() -> None:
    """In URLs and forms short names are credentials too, which in JSON mean anything."""
    assert all(map(Names().parameter, ["code", "key", "sig", "X-Amz-Signature", "X-Amz-Credential", "token"]))
    assert not any(map(Names().parameter, ["q", "page", "keyword", "codec", "X-Amz-Date"]))


def test_headers() -> None:
    """Headers that carry credentials, of whatever service; not those that speak about them."""
    secret = ["X-Api-Key", "api-key", "X-Auth-Token", "PRIVATE-TOKEN", "X-CSRF-Token", "X-Amz-Security-Token",
              "X-Forwarded-Authorization", "Cookie2", "x-goog-api-key"]  # fmt: skip
    open_ = [
        "Access-Control-Allow-Credentials",
        "Sec-WebSocket-Key",
        "WWW-Authenticate",
        "ETag",
        "Vary",
        "Host",
    ]
    assert [name for name in secret if not Names().header(name)] == []
    assert [name for name in open_ if Names().header(name)] == []


def test_names_of_a_user() -> None:
    """A user's names are found in other spellings as well, and only there where they were listed."""
    names = Names(headers=["X-Customer"], keys=["tax_number"])
    assert names.header("x-customer")
    assert names.key("taxNumber")
    assert not names.key("X-Customer")
    assert not Names().key("taxNumber")
