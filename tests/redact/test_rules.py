"""The rules file: what it adds, and one line for what is wrong in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pellucid.errors import UsageError
from pellucid.redact import load_rules
from pellucid.redact.content import Content
from tests.shell import RECORDINGS, only_line, pellucid

if TYPE_CHECKING:
    from pathlib import Path


def test_what_it_adds(tmp_path: Path) -> None:
    """Names and patterns of the file are masked besides the built-in ones; a group is all that is masked of a match."""
    file = tmp_path / "rules.toml"
    file.write_text("keys = ['iban']\npatterns = ['\\bDE\\d{20}\\b', 'order (\\d+)']\n")
    redact = Content(load_rules(file))
    assert redact.body('{"iban": 1, "password": 2}') == '{"iban": "***", "password": "***"}'
    assert redact.text("DE12345678901234567890, order 77") == "***, order ***"
    assert redact.body(b"\xff order 77") == b"\xff order ***"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("keys = [\n1\n", ":"),
        ("keys = ['a']\nheader = ['b']\n", ":2: unknown 'header': there are headers, keys, patterns"),
        ("\nkeys = 'a'\n", ":2: keys must be a list of strings"),
        ("keys = ['a', 1]\n", ":1: keys must be a list of strings"),
        ("patterns = [\n'ok',\n'(bad',\n]\n", ":3: bad pattern '(bad'"),
        ("patterns = ['x*']\n", ":1: the pattern 'x*' matches nothing at all"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    """The error says file and line."""
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        load_rules(file)
    assert f"{file}{expected}" in str(error.value)


def test_toml_that_is_none(tmp_path: Path) -> None:
    """A mistake in the TOML itself has its line as well, and the command says it in one line with status 2."""
    file = tmp_path / "rules.toml"
    file.write_text("headers = []\nkeys = oops\n")
    line = only_line(pellucid("replay", "--redact-rules", file, RECORDINGS / "curl_nginx.pellucid"), 2)
    assert line.startswith(f"{file}:2: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """One line, status 2."""
    line = only_line(pellucid("tls", "--redact-rules", tmp_path / "none"), 2)
    assert line == f"cannot read the rules in {tmp_path}/none: No such file or directory"


def test_not_with_record(tmp_path: Path) -> None:
    """A recording keeps every byte: to ask for it and for masking at once is refused."""
    line = only_line(pellucid("tls", "--redact", "--record", tmp_path / "x"), 2)
    assert line.startswith("--record keeps every byte as it was, which --redact cannot mask")
    assert not (tmp_path / "x").exists()


def test_what_was_there_before(tmp_path: Path) -> None:
    """A file that an earlier run left is put aside as it was where files rotate, unmasked, and the log says so."""
    file, recording = tmp_path / "x", RECORDINGS / "curl_nginx.pellucid"
    file.write_text("password=S\n")
    answer = pellucid("replay", "--redact", "--rotate-size", "1", recording, "-o", f"json:{file}")
    assert f"{file}: what an earlier run left there is put aside as it was" in answer.stderr
    assert {path.read_text() for path in tmp_path.iterdir() if path != file} == {"password=S\n"}
