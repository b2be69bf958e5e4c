"""Flags that would do nothing are refused: which ones these are, each setting says of itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.settings.setting import Meaning
    from pellucid.settings.show import Show


def check_meaning(settings: Show) -> None:
    """UsageError for a setting that does not go with what is captured, or lacks another one."""
    for flag, meaning in _given(settings):
        if reason := meaning.not_with.get(settings.mode):
            raise UsageError(f"{flag} does not go with {settings.how}: {reason}")
        if meaning.needs and not getattr(settings, meaning.needs[0]):
            raise UsageError(f"{flag} needs {_flag_of(settings, meaning.needs[0])}: {meaning.needs[1]}")


def check_for_text(settings: Show) -> None:
    """UsageError for a setting about text. To be called where no output is in text."""
    for flag, meaning in _given(settings):
        if meaning.for_text:
            raise UsageError(f"{flag} is about text, and no output is in text: say -o text:FILE as well")


def _given(settings: Show) -> Iterator[tuple[str, Meaning]]:
    """Flag and meaning of each setting that is not as it is by default."""
    for field in dataclasses.fields(settings):
        if getattr(settings, field.name) != field.default:
            yield _flag_of(settings, field.name), field.metadata["meaning"]


def _flag_of(settings: Show, name: str) -> str:
    """The long flag that is its name, or the first long one."""
    (field,) = (field for field in dataclasses.fields(settings) if field.name == name)
    flags: tuple[str, ...] = field.metadata["flags"]
    return next(flag for flag in flags if flag.startswith("--"))
