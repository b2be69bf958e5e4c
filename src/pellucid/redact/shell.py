"""Credentials on command lines: what stands behind an option, or a variable, that is made for one.

A line and the words of a command are looked at alike: as the words that the program gets (`words.py`). A word that is a
line itself (`sh -c '...'`, `ssh host "..."`) is looked into as one.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

from pellucid.redact.programs import BEHIND_SSHPASS, PROGRAMS, How
from pellucid.redact.spans import Span, masked, merged
from pellucid.redact.text import text_spans
from pellucid.redact.words import TOKEN, is_nothing, is_quoted, placed, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pellucid.redact.programs import Options
    from pellucid.redact.rules import Rules

_NESTED = 3
"""Lines within words of lines are read so many times over."""
_MOST_OPEN = 64
"""Commands within commands, `$(...)`, of which the outer ones are remembered."""

_SETTING = re.compile(r"([A-Za-z_][\w.-]*)?(?:\[([^\]]{1,200})\])?\+?=")
_OPTION = re.compile(r"--?([A-Za-z][\w.-]*)(=?)")
_PASS = re.compile(r"(?<!by)(?<!com)pass\Z|(?:\A|[_-])(?:pw|creds?)\Z", re.IGNORECASE)
"""Besides the names that hold a credential everywhere: `DB_PASS`, `SSHPASS`, `-storepass`, `--src-creds`."""
_LINE = re.compile(r"[ \t\n;|&()`]")
"""One of these is in a word that may be a line."""
_SETS = frozenset({"set", "config", "config:set"})
"""Behind these, names and values are words: `aws configure set aws_secret_access_key ...`."""


_PREFIX = re.compile(r"--?\w[\w-]*=|-l?c")
"""Before a line in the same word: `--command='...'`."""
_STDIN = re.compile(r"-S\Z|--(?:\w+-)*stdin\Z|--with-token\Z|--passphrase-fd")
"""Options of programs that read a credential: `sudo -S <<< secret`."""
_READERS = frozenset({"passwd", "chpasswd", "smbpasswd", "cryptsetup", "kinit", "su"})


class _Words:
    """The words of one command, one after the other."""

    def __init__(self, rules: Rules, *, secrets: bool = False) -> None:
        self._rules = rules
        self._options: dict[int, Options] = {}
        """Of all programs that were named: `sudo`, `env` and others run another."""
        self._expected: How | None = None
        self._sets = False
        self.secrets = secrets
        """Whether all of them are: those of `TOKENS=(...)`."""
        self.reads = False
        """Whether it reads a credential."""
        self._is_open = False
        """Whether the last word is a credential that goes on in what follows at once: `PASS=(`, `-p$(`, ``-p` ``."""
        self._htpasswd = _Htpasswd()

    def secret(self, word: str) -> int | None:
        """Where in this word a credential begins; None where there is none."""
        expected, self._expected = self._expected, None
        if expected or self.secrets:
            at = _behind(word, 0, expected or How.EITHER)
        elif setting := _SETTING.match(word):
            at = self._setting(setting)
        else:
            at = self._option(word)
        self._is_open = at is not None and (at == len(word) or word.endswith("$"))
        return at

    def within(self, *, adjacent: bool) -> _Words:
        """A command within this one, which may stand for a credential; whether it follows the last word at once."""
        expected, self._expected = self._expected, None
        secrets = self.secrets or expected is not None or (adjacent and self._is_open)
        return _Words(self._rules, secrets=secrets)

    def take(self, inner: _Words) -> None:
        """A command within this one has ended: `$(which mysql) -psecret`."""
        self._options |= inner._options

    def _setting(self, setting: re.Match[str]) -> int | None:
        """Of a variable, which may have another before it: `-var=password=`."""
        is_secret = any(name and self._is_secret(name) for name in setting.groups())
        return setting.end() if is_secret else None

    def _option(self, word: str) -> int | None:
        """Of a word that sets no variable."""
        if _STDIN.match(word):
            self.reads = True
            return None
        for options in self._options.values():
            for how, pattern in options:
                if option := pattern.match(word):
                    return self._value(word, option.end(), how)
        if option := _OPTION.match(word):
            if self._is_secret(option[1]) and (option[2] or option.end() == len(word)):
                return self._value(word, option.end(), How.EITHER)
            if option[2] and (setting := _SETTING.match(word, option.end())):
                return self._setting(setting)
        if self._htpasswd.is_password(word):
            return 0
        self._operand(word)
        return None

    def _operand(self, word: str) -> None:
        """What a word that is neither tells of those behind it."""
        if self._sets and word[:1] != "-" and self._is_secret(word):
            self._expected = How.EITHER
        self._sets = self._sets or word in _SETS
        name = word.rpartition("/")[2].removesuffix(".exe")
        self.reads = self.reads or name in _READERS
        if name in BEHIND_SSHPASS:
            self._options.pop(id(PROGRAMS["sshpass"]), None)
        elif name in PROGRAMS:
            self._options[id(PROGRAMS[name])] = PROGRAMS[name]

    def _value(self, word: str, end: int, how: How) -> int | None:
        """Of an option that ends there: in this word, or in the next."""
        if end < len(word):
            return _behind(word, end + (word[end] == "="), how)
        if how is How.ATTACHED:
            return end
        self._expected = how
        return None

    def _is_secret(self, name: str) -> bool:
        return self._rules.names.key(name) or _PASS.search(name) is not None


class _Htpasswd:
    """`htpasswd -b file user password`, `-n` without a file: the place tells."""

    def __init__(self) -> None:
        self._named = self._batch = False
        self._before = 2
        """Words that are to come before the password."""

    def is_password(self, word: str) -> bool:
        """Whether this, the next word, is it."""
        if not self._named:
            self._named = word.rpartition("/")[2] == "htpasswd"
            return False
        if word.startswith("-"):
            self._batch = self._batch or "b" in word
            self._before += (word[-1] in "Cr") - ("n" in word)  # -C and -r have a value
            return False
        self._before -= 1
        return self._batch and self._before < 0


def _behind(word: str, start: int, how: How) -> int | None:
    """Where in a value its credential begins."""
    if how in {How.ATTACHED, How.EITHER}:
        return start
    at = word.find(how.value, start)
    return at + 1 if at >= 0 else None


def masked_words(words: Sequence[str], rules: Rules) -> list[str]:
    """Mask credentials in the words of one command; each word is as the program gets it."""
    command = _Words(rules)
    return [masked(word, _in_word(command, word, rules, _NESTED)) for word in words]


def masked_line(line: str, rules: Rules) -> str:
    """Mask credentials in what is typed into a shell: the words, with their quotes, of several commands."""
    return masked(line, _in_line(line, _Words(rules), rules, _NESTED))


def _in_word(command: _Words, word: str, rules: Rules, nested: int) -> Iterator[Span]:
    """Of a word without its quotes: what it has behind an option, as a line, and as text."""
    at = command.secret(word)
    return merged(_inside(word, rules, nested) if at is None else _from(at, word), text_spans(word, rules))


def _from(at: int, word: str) -> Iterator[Span]:
    if at < len(word):
        yield Span(at, len(word))


def _inside(word: str, rules: Rules, nested: int) -> Iterator[Span]:
    """Of a word that is no credential itself; what `--command=` has is a line as well."""
    if not nested or not _LINE.search(word):
        return iter(())
    start = name.end() if (name := _SETTING.match(word) or _PREFIX.match(word)) else 0
    return _moved(_in_line(word[start:], _Words(rules), rules, nested - 1), start)


def _moved(spans: Iterator[Span], by: int) -> Iterator[Span]:
    return (Span(span.start + by, span.end + by, span.mask) for span in spans)


def _in_line(line: str, command: _Words, rules: Rules, nested: int) -> Iterator[Span]:
    outer: deque[tuple[str, _Words]] = deque(maxlen=_MOST_OPEN)
    redirect, end = "", 0  # what stands behind a redirection is no word of the command
    for token in TOKEN.finditer(line):
        text, kind = token[0], token.lastgroup
        if kind == "word":
            if is_nothing(text):
                continue
            secrets = command.reads and redirect == "<<<"
            of = _Words(rules, secrets=secrets) if redirect else command
            yield from _moved(_in_token(of, text, rules, nested), token.start())
        elif kind == "comment" and nested:  # a quote in one quotes nothing; zsh may have words there
            yield from _moved(_in_line(text[1:], command, rules, nested - 1), token.start() + 1)
        elif kind == "back" and outer and outer[-1][0] == "back":
            command = _left(outer, command)
        elif kind in {"open", "back"}:
            outer.append((kind, command))
            command = command.within(adjacent=token.start() == end)
        elif kind == "close":
            command = _left(outer, command) if outer and outer[-1][0] == "open" else _Words(rules)
        elif kind == "end" and not command.secrets:
            command = _Words(rules)
        redirect, end = text if kind == "redirect" else "", token.end()


def _left(outer: deque[tuple[str, _Words]], command: _Words) -> _Words:
    """The command that this one is within."""
    _, before = outer.pop()
    before.take(command)
    return before


def _in_token(command: _Words, token: str, rules: Rules, nested: int) -> Iterator[Span]:
    """Of a word as it stands in the line."""
    word = unquoted(token)
    spans = _in_word(command, word, rules, nested)
    return placed(token, len(word), spans) if is_quoted(token) else spans
