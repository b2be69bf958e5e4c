"""The page about messages is what `pellucid.model` says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pellucid import model

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("message_page", ROOT / "tools" / "message_page.py")
message_page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(message_page)


def test_the_page_is_fresh():
    """docs/messages.md is what tools/message_page.py writes now."""
    assert message_page.PAGE.read_text() == message_page.page(), "run tools/message_page.py"


def test_every_message_of_the_model_is_on_the_page():
    """A message class that is added to the model must be added to the page."""
    concrete = {cls for cls in leaves(model.Message) if cls.__module__.startswith(model.__name__)}

    assert concrete <= set(message_page.MESSAGES)


def test_every_field_has_a_meaning():
    """No field of a message is without its docstring."""
    fields = [(cls.__name__, *row) for cls in message_page.MESSAGES for row in message_page.fields(cls)]

    assert [row for row in fields if not row[-1]] == []


def leaves(cls):
    children = cls.__subclasses__()
    return {cls} if not children else set().union(*(leaves(child) for child in children))
