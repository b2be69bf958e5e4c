"""How a setting is written down."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["text", "keylog", "pcap", "shell", "sql", "replay"]
"""What messages are made of: TLS in one of the three ways of `-m`, shells, databases, or a recording."""


class Meaning(NamedTuple):
    """Where a setting has none."""

    not_with: Mapping[Mode, str]
    """Modes in which it would do nothing, or harm, each with the reason, or what to say instead."""
    needs: tuple[str, str] | None
    """The name of a setting without which it would do nothing, and what to say about that."""
    for_text: bool
    """It is about what outputs in text show."""


def setting(
    *flags: str,
    default: Any,
    help: str,
    not_with: Mapping[Mode, str] | None = None,
    needs: tuple[str, str] | None = None,
    for_text: bool = False,
    **more: Any,
) -> Any:
    """A dataclass field with its flags. For `not_with`, `needs` and `for_text` see `Meaning`.

    `least` and `most` in `more` are a number's bounds (else 0 and none), `choices` are all its values; the
    rest goes to click (`metavar`, `multiple` ...).
    """
    meaning = Meaning(not_with or {}, needs, for_text)
    metadata = {"flags": flags, "help": help, "meaning": meaning, **more}
    return dataclasses.field(default=default, metadata=metadata)
