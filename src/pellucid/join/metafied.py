"""How zsh keeps its strings, those of its variables and its words.

Before each byte that it has a use for stands another one, and that byte has its bit 5 changed (Meta in Src/zsh.h). What the
kernel keeps of a program, its words for one, is never so.
"""

from __future__ import annotations

from pellucid.model import SHELLS

_META = 0x83
_ZSH = SHELLS.index("zsh")


def is_metafied(shell: int) -> bool:
    """Whether a shell, an index into `SHELLS`, keeps its strings so."""
    return shell == _ZSH


def unmetafied(text: bytes) -> bytes:
    """Undo what zsh does to its strings (unmetafy() in Src/utils.c)."""
    if _META not in text:
        return text
    plain = bytearray()
    meta = False
    for byte in text:
        if byte == _META and not meta:
            meta = True
        else:
            plain.append(byte ^ 32 if meta else byte)
            meta = False
    return bytes(plain)
