"""What a library calls itself: for people. Nothing is ever decided by it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# OPENSSL_VERSION_TEXT of openssl/opensslv.h, and of LibreSSL's and BoringSSL's crypto.h. It is a whole
# constant that ends with a date or in parentheses: other texts speak of versions too, and compilers keep the
# first 16 bytes of one once more for moving them at once.
_TEXT = re.compile(
    rb"(?:^|\0)(OpenSSL \d+\.\d[ -~]{0,60} (?:\d{1,2} [A-Z][a-z]{2} \d{4}|\(compatible; [ -~]{1,40}\))"
    rb"|LibreSSL \d+\.[\d.]+|BoringSSL)\0"
)
_FORK = re.compile(r"\(compatible; (.+)\)$")  # BoringSSL and aws-lc say whose interface they have
_SOURCES = {
    b"boringssl": "BoringSSL"
}  # __FILE__ in its error reports, where it has no text (linked statically)
_CRYPTO = re.compile(r"libcrypto\b")  # OpenSSL's other half, which has the text from 3.x on


def version_of(path: Path, mapped: Mapping[str, Path]) -> str | None:
    """Such as `OpenSSL 3.0.19 27 Jan 2026`; None where the file does not say.

    Where only the libcrypto that it needs says it, that one's: the one among `mapped`, files by name that a
    process of this file has mapped too, else the one that lies in the file's folder.
    """
    try:
        with Elf(path) as elf:
            found = _stated(elf)
            needed = next(filter(_CRYPTO.match, elf.needed), None)
        if found is None and needed is not None:
            with Elf(mapped.get(needed, path.with_name(needed))) as elf:
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
