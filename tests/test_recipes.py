"""The recipes of docs/recipes.md, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from message_examples import examples

from pellucid.model import QueryError
from tests.recordings.make import SCENES, expected_of
from tests.sink.messages import answer, http

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"
RECIPES = re.findall(r"```sh\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
PICTURE = b"\x89PNG\xff"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where events.ndjson is: what every recording shows, a picture that was not found, failures, one of every type."""
    folder = tmp_path_factory.mktemp("recipes")
    replayed = b"".join(expected_of(name).read_bytes() for name in SCENES)
    refused = QueryError(code="42P01", message="no such table")
    made = [
        http(response=answer(PICTURE, status=404), duration_ms=9000.0, request_ms=1.0, response_ms=2.0),
        http(protocol="gRPC", response=answer("", grpc_status=5), duration_ms=None),
        http(protocol="gRPC", response=answer("", grpc_status=0), duration_ms=None),
        *[
            message | {"failure": refused} if kind == "query" else message
            for kind, (message, _) in examples().items()
        ],
    ]
    lines = b"".join(msgspec.json.encode(message) + b"\n" for message in made)
    (folder / "events.ndjson").write_bytes(replayed + lines)
    return folder


def answered(recipe: str, folder: Path) -> bytes:
    """What a recipe prints."""
    assert shutil.which("jq"), "jq is missing: apt-get install jq"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {recipe}"], cwd=folder, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_has_an_answer(recipe: str, folder: Path) -> None:
    """As it stands on the page, it runs without complaint and finds something."""
    assert answered(recipe, folder).strip()


def recipe_with(words: str) -> str:
    """The one recipe that contains these words."""
    (recipe,) = (recipe for recipe in RECIPES if words in recipe)
    return str(recipe)


def test_failures(folder: Path) -> None:
    """Everything but success is the one exchange whose status is 404."""
    (line,) = answered(recipe_with(". >= 300"), folder).splitlines()
    assert msgspec.json.decode(line)["response"]["status"] == 404


def test_failed_calls(folder: Path) -> None:
    """Of the gRPC calls only those with another status than 0 are told."""
    lines = answered(recipe_with("grpc_message"), folder).splitlines()
    told = [msgspec.json.decode(line) for line in lines if line.startswith(b"[")]
    assert [status for _, status, _ in told] == [5]


def test_bodies(folder: Path) -> None:
    """A body that is not text comes out as the bytes that were sent."""
    assert answered(recipe_with("base64 -d"), folder) == PICTURE


def test_the_slowest(folder: Path) -> None:
    """The slowest exchange comes first, with its duration and the waiting in it."""
    first = answered(recipe_with("[:10]"), folder).splitlines()[0].split(b"\t")
    assert (float(first[0]), round(float(first[1]), 3)) == (9000.0, 8997.0)


def test_a_request_again(folder: Path) -> None:
    """The commands are what a shell splits into the words that were meant."""
    lines = answered(recipe_with("curl -X"), folder).decode().splitlines()
    (line,) = {line for line in lines if "e.com" in line}
    shell = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True)
    assert shell.stdout.splitlines() == ["curl", "-X", "GET", "https://e.com/a", "-H", "Host: e.com"]
