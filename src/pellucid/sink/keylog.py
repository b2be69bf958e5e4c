"""Key logs in the format of NSS, which Wireshark and others read: draft-ietf-tls-keylogfile section 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model import KeyLogLine, key_log_line
from pellucid.sink.base import Sink

if TYPE_CHECKING:
    from pellucid.model import Message
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.output import Output

_REMEMBERED = 1 << 16
"""Lines, some 6 MiB: both ends of a connection log the same ones, within its handshake."""


class KeyLogSink(Sink):
    """A line for each secret, appended and handed to the kernel at once; of what both ends have logged, one."""

    format = "keylog"
    appends = True

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
