"""Whether a document is HAR 1.2, by the schema that validators of it use (npm: har-schema)."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft6Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT6
from tests.kernel import packages

PACKAGE = "har-schema@2.0.0"


@cache
def _validator() -> Draft6Validator:
    files = (packages.npm(PACKAGE) / "lib").glob("*.json")
    schemas = [json.loads(path.read_text()) for path in files]
    resources = [(schema["$id"].rstrip("#"), Resource(schema, DRAFT6)) for schema in schemas]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft6Validator({"$ref": "har.json"}, registry=registry, format_checker=FormatChecker())


def check_har(text: str | bytes) -> list[dict[str, Any]]:
    """Fail where it is not a HAR document; return its entries."""
    document = json.loads(text)
    _validator().validate(document)
    entries = document["log"]["entries"]
    assert isinstance(entries, list)
    return entries
