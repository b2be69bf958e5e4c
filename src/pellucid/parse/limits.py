"""Every buffer of the parse stage has its bound here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.parse.grpc.schema import Schema

_KIB = 1024
_MIB = 1024 * _KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in bytes, unless said otherwise; what exceeds one is said in the message, never dropped."""

    max_body: int = _MIB
    """Shown of each body, and kept of it as sent. A page of JSON is 100 KiB, a download is not for reading;
    what is beyond is counted and hashed."""

    max_decoded: int = _MIB
    """Produced by each content coding that is undone, so that 1 KiB of brotli cannot become 1 GiB. More than
    `max_body` serves only stacked codings: of the last result no more than `max_body` is shown."""

    max_head: int = 256 * _KIB
    """Of one header block, and of one trailer block. Servers refuse heads above 8 KiB (nginx, Apache) to
    64 KiB (IIS, Envoy), so anything longer than four times that is something else."""

    max_pending: int = 128
    """Requests of one connection that wait for their response. Load generators pipeline 16, h2load 100; a
    program whose responses are never seen must not pile up its requests."""

    max_streams: int = 1024
    """Exchanges of one HTTP/2 connection that have begun and not ended. Servers allow 100 to 250 at once; streams whose
    ends are never seen must not pile up."""

    max_sniff: int = 16 * _KIB
    """Held of a connection before a parser claims it: a request line with the longest URL that servers take
    (8 KiB), twice."""

    max_held: int = 32 * _MIB
    """Memory that all connections together may take, objects included; what happens beyond it is in `evict.py`.
    Part of `--memory`."""

    schema: Schema | None = None
    """No bound, but what parsers are given else: how `--proto` says that messages are to be read."""
