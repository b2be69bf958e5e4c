"""Credentials on command lines: what stands behind an option, or a variable, that is made for one.

What a name or a shape gives away in any text (`text.py`) is not looked for here.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from pellucid.redact.spans import MASK, Span, masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pellucid.redact.names import Names


class How(Enum):
    """How an option has its value."""

    ATTACHED = "attached"
    """In the same word only: `-psecret`."""
    EITHER = "either"
    """In the same word or as the next one."""
    ACCOUNT = "account"
    """As `EITHER`, a user's name and `:` before it; short options of one letter may come before it in its word."""
    SHARE = "share"
    """The same with `%`."""


_TABLE: dict[str, dict[str, How]] = {
    "mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlsh mariadb mariadb-dump mariadb-admin "
    "mariadb-import mariadb-show mariadb-check": {"-p": How.ATTACHED},
    "ldapsearch ldapadd ldapmodify ldapdelete ldappasswd ldapwhoami": {"-w": How.EITHER, "-s": How.EITHER, "-a": How.EITHER},
    "mongo mongosh mongodump mongorestore mongoexport mongoimport": {"-p": How.EITHER},
    "7z 7za 7zr rar unrar": {"-p": How.ATTACHED},
    "zip unzip zipcloak ipmitool sqlcmd bcp": {"-P": How.EITHER},
    "docker podman buildah skopeo oc az sshpass": {"-p": How.EITHER},
    "smbclient rpcclient smbget net": {"-U": How.SHARE, "--user": How.SHARE},
    "curl": {"-u": How.ACCOUNT, "-U": How.ACCOUNT, "--user": How.ACCOUNT, "--proxy-user": How.ACCOUNT},
    "redis-cli": {"-a": How.EITHER, "--pass": How.EITHER},
    "openssl": {"-k": How.EITHER, "-K": How.EITHER, "-passin": How.EITHER, "-passout": How.EITHER, "-pass": How.EITHER},
    "xfreerdp": {"/p:": How.ATTACHED},
    "ssh scp sftp rsync": {},  # behind sshpass, where -p is a port
}  # fmt: skip
"""By program: its options. `-p` of docker is a port in other commands than `login`: that is masked too."""
_PROGRAMS = {name: options for names, options in _TABLE.items() for name in names.split()}

_SEPARATORS = {How.ACCOUNT: ":", How.SHARE: "%"}

_TOKEN = re.compile(
    r"""(?P<word>(?:[^\s'"\\;|&()<>]+|\\.|'[^']*'|"(?:[^"\\]|\\.)*"|['"\\])+)|(?P<end>[;|&()\n]+)""",
    re.DOTALL,
)
"""A shell's words, with their quotes, and what sets commands apart (POSIX.1-2017, XCU 2.3)."""
_SETTING = re.compile(r"([A-Za-z_]\w*)\+?=")
_OPTION = re.compile(r"--?([A-Za-z][\w-]*)(=?)")
_PASS = re.compile(r"(?<!by)(?<!com)pass\Z", re.IGNORECASE)
"""Besides the names that hold a credential everywhere: `DB_PASS`, `SSHPASS`, `-storepass`."""


class _Words:
    """The words of one command, one after the other."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._options: dict[str, How] = {}
        self._expected: How | None = None

    def secret(self, word: str) -> int | None:
        """Where in this word a credential begins; None where there is none."""
        expected, self._expected = self._expected, None
        if expected:
            return _behind(word, 0, expected)
        if setting := _SETTING.match(word):
            return setting.end() if self._is_secret(setting[1]) else None
        for option, how in self._options.items():
            if (end := _end_of(word, option, how)) is not None:
                return self._value(word, end, how)
        if (option_ := _OPTION.match(word)) and self._is_secret(option_[1]):
            if option_[2] or option_.end() == len(word):
                return self._value(word, option_.end(), How.EITHER)
            return None
        self._options = _PROGRAMS.get(word.rpartition("/")[2], self._options)
        return None

    def _value(self, word: str, end: int, how: How) -> int | None:
        """Of an option that ends there: in this word, or in the next."""
        if end < len(word):
            return _behind(word, end + (word[end] == "="), how)
        if how is not How.ATTACHED:
            self._expected = how
        return None

    def _is_secret(self, name: str) -> bool:
        return self._names.key(name) or _PASS.search(name) is not None


def _end_of(word: str, option: str, how: How) -> int | None:
    """Where an option ends with which a word begins; None for another word."""
    if option.startswith("--"):
        return len(option) if word == option or word.startswith(f"{option}=") else None
    if how is How.ACCOUNT:
        cluster = re.match(rf"-[A-Za-z#]*?{option[1]}", word)
        return cluster.end() if cluster else None
    if len(option) > 2 and option[0] == "-":  # a long one with one dash
        return len(option) if word == option else None
    return len(option) if word.startswith(option) else None


def _behind(word: str, start: int, how: How) -> int | None:
    """Where in a value its credential begins."""
    separator = _SEPARATORS.get(how)
    if separator is None:
        return start
    at = word.find(separator, start)
    return at + 1 if at >= 0 else None


def masked_words(words: Sequence[str], names: Names) -> list[str]:
    """Mask credentials in the words of one command; each word is as the program gets it."""
    command = _Words(names)
    return [word if (at := command.secret(word)) is None else f"{word[:at]}{MASK}" for word in words]


def masked_line(line: str, names: Names) -> str:
    """Mask credentials in what is typed into a shell: the words, with their quotes, of several commands."""
    return masked(line, _spans(line, names))


def _spans(line: str, names: Names) -> Iterator[Span]:
    command = _Words(names)
    for token in _TOKEN.finditer(line):
        if token["end"]:
            command = _Words(names)
            continue
        word = token["word"]
        at = command.secret(word)
        if at is not None and at < len(word):
            quote = word[0] if word[0] in "'\"" and word[-1] == word[0] and len(word) > 1 else ""
            yield Span(token.start() + max(at, len(quote)), token.end() - len(quote))
