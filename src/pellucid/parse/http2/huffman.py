"""The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B), decoded a byte at a time.

The code is canonical: symbols in the order of their lengths, and of their values where these are equal, have
consecutive codes. So the lengths alone make it.
"""

from __future__ import annotations

from functools import cache, lru_cache

_SHORTEST = (
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b'!"()?'),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\0$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
    (19, b"\\\xc3\xd0"),
)
"""Bits, and the symbols that have so many; those of the following lengths are no text that headers have."""

_LONGEST = (
    (20, "808283a2b8c2e0e2"),
    (21, "99a1a7acb0b1b3d1d8d9e3e5e6"),
    (22, "8184858688929a9ca0a3a4a9aaadb2b5b9babbbdbec4c6e4e8e9"),
    (23, "0187898a8b8c8d8f93959697989b9d9ea5a6a8aeafb4b6b7bcbfc5e7ef"),
    (24, "098e9091949fabced7e1eced"),
    (25, "c7cfeaeb"),
    (26, "c0c1c8c9cacdd2d5dadbeef0f2f3ff"),
    (27, "cbccd3d4d6dddedff1f4f5f6f7f8fafbfcfdfe"),
    (28, "020304050607080b0c0e0f1011121314151718191a1b1c1d1e1f7fdcf9"),
    (30, "0a0d16"),
)

_MOST_PADDING = 7
"""Bits: a whole byte of padding is an error (section 5.2)."""

_NOWHERE = 1 << 16
"""A state that is none: the longest code was sent, which means the end and is an error (section 5.2)."""

_REMEMBERED = 128
"""Bytes of the longest text that is remembered. Programs send the same few hundred again and again, and decoding
one anew takes 0.1 microseconds a byte."""


class HuffmanError(ValueError):
    """The bytes are not in this code."""


def _codes() -> dict[str, str]:
    """The symbol, as a character, by its code as ones and zeros."""
    sizes = [*_SHORTEST, *((bits, bytes.fromhex(symbols)) for bits, symbols in _LONGEST)]
    codes, code, before = {}, 0, 0
    for bits, symbols in sizes:
        for symbol in symbols:
            code <<= bits - before
            before = bits
            codes[f"{code:0{bits}b}"] = chr(symbol)
            code += 1
    return codes


class _Machine(dict[int, list[tuple[int, str]]]):
    """By state, which is how far a code has come: for each next byte the next state, and what characters it completes.

    Of the 256 states each is made when it is first met: text meets some fifty, of 18 KiB each.
    """

    def __init__(self) -> None:
        super().__init__()
        self._codes = _codes()
        prefixes = {code[:size] for code in self._codes for size in range(len(code))}
        self._prefixes = sorted(prefixes, key=lambda each: (len(each), each))
        self._states = {prefix: state for state, prefix in enumerate(self._prefixes)}
        self.ends = frozenset(self._states["1" * size] for size in range(_MOST_PADDING + 1))
        """States in which a text may end: the padding is the beginning of the longest code, all ones."""

    def __missing__(self, state: int) -> list[tuple[int, str]]:
        row = self[state] = [self._after(self._prefixes[state], byte) for byte in range(256)]
        return row

    def _after(self, code: str, byte: int) -> tuple[int, str]:
        characters = ""
        for bit in f"{byte:08b}":
            code += bit
            if code in self._codes:
                characters += self._codes[code]
                code = ""
        return self._states.get(code, _NOWHERE), characters


@cache
def _machine() -> _Machine:
    return _Machine()


def decode_huffman(data: bytes) -> str:
    """Decode a string literal; return its bytes as characters (ISO 8859-1). Raises `HuffmanError`."""
    return _remembered(data) if len(data) <= _REMEMBERED else _decoded(data)


def _decoded(data: bytes) -> str:
    machine = _machine()
    state = 0
    found: list[str] = []
    try:
        for byte in data:
            state, characters = machine[state][byte]
            found.append(characters)
    except IndexError:  # nowhere
        raise HuffmanError("a text is not in the Huffman code") from None
    if state not in machine.ends:
        raise HuffmanError("a text is not in the Huffman code")
    return "".join(found)


_remembered = lru_cache(maxsize=1024)(_decoded)
