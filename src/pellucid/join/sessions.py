"""What a record says of a TLS session, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.join.suites import suite_name
from pellucid.model import Session

if TYPE_CHECKING:
    from pellucid.model import Opened

_VERSIONS = {
    0x0300: "SSLv3",
    0x0301: "TLSv1.0",
    0x0302: "TLSv1.1",
    0x0303: "TLSv1.2",
    0x0304: "TLSv1.3",
    0xFEFF: "DTLSv1.0",
    0xFEFD: "DTLSv1.2",
    0xFEFC: "DTLSv1.3",
}
"""`ProtocolVersion`: RFC 8446 section 4.1.2, RFC 9147 section 5.3 and those before them."""


def session_of(record: Opened) -> Session:
    """What is not a version that exists, and text that is not printable ASCII, counts as not known."""
    return Session(
        _VERSIONS.get(record.version),
        suite_name(record.cipher),
        _text(record.names[: record.server_name].removesuffix(b"\0")),
        _text(record.names[record.server_name :]),
    )


def _text(name: bytes) -> str | None:
    return name.decode() if name.isascii() and name.decode().isprintable() and name else None
