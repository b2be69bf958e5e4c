"""How a setting is written down."""

from __future__ import annotations

import dataclasses
from typing import Any


def setting(*flags: str, default: Any, help: str, **more: Any) -> Any:
    """A dataclass field with its flags.

    `least` and `most` in `more` are a number's bounds (else 0 and none), `choices` are all its values; the
    rest goes to click (`metavar`, `multiple` ...).
    """
    metadata = {"flags": flags, "help": help, **more}
    return dataclasses.field(default=default, metadata=metadata)
