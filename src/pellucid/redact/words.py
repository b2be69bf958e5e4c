"""A shell's words: where they stand in a line, what they are without their quotes, and the way back (POSIX.1-2017, XCU 2.2).

What is looked for is looked for in the word that the program gets; what is masked is the same characters in the line. All
patterns take time in proportion to the line: a quote that is never closed is a character like others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pellucid.redact.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SINGLE = r"'[^']*'"
_ANSI = r"\$'[^'\\]*(?:\\.[^'\\]*)*'"
_DOUBLE = r"\$?\"[^\"\\]*(?:\\.[^\"\\]*)*\""

TOKEN = re.compile(
    rf"""(?P<comment>\#[^\n]*)
      |(?P<redirect>(?:\d{{1,9}}|&(?=>))?(?:<<<|<<-?|<>|[<>]&|>>|>\||[<>])(?!\())
      |(?P<word>(?:[^\x20\t\n'"\\;|&()<>`$]+|{_SINGLE}|{_ANSI}|{_DOUBLE}|\\.|\$\{{[^}}'"\\$]*\}}|['"\\$])+)
      |(?P<open>[<>]?\()|(?P<close>\))|(?P<back>`)|(?P<end>[;|&\n]+)""",
    re.DOTALL | re.VERBOSE,
)
"""What a line consists of, besides blanks (of which a shell has two only). `&` in a redirection ends no command."""

_PIECE = re.compile(
    rf"(?P<single>{_SINGLE})|(?P<ansi>{_ANSI})|(?P<double>{_DOUBLE})|\\(?P<escaped>.)|(?P<plain>[^'\"\\$]+|.)",
    re.DOTALL,
)
_WITHIN = {
    "$'": re.compile(r"\\(.)|[^\\]+|\\", re.DOTALL),
    '"': re.compile(r"\\([$`\"\\\n])|[^\\]+|\\"),
}
"""What is within quotes in which a backslash means something. (`\\n` in `$'...'` is not made a newline: no name has one.)"""

_REQUOTED = {
    "": (re.compile(r"(['\"$])"), r"\\\1"),
    "'": (re.compile(r"(')"), r"'\\''"),
    "$'": (re.compile(r"(')"), r"\\\1"),
    '"': (re.compile(r"([\"$])"), r"\\\1"),
}
"""How quotes that a mask has are written within quotes."""


class _Piece(NamedTuple):
    """A part of a word: what it stands for, where it is, and the quotes that it is in."""

    text: str
    start: int
    end: int
    quotes: str


class _Place(NamedTuple):
    """Where one character of a word stands in the line, with the backslash before it."""

    start: int
    end: int
    quotes: str


def _pieces(word: str) -> Iterator[_Piece]:
    for match in _PIECE.finditer(word):
        start, end = match.span()
        match match.lastgroup:
            case "single":
                yield _Piece(word[start + 1 : end - 1], start + 1, end - 1, "'")
            case "ansi":
                yield from _within(word, start + 2, end - 1, "$'")
            case "double":
                yield from _within(word, word.index('"', start) + 1, end - 1, '"')
            case "escaped":
                yield _Piece(match["escaped"].replace("\n", ""), start, end, "")
            case _:
                yield _Piece(match[0], start, end, "")


def _within(word: str, start: int, end: int, quotes: str) -> Iterator[_Piece]:
    for match in _WITHIN[quotes].finditer(word, start, end):
        text = match[0] if match[1] is None else match[1].replace("\n", "")
        yield _Piece(text, *match.span(), quotes)


def is_quoted(word: str) -> bool:
    """Whether there are quotes in it, or backslashes."""
    return "'" in word or '"' in word or "\\" in word


def unquoted(word: str) -> str:
    """What the program gets, but for what variables and patterns become."""
    return "".join(piece.text for piece in _pieces(word)) if is_quoted(word) else word


def is_nothing(word: str) -> bool:
    """Whether it is no word at all: a line that goes on in the next one."""
    return word.startswith("\\\n") and not word.replace("\\\n", "")


def placed(word: str, size: int, spans: Iterable[Span]) -> Iterator[Span]:
    """Bring spans of an unquoted word of `size` characters to where these stand in the quoted one, whose quotes stay in pairs."""
    find = _Finder(word)
    for span in _apart(spans):
        first, last = find(span.start), find(span.end - 1)
        if first.quotes != last.quotes and span.end == size:
            last = _Place(last.start, len(word), "")
        pattern, quoted = _REQUOTED[first.quotes]
        mask = pattern.sub(quoted, span.mask)
        if first.quotes != last.quotes:
            mask += first.quotes[-1:] + last.quotes
        yield Span(first.start, last.end, mask)


class _Finder:
    """Where characters stand, asked for in their order."""

    def __init__(self, word: str) -> None:
        self._pieces = _pieces(word)
        self._piece = _Piece("", 0, 0, "")
        self._at = 0
        """The place of the piece among the characters."""

    def __call__(self, index: int) -> _Place:
        while index >= self._at + len(self._piece.text):
            self._at += len(self._piece.text)
            self._piece = next(self._pieces)
        text, start, end, quotes = self._piece
        if len(text) < end - start:  # one character and a backslash
            return _Place(start, end, quotes)
        start += index - self._at
        return _Place(start, start + 1, quotes)


def _apart(spans: Iterable[Span]) -> Iterator[Span]:
    """Spans in order, those that overlap as one."""
    last: Span | None = None
    for span in spans:
        if last is not None and span.start < last.end:
            last = last._replace(end=max(last.end, span.end))
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last
