"""The page and the schema of messages are what `pellucid.model` says, and what the output is."""

from __future__ import annotations

import json
from typing import Any

import message_page
import message_schema
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, ValidationError
from message_examples import examples

from pellucid import model
from pellucid.model import Message
from pellucid.sink.json import encode_into
from tests.recordings.make import SCENES, expected_of
from tests.sink.messages import messages
from tests.valid import SCHEMA, VALIDATORS, check


def test_the_page_is_fresh() -> None:
    """docs/messages.md is what tools/message_page.py writes now."""
    assert message_page.PAGE.read_text() == message_page.page(), "run tools/message_page.py"


def test_the_schema_is_fresh() -> None:
    """docs/schema has what tools/message_page.py writes now, and is a schema."""
    assert message_schema.FILE.read_text() == message_schema.schema_text(), "run tools/message_page.py"
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_says_its_version() -> None:
    """Name, id and `schema_version` of the file are of one version."""
    version = SCHEMA["schema_version"]
    assert (message_schema.FILE.name, SCHEMA["$id"]) == (
        f"messages-{version}.json",
        f"urn:pellucid:messages:{version}",
    )


def test_every_message_of_the_model_is_told() -> None:
    """A message class that is added to the model must be added to the page."""
    concrete = {cls for cls in leaves(Message) if cls.__module__.startswith(model.__name__)}

    assert concrete <= set(message_schema.MESSAGES)


def test_every_field_has_a_meaning() -> None:
    """No field of a message, or of what it holds, is without its docstring."""
    parts = SCHEMA["$defs"].items()
    fields = [(name, *field) for name, part in parts for field in part["properties"].items()]

    assert [field for field in fields if not field[2].get("description") and field[1] != "type"] == []


@pytest.mark.parametrize("name", SCENES)
def test_what_is_replayed(name: str) -> None:
    """Each line of each recording's replay is as the schema says."""
    for line in expected_of(name).read_bytes().splitlines():
        check(line)
        Draft202012Validator(SCHEMA).validate(json.loads(line))


@given(message=messages)
def test_any_message(message: Message) -> None:
    """Whatever a message holds, its line is as the schema says."""
    line = bytearray()
    encode_into(message, line)
    check(line)


def test_examples() -> None:
    """There is an example of every type, and each is as the schema says."""
    shown = examples()
    assert shown.keys() == VALIDATORS.keys()
    for message, _ in shown.values():
        check(json.dumps(message))


@pytest.mark.parametrize(
    "change",
    [
        {"ts": None},
        {"conn": "7"},
        {"role": 1},
        {"new": 1},
        {"request": {}},
        {"request": "GET"},
        {"type": "data"},
    ],
)
def test_what_is_refused(change: dict[str, Any]) -> None:
    """A field of another type, one that is missing, and one that nobody has described are all noticed."""
    message, _ = examples()["http"]
    with pytest.raises(ValidationError):
        check(json.dumps(message | change))


def leaves(cls: type) -> set[type]:
    """The classes that nothing is derived from."""
    children = cls.__subclasses__()
    return {cls} if not children else set().union(*(leaves(child) for child in children))
