"""What things are called that hold a credential: headers, keys of JSON, fields of forms, parameters of URLs.

A name is compared as its words, so that `accessToken`, `access_token` and `X-Access-Token` are one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAME = 200
"""Characters of a name that are looked at, from its end: there the word is that tells."""

_REMEMBERED = 1024
"""Names whose answer is kept: programs use the same few again and again, and strangers cannot fill memory with them."""

_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")

_WHOLE = r"pass|pin|sid|tokens|auth|authentication|assertion|client_?assertion|code_?verifier|device_?code"
"""Words that mean something else as part of a longer name."""

_ANYWHERE = (
    r"passw(?:or)?d[s\d]*|passwort|pwd|passphrase|passcode|otp|totp|cvv|cvc|secrets?|credentials?|jwt|authorization|"
    r"(?:api|access|account|auth|encryption|master|private|secret|shared|signing|subscription)_?keys?|"
    r"(?:php|j)?sess(?:ion)?_?id|cookies?"
)
_AT_THE_END = r"token|password|passwd|secret|apikey"
"""Also without a break before them (`userpassword`). `token` is here only: `token_type` and `max_tokens` are none."""

_KEY = re.compile(rf"(?:{_WHOLE})|(?:.*_)?(?:{_ANYWHERE})(?:_.*)?|.*(?:{_AT_THE_END})")

_PARAMETER = re.compile(r"key|code|sig|signature|hmac|ticket|saml_?response|(?:.*_)?(?:signature|credential)")
"""In URLs and forms, besides: OAuth 2 codes (RFC 6749 section 4.1.2), signed URLs, keys of web services."""

_HEADER = re.compile(r"(?:.*_)?(?:cookie2?|signature|credential|functions_?key)")
"""Of headers, besides those of keys."""
_NO_CREDENTIAL = frozenset({"access_control_allow_credentials"})
"""Headers (Fetch standard, section 3.3.3) that are called like one."""


class Names:
    """The built-in names, and those that a user adds."""

    def __init__(self, headers: Iterable[str] = (), keys: Iterable[str] = ()) -> None:
        self._headers = frozenset(_flat(name) for name in headers)
        self._keys = frozenset(_flat(name) for name in keys)
        self._is_key = lru_cache(_REMEMBERED)(self._key)
        self._is_parameter = lru_cache(_REMEMBERED)(self._parameter)
        self._is_header = lru_cache(_REMEMBERED)(self._header)

    def key(self, name: str) -> bool:
        """Whether the value behind this name is a credential: a key of JSON, in text, a field of a message."""
        return self._is_key(name[-MAX_NAME:])

    def parameter(self, name: str) -> bool:
        """The same for a parameter of a URL or a field of a form."""
        return self._is_parameter(name[-MAX_NAME:])

    def header(self, name: str) -> bool:
        """The same for a header."""
        return self._is_header(name[-MAX_NAME:])

    def _key(self, name: str) -> bool:
        words = _words(name)
        return _KEY.fullmatch(words) is not None or words.replace("_", "") in self._keys

    def _parameter(self, name: str) -> bool:
        return _PARAMETER.fullmatch(_words(name)) is not None or self._key(name)

    def _header(self, name: str) -> bool:
        words = _words(name)
        if words in _NO_CREDENTIAL:
            return False
        own = words.removeprefix("x_")
        return bool(_HEADER.fullmatch(own) or _KEY.fullmatch(own)) or words.replace("_", "") in self._headers


def _words(name: str) -> str:
    """`X-Api-Key`, `xApiKey` and `x_api_key` all become `x_api_key`."""
    return _WORD_BREAK.sub("_", name).strip("_").lower()


def _flat(name: str) -> str:
    return _words(name).replace("_", "")
