"""Credentials in any text: those that have a shape of their own, and those that a name announces.

All patterns take time in proportion to the text: every repetition is bounded, or ends at a character that it
cannot contain. What may be long is possessive, so that the engine keeps no way back for each character. They are ASCII, so that in UTF-8 that is looked at byte by byte no character is split.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from pellucid.json_text import end_of_value
from pellucid.redact.spans import Span, merged
from pellucid.redact.sql import LITERAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.redact.rules import Rules

_SHAPES = [
    ([hint.encode() for hint in hints], re.compile(pattern, re.ASCII | re.DOTALL))
    for hints, pattern in [
        # JWT and JWE (RFC 7519, RFC 7516): `{"` in base64url
        (["eyj"], r"(?<![\w-])eyJ[\w-]{8,}+(?:\.[\w-]*+){1,4}"),
        # RFC 6750 section 2.1; not the parameters of a WWW-Authenticate
        # As a subprotocol of WebSocket, since browsers can set no header there (Kubernetes)
        (["bearer"], r"\bbase64url\.bearer\.authorization\.k8s\.io\.([\w-]+)"),
        (["bearer"], r"\b(?i:bearer)(?:[ +]|%20){1,4}(?![A-Za-z_]{1,40}=[\"\w])([A-Za-z0-9._~+/=-]{4,})"),
        # The userinfo of a URL (RFC 3986 section 3.2.1)
        (["://"], r"\b[A-Za-z][A-Za-z0-9+.-]{0,30}://([^\s/?#\"<>]{1,1000})@"),
        (["private key"], r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----((?s:.*?))(?=-----END|\Z)"),
        # Ids of AWS access keys; GitHub, GitLab; Slack, Stripe, Google, OpenAI
        (["akia", "asia"], r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        (["gh", "glpat-"], r"\bgh[oprsu]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}"),
        (["xox", "k_", "aiza", "sk-"], r"\bxox[abeoprs]-[\w-]{10,}|\b[rs]k_(?:live|test)_\w{10,}|\bAIza[\w-]{35}|\bsk-[\w-]{20,}"),
    ]
]  # fmt: skip
"""What the text has, in lower case, where the pattern may match, and the pattern. The first group is the credential;
without one the whole match is."""

_SQL = re.compile(
    rf"""\b(?:
        identified\s{{1,9}}(?:(?:with|via)\s{{1,9}}\S{{1,80}}\s{{1,9}})?(?:by|as|using)\s{{0,9}}(?:(?:old_)?password\b\s{{0,9}}\(?\s{{0,9}})?
      | (?:old_)?password(?:\s{{1,9}}for\s.{{1,300}}?=\s{{0,9}}|\s{{0,9}}\(\s{{0,9}}|\s{{0,9}}=\s{{0,9}}|\s{{1,9}}(?:to\s{{1,9}})?)
      | replace\s{{1,9}}(?=['"])
    ){LITERAL}""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE | re.ASCII,
)
"""Passwords of accounts in SQL: CREATE and ALTER USER or ROLE, SET PASSWORD, and columns of that name."""

_BASIC = re.compile(r"\b(?i:basic) {1,4}([A-Za-z0-9+/]{4,}={0,2})", re.ASCII)

_TELLING = re.compile(
    r"[=:<]|--|eyJ|AKIA|ASIA|gh[oprsu]_|github_pat|glpat|xox|k_live|k_test|AIza|sk-|(?i:bearer|basic|identified|password)"
)
"""One of these is in every text that holds a credential."""
_SHORT = 200
"""Characters of a text for which one look for all of them is quicker than one look for each."""

_COMMANDS = re.compile(
    r"^(?:\S{1,20} )?(?:PASS|LOGIN|AUTH(?:ENTICATE)?) ([^\r\n]*)"  # FTP, POP3 (RFC 1939), IMAP, SMTP, Redis inline
    r"|^AUTH\r\n((?:\$\d+\r\n[^\r\n]*(?:\r\n|\Z)){1,2})"  # Redis (RESP)
    r"|://[^\s/?#\"'<>@:]{1,200}:((?!\d{1,5}\Z)[^\s/?#\"'<>@]+)\Z",  # a URL's password that goes on in the next piece
    re.ASCII | re.MULTILINE,
)

_NAMED = re.compile(
    r"(?<![\w.$-])(?P<name>[\w.$-]++)(?P<quote>\\{0,7}[\"'])?[ \t]{0,4}(?P<sign>=>?|:)[ \t]{0,4}",
    re.ASCII,
)
"""`name=`, `name:`, `"name":`; what follows is looked at only where the name is a credential's."""

_OPENING = re.compile(r"(\\{0,7})([\"'])")
_QUOTES = re.compile(r"(?<!\\)(\\*+)([\"'])")
_WORD = re.compile(r"(?:[^\s&;\"'<>]++|(?=[\"']\w)[\"'])*+", re.ASCII)
_PHRASE = re.compile(r"(?:[^\r\n,;}<>\"'&]++|(?=[\"']\w)[\"'])*+")
"""A quote within a word is an apostrophe, or part of the value. (A possessive group must not fail behind its first
character: Python before 3.11.5 then goes on from there, gh-106052.)"""
_LINE = re.compile(r"[^\r\n]*")

_OPTION = re.compile(r"(?<![\w-])--([A-Za-z][\w-]{0,99}) (?!\\\s)([^\s-][^\s\"']*)", re.ASCII)
"""Of a command line; one that goes on in the next line has only a backslash there."""
_ELEMENT = re.compile(
    r"<(?:[\w.-]{1,40}:)?([A-Za-z][\w.-]{0,99})(?:\s[^<>]{0,1000})?>(<!\[CDATA\[(?s:.*?)(?:\]\]>|\Z)|[^<]+)",
    re.ASCII,
)

_PARAMETER = re.compile(r"[?&#;]([^\s=&?#;\"'<>]{1,200})=([^\s&#\"<>]*)", re.ASCII)

_INPUT = re.compile(r"<input\s[^<>]{1,2000}>", re.ASCII | re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([\w-]{1,40})=(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.ASCII)


def text_spans(text: str, rules: Rules) -> Iterator[Span]:
    """Find credentials in text of any kind; they come in the order of the text."""
    if len(text) < _SHORT and not rules.patterns and not _TELLING.search(text):
        return iter(())
    return merged(*_finders(text, rules))


def _finders(text: str, rules: Rules) -> Iterator[Iterable[Span]]:
    """One for each kind that may be there; each goes through the text once."""
    lower = text.encode(
        "ascii", "replace"
    ).lower()  # `str.lower` takes 12 bytes a character for what is not ASCII
    yield from _shapes(text, lower)
    if b"=" in lower or b":" in lower:
        yield _named(text, rules)
    if b"=" in lower:
        yield _parameters(text, rules)
    if b"--" in lower:
        yield _pairs(_OPTION, text, rules)
    if b"<" in lower:
        yield _pairs(_ELEMENT, text, rules)
    if b"<input" in lower:
        yield _inputs(text, rules)
    for pattern in rules.patterns:
        yield sorted(_matches(pattern, text))  # a group may stand in a look-ahead, beyond the next match


def command_spans(text: str) -> Iterator[Span]:
    """Find what only a stream of bytes has: log-in commands of protocols that are lines of text, and what is not over."""
    return _matches(_COMMANDS, text)


def _shapes(text: str, lower: bytes) -> Iterator[Iterable[Span]]:
    """Those that are recognised by their own shape."""
    for hints, pattern in _SHAPES:
        if any(hint in lower for hint in hints):
            yield _matches(pattern, text)
    if b"identified" in lower or b"password" in lower:
        yield _matches(_SQL, text)
    if b"basic" in lower:
        yield (Span(*match.span(1)) for match in _BASIC.finditer(text) if _is_basic(match[1]))


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        span = Span(*match.span(match.lastindex or 0))
        if span.end > span.start:
            yield span


def _is_basic(text: str) -> bool:
    """Whether this is user and password (RFC 7617 section 2), not the next word of a sentence."""
    try:
        return b":" in base64.b64decode(text, validate=True)
    except binascii.Error:
        return False


# --- by a name -------------------------------------------------------------------------------------


def _parameters(text: str, rules: Rules) -> Iterator[Span]:
    """Parameters of URLs, wherever these stand."""
    for match in _PARAMETER.finditer(text):
        if match[2] and rules.names.parameter(_unquoted(match[1])):
            yield Span(*match.span(2))


def _unquoted(name: str) -> str:
    """Undo the percent-encoding of a name: `pass%77ord` is one too."""
    if "%" not in name:
        return name
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), name)


def _pairs(pattern: re.Pattern[str], text: str, rules: Rules) -> Iterator[Span]:
    for match in pattern.finditer(text):
        if rules.names.key(match[1]):
            yield Span(*match.span(2))


def _inputs(text: str, rules: Rules) -> Iterator[Span]:
    """Fields of HTML forms, hidden ones too: their values by their names."""
    for tag in _INPUT.finditer(text):
        attributes = {name.lower(): (start, end) for name, start, end in _attributes(tag)}
        if "value" not in attributes:
            continue
        names = [
            text[start:end] for name, (start, end) in attributes.items() if name in {"name", "id", "type"}
        ]
        if any(rules.names.parameter(name) for name in names):
            yield Span(*attributes["value"])


def _attributes(tag: re.Match[str]) -> Iterator[tuple[str, int, int]]:
    for match in _ATTRIBUTE.finditer(tag[0]):
        start, end = match.span(match.lastindex or 0)
        yield match[1], tag.start() + start, tag.start() + end


def _named(text: str, rules: Rules) -> Iterator[Span]:
    at = 0
    while match := _NAMED.search(text, at):
        at = match.end()
        if rules.names.key(match["name"]) or rules.names.header(match["name"]):
            span = _value(text, match)
            if span.end > span.start:
                yield span
                at = span.end


def _value(text: str, named: re.Match[str]) -> Span:
    """The value behind a name: quoted, a word, or in a line `name: value` all the rest of it."""
    quoted = _quoted(text, named.end())
    if quoted:
        return quoted
    if named["quote"] and text[named.end() : named.end() + 1] in {"[", "{"}:
        return Span(named.end(), end_of_value(text, named.end()))
    if named["sign"] != ":":
        ends = _WORD
    elif named["quote"] is None and _begins_line(text, named.start()):
        ends = _LINE
    else:
        ends = _PHRASE
    match = ends.match(text, named.end())
    assert match is not None  # it may be empty
    return Span(*match.span())


def _begins_line(text: str, at: int) -> bool:
    """Whether there is only indentation before it."""
    while at and text[at - 1] in " \t-":
        at -= 1
    return at == 0 or text[at - 1] == "\n"


def _quoted(text: str, start: int) -> Span | None:
    """What is within quotes, up to the same quote escaped as many times, or to the end of a text that was cut.

    In a string within a string, and so on, a quote is preceded by n = 0, 1, 3 ... backslashes. Within it each
    backslash is n + 1 of them, so one more quote, which is part of the value, has 2n + 1; after a backslash
    that is the value's last, the quote that ends it has 3n + 2. A doubled quote is SQL's way to have one within.
    """
    opening = _OPENING.match(text, start)
    if opening is None:
        return None
    escapes, at = len(opening[1]), opening.end()
    while quote := _QUOTES.search(text, at):
        at = quote.end()
        if quote[2] != opening[2] or len(quote[1]) % (2 * escapes + 2) != escapes:
            continue
        if escapes or not text.startswith(quote[2], at):
            return Span(opening.end(), quote.end(1) - escapes)
        at += 1
    return Span(opening.end(), len(text))
