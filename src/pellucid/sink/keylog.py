"""Key logs in the format of NSS, which Wireshark and others read: draft-ietf-tls-keylogfile section 2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pellucid.model import KeyLogLine, key_log_line
from pellucid.sink.base import Sink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pellucid.model import Message
    from pellucid.settings import Mode
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.output import Output

_REMEMBERED = 1 << 16
"""Lines, some 6 MiB: both ends of a connection log the same ones, within its handshake."""

_LINE = re.compile(rb"(#.*|[A-Z0-9_]+ (Session-ID:)?[0-9A-Fa-f]+ (Master-Key:)?[0-9A-Fa-f]+|)\r?")
"""A comment, a secret, as NSS or as old OpenSSL tools wrote it, or nothing (Wireshark User's Guide, TLS; the draft, section 2)."""

_CUT = re.compile(rb"#.*|[A-Z0-9_]*( ([SM][A-Za-z-]*:?)?[0-9A-Fa-f]*){0,2}")
"""How a line begins, for the last one of a program that was killed."""


class KeyLogSink(Sink):
    """A line for each secret, appended and handed to the kernel at once; of what both ends have logged, one."""

    format = "keylog"
    kinds, content = frozenset({"secret"}), "secrets of TLS"
    not_with: ClassVar[Mapping[Mode, str]] = {
        "text": "it holds secrets, of which none is captured; say -m keylog, or -m pcap",
        "shell": "it holds secrets of TLS, of which none is captured; say -o json:FILE",
        "sql": "it holds secrets of TLS, of which none is captured; say -o json:FILE",
    }
    appends = True

    @classmethod
    def continues(cls, beginning: bytes) -> bool:
        """Whether all of it is a key log's. One word alone, in capitals, is no line that was cut short."""
        *lines, cut = beginning.split(b"\n")
        alone = not lines and cut and b" " not in cut
        return not alone and bool(_CUT.fullmatch(cut)) and all(map(_LINE.fullmatch, lines))

    def __init__(self, output: Output, options: SinkOptions) -> None:
        super().__init__(output, options)
        self._seen: dict[int, None] = {}
        """Hashes of the latest lines, the oldest first."""

    def write(self, message: Message) -> None:
        """Append the line, if it is a secret's and has not just been written."""
        if not isinstance(message, KeyLogLine):
            return
        line = key_log_line(message.label, message.client_random, message.secret)
        known = hash(line)
        if known in self._seen:
            return
        if len(self._seen) >= _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[known] = None
        self._append(line)
        self._output.flush()
