"""Settings: each has a flag, a help text and a default, and the command line hands over exactly these."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pellucid.cli import from_settings
from pellucid.settings import Show, Tls

FIELDS = dataclasses.fields(Tls)


def parsed(*words: str) -> Tls:
    """The settings that a command line means."""
    got: list[Tls] = []

    @click.command()
    @from_settings(Tls)
    def command(settings: Tls) -> None:
        got.append(settings)

    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return got[0]


def test_no_flag_is_the_defaults() -> None:
    """An empty command line means the defaults of the class, each of its own type."""
    assert parsed() == Tls()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "json", "-o", "text:x"], {"output": ("json", "text:x")}),
        (["--hex", "-d", "--connections"], {"hex": True, "debug": True, "connections": True}),
        (["-p", "4711", "-u", "0"], {"pid": 4711, "uid": 0}),
        (["--duration", "2.5", "--count", "7"], {"duration": 2.5, "count": 7}),
        (["--libssl", "a/b"], {"libssl": (Path("a/b"),)}),
        (["--libssl", "a", "--libssl", "b"], {"libssl": (Path("a"), Path("b"))}),
        (
            ["-b", "1", "-m", "text", "--ssl_version", "openssl 3.0.12"],
            {"btf": "1", "ssl_version": "openssl 3.0.12"},
        ),
        (["-t", "100", "--mapsize", "2048"], {"tsize": 100, "mapsize": 2048}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_set_what_they_name(words: list[str], expected: dict[str, object]) -> None:
    """Each flag changes its own setting, with the right type, and no other."""
    assert parsed(*words) == dataclasses.replace(Tls(), **expected)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_each_setting_is_explained(field: dataclasses.Field[object]) -> None:
    """A help text is a sentence; the long flag is the setting's name or eCapture's."""
    assert field.metadata["help"].split("  [")[0][-1] in ".]"
    assert any(flag.startswith("--") for flag in field.metadata["flags"])


def test_no_flag_has_two_meanings() -> None:
    """A flag belongs to one setting."""
    flags = Counter(flag for field in FIELDS for flag in field.metadata["flags"])
    assert [flag for flag, times in flags.items() if times > 1] == []
    assert not {"-h", "--help", "-v", "--version"} & set(flags)


def test_a_replay_shows_as_a_capture_does() -> None:
    """Every setting of how to show is one of a capture too."""
    assert {field.name for field in dataclasses.fields(Show)} < {field.name for field in FIELDS}
