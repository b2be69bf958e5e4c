"""How connections and commands of MySQL begin."""

from __future__ import annotations

import re

from pellucid.parse.mysql.packets import Can
from pellucid.parse.protocol import Verdict
from pellucid.parse.sql.command import begins_statement, may_begin_statement

_TLS_REQUEST = 32
"""Bytes of SSLRequest: a login up to where the user would be."""

_MAX_LOGIN = 0x3FFF
"""Bytes: names, a proof, and attributes of the connection, a few hundred in all."""

_FILLER = slice(4 + 9, 4 + 28)
"""Zeros in a login; the four bytes after them are MariaDB's."""

_GREETING = re.compile(rb"...\0\x0a[0-9][ -~]{2,80}\0.{12}\0", re.DOTALL)
"""Version 10 of the protocol, the server's version, connection id and random bytes, a zero."""
_GREETING_BEGINS = re.compile(rb".{0,3}|...\0|...\0\x0a(?:[0-9][ -~]{0,80}(?:\0.{0,12})?)?", re.DOTALL)
_MAX_GREETING_SECOND = 0x03
"""The second byte of its length at most."""

_ANSWERS_TO_LOGIN = range(3, 16)
"""Sequence numbers of what a client sends after its login: at least the server's greeting and one answer came before."""

_PASSWORD = re.compile(rb"[^\0-\x1f\x7f\xfe\xff][^\0]*+\0")
"""No answer of a server begins so: OK, ERR, EOF, more data."""

_QUERY, _PREPARE, _EXECUTE = 0x03, 0x16, 0x17
_NO_ATTRIBUTES = b"\0\1"
_EXECUTE_FIELDS = re.compile(rb"....[\0-\x0f]\x01\0\0\0", re.DOTALL)
"""The statement, flags, and a count that is always one."""
_EXECUTE_BEGINS = re.compile(rb".{0,4}|....[\0-\x0f](?:\x01\0{0,3})?", re.DOTALL)


def judge_greeting(head: bytes) -> Verdict:
    """Say whether a server greets here."""
    if _GREETING.match(head):
        return Verdict.YES if head[1] <= _MAX_GREETING_SECOND and head[2] == 0 else Verdict.NO
    return Verdict.MORE if _GREETING_BEGINS.fullmatch(head) and not any(head[2:3]) else Verdict.NO


def judge_login(head: bytes) -> Verdict:
    """Say whether a client logs in here, or asks for TLS to do so."""
    size = int.from_bytes(head[:3], "little")
    if len(head) >= 3 and not _TLS_REQUEST <= size <= _MAX_LOGIN:
        return Verdict.NO
    if head[3:4] not in {b"", b"\1", b"\2"} or any(head[_FILLER]):
        return Verdict.NO
    if len(head) >= 8 and not int.from_bytes(head[4:8], "little") & Can.PROTOCOL_41:
        return Verdict.NO
    return Verdict.YES if len(head) >= 4 + _TLS_REQUEST else Verdict.MORE


def judge_command(head: bytes) -> Verdict:
    """Say whether COM_QUERY, COM_STMT_PREPARE or COM_STMT_EXECUTE begins here, whose content leaves no doubt."""
    if any(head[3:4]) or (len(head) < 5 and head[2:3] > b"\x0f"):
        return Verdict.NO
    if len(head) < 5:
        return Verdict.MORE
    size = int.from_bytes(head[:3], "little")
    payload = head[5:]
    if len(payload) + 1 > size:
        return Verdict.NO
    if head[4] == _EXECUTE:
        return _judge_execute(payload, size - 1)
    return _judge_text(payload.removeprefix(_NO_ATTRIBUTES)) if head[4] in {_QUERY, _PREPARE} else Verdict.NO


def judge_password(head: bytes) -> Verdict:
    """Say whether a packet of a login is all that is here, and holds a password as it is: it ends with the only NUL."""
    if any(head[2:3]) or not all(number in _ANSWERS_TO_LOGIN for number in head[3:4]):
        return Verdict.NO
    size, text = int.from_bytes(head[:2], "little"), head[4:]
    if len(head) >= 2 and not 2 <= size <= _MAX_LOGIN:
        return Verdict.NO
    if len(text) == size and _PASSWORD.fullmatch(text):
        return Verdict.YES
    return (
        Verdict.MORE if len(head) <= 4 or (len(text) < size and _PASSWORD.match(text + b"\0")) else Verdict.NO
    )


def _judge_text(text: bytes) -> Verdict:
    if begins_statement(text):
        return Verdict.YES
    return Verdict.MORE if may_begin_statement(text) or text == b"\0" else Verdict.NO


def _judge_execute(payload: bytes, size: int) -> Verdict:
    if size < 9 or not (_EXECUTE_FIELDS.match(payload) or _EXECUTE_BEGINS.fullmatch(payload)):
        return Verdict.NO
    return Verdict.YES if len(payload) == size else Verdict.MORE
