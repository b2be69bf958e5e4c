"""What a library calls itself: for people. Nothing is ever decided by it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pathlib import Path

# OPENSSL_VERSION_TEXT of openssl/opensslv.h, and of LibreSSL's and BoringSSL's crypto.h. It is a whole
# constant: other texts speak of versions too.
_TEXT = re.compile(rb"(?:^|\0)((?:OpenSSL|LibreSSL) \d+\.\d[^\0\n]{0,80})\0")
_FORK = re.compile(r"\(compatible; (.+)\)$")  # BoringSSL and aws-lc say whose interface they have
_SOURCES = {b"boringssl": "BoringSSL"}  # __FILE__ in its error reports, where no text is
_CRYPTO = re.compile(r"libcrypto\b")  # OpenSSL's other half, which has the text from 3.x on


def version_of(path: Path) -> str | None:
    """Such as `OpenSSL 3.0.19 27 Jan 2026`; None where the file does not say.

    Where only the libcrypto that it needs says it, that one's, if it lies beside the file.
    """
    try:
        with Elf(path) as elf:
            found = _stated(elf)
            beside = [path.with_name(name) for name in elf.needed if _CRYPTO.match(name)]
        if found is None and beside and beside[0].exists():
            with Elf(beside[0]) as elf:
                found = _stated(elf)
    except PellucidError:  # whoever looks for targets says so; this is only for show
        return None
    return found


def _stated(elf: Elf) -> str | None:
    sources = None
    for piece in elf.constants():
        found = _TEXT.search(piece)
        if found:
            text = " ".join(found[1].decode(errors="backslashreplace").split())
            fork = _FORK.search(text)
            return fork[1] if fork else text
        sources = sources or next((name for mark, name in _SOURCES.items() if mark in piece), None)
    return sources
