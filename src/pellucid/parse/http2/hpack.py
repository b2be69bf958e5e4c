"""HPACK (RFC 7541), read by somebody who may have come late.

A field that was sent before the capture began, and is referred to now, is not known; which fields are is certain all
the same. The encoder refers only to entries that its table has, by their distance from the newest one. So an index
within the entries that we have seen inserted names exactly the one that we count to, whatever the table's size, and
an index beyond them names one that we do not know. It is left out and counted as `missing`.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from pellucid.parse.budget import CHARACTER_COST, FIELD_COST
from pellucid.parse.http2.huffman import decode_huffman
from pellucid.parse.http2.static_table import STATIC
from pellucid.parse.text import field_text

Field = tuple[str, str]

_ENTRY_COST = 32
"""Bytes that a table entry counts for above its text (section 4.1)."""

_DEFAULT_TABLE = 4096
"""Bytes of the table until the encoder says otherwise (RFC 9113 section 6.5.2)."""

_MOST_KEPT = 64 * 1024
"""Bytes of a table that are kept, by the same count. Chromium and Firefox allow so much, all others 4 KiB; what lies
deeper in a larger one is not known."""

_REMEMBERED = 512
"""Bytes of the longest block that is remembered."""

_EXPANSION = 2
"""No literal of a block means more than so many times its bytes: the shortest code has 5 bits (appendix B)."""

_LONGEST_STATIC = 64
"""Bytes that no entry of the static table has."""

_MAX_INTEGER = (1 << 32) - 1
"""No length or index is longer than any block; nghttp2 has this bound."""

_STATIC: tuple[Field, ...] = (("", ""), *STATIC)
_DYNAMIC = len(_STATIC)
"""The index of the newest entry of the dynamic table."""

_NEWEST = _DYNAMIC - 1
"""Less the index of an entry it is where the entry is, counted from the end of all: -1 for the newest."""


class HpackError(ValueError):
    """The bytes are no header block, or not the next one of this table."""


class Block(NamedTuple):
    """A header block, decoded."""

    fields: list[Field]
    missing: int
    """Fields that refer to what was not seen."""
    most: int
    """Bytes of text that the fields may have together at most: a bound that is soon found, and seldom near."""


class Table:
    """The dynamic table of one direction (section 2.3.2), and so its decoder."""

    __slots__ = ("_bound", "_entries", "_last", "_last_block", "_most", "_size", "_sizes", "_whole")

    def __init__(self, *, whole: bool) -> None:
        self._entries: deque[Field | None] = deque()
        """The newest is last. None is one whose name is not known."""
        self._sizes: deque[int] = deque()
        """Bytes of each of them (section 4.1)."""
        self._size = 0
        self._whole = whole
        """Every entry that the encoder may refer to is here."""
        self._most: int | None = _DEFAULT_TABLE if whole else None
        """The size that the encoder keeps to; None where it is not known."""
        self._bound = _DEFAULT_TABLE if whole else _MOST_KEPT
        """The size that we keep to."""
        self._last_block = b""
        """The last block, where it is short and the table is as it was before it: services say the same again and again."""
        self._last = Block([], 0, 0)
        """What it meant."""

    @property
    def cost(self) -> int:
        """Bytes of memory that it takes at most."""
        last = CHARACTER_COST * _EXPANSION * len(self._last_block) + FIELD_COST * len(self._last.fields)
        return CHARACTER_COST * self._size + FIELD_COST * len(self._entries) + last

    def forget(self) -> None:
        """Some block was not seen, or not whole: which entry has which index is known only of new ones."""
        self._evict(0)
        self._whole = False
        self._most = None
        self._bound = _MOST_KEPT
        self._last_block = b""

    def decode(self, block: bytes) -> Block:
        """Decode one whole header block. Raises `HpackError`; the table is of no use then until it forgets.

        What is returned may be the very value that was returned before.
        """
        if block and block == self._last_block:
            return self._last
        self._last_block = block if len(block) <= _REMEMBERED else b""
        fields: list[Field] = []
        missing = 0
        at = 0
        size = len(block)
        longest = max(self._size, _EXPANSION * size, _LONGEST_STATIC)
        try:
            while at < size:
                byte = block[at]
                field: Field | None
                if byte & 0x80:
                    field, at = self._indexed(block, at)
                elif byte & 0xE0 == 0x20:
                    most, at = _integer(block, at, 0x1F)
                    self._resize(most)
                    continue
                else:
                    field, at = self._literal(block, at)
                if field:
                    fields.append(field)
                else:
                    missing += 1
        except IndexError:
            raise HpackError("a header block ends within a field") from None
        except ValueError as error:  # HuffmanError too
            raise HpackError(str(error)) from None
        self._last = Block(fields, missing, len(fields) * longest)
        return self._last

    def _indexed(self, block: bytes, at: int) -> tuple[Field | None, int]:
        """Section 6.1."""
        index = block[at] & 0x7F
        at += 1
        if index == 0x7F:
            index, at = _integer(block, at - 1, 0x7F)
        if 0 < index < _DYNAMIC:
            return _STATIC[index], at
        if 0 < index < _DYNAMIC + len(self._entries):
            return self._entries[_NEWEST - index], at
        self._check_unknown(index)
        return None, at

    def _literal(self, block: bytes, at: int) -> tuple[Field | None, int]:
        """Section 6.2: with indexing, without, and never indexed."""
        indexing = block[at] & 0x40
        index, at = _integer(block, at, 0x3F if indexing else 0x0F)
        name: str | None
        if 0 < index < _DYNAMIC:
            name = _STATIC[index][0]
        elif index:
            name = self._name(index)
        else:
            literal, at = _string(block, at)
            name = _text(literal)
        value, at = _string(block, at)
        field = None if name is None else (name, value if value.isascii() else _text(value))
        if indexing:
            self._insert(field, len(name or "") + len(value) + _ENTRY_COST)
        return field, at

    def _name(self, index: int) -> str | None:
        """The name of an entry of the dynamic table."""
        if index < _DYNAMIC + len(self._entries):
            entry = self._entries[_NEWEST - index]
            return entry[0] if entry else None
        self._check_unknown(index)
        return None

    def _check_unknown(self, index: int) -> None:
        """Where every entry is known, no other one can be referred to."""
        if index == 0 or self._whole:
            raise HpackError(f"no header field has index {index}")

    def _insert(self, field: Field | None, size: int) -> None:
        """Section 4.4. `size` is in bytes, without the name where that is not known.

        An entry larger than the table only empties it. Where that may have happened unknown to us, or the entry is not
        kept, only newer ones are known from here on. Where the table's size is not known, this cannot mislead: the
        encoder refers to nothing that was before such an entry.
        """
        most = self._most
        self._last_block = b""
        if most is not None and size > most:
            self._evict(0)
        elif size > _MOST_KEPT or (most is not None and (field is None or not field[0].isascii())):
            self._evict(0)
            self._whole = False
        else:
            self._entries.append(field)
            self._sizes.append(size)
            self._size += size
            if self._size > self._bound:
                self._evict(self._bound)

    def _resize(self, most: int) -> None:
        """Section 6.3."""
        self._last_block = b""
        self._most = most
        self._bound = min(most, _MOST_KEPT)
        self._whole = self._whole and most <= _MOST_KEPT
        self._evict(self._bound)

    def _evict(self, most: int) -> None:
        """Section 4.3."""
        while self._size > most:
            self._entries.popleft()
            self._size -= self._sizes.popleft()


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """Read an integer whose prefix has the bits of `mask` (section 5.1); return it and the index after it."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while value <= _MAX_INTEGER:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    raise HpackError("an integer of a header block is too large")


def _string(block: bytes, at: int) -> tuple[str, int]:
    """Read a string literal (section 5.2); return its bytes as characters (ISO 8859-1), and the index after it."""
    coded = block[at] & 0x80
    size = block[at] & 0x7F
    if size < 0x7F:
        at += 1
    else:
        size, at = _integer(block, at, 0x7F)
    end = at + size
    if end > len(block):
        raise HpackError("a header block ends within a field")
    data = block[at:end]
    return (decode_huffman(data) if coded else data.decode("iso-8859-1")), end


def _text(characters: str) -> str:
    return characters if characters.isascii() else field_text(characters.encode("iso-8859-1"))
