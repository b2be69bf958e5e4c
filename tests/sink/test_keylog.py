"""Key logs: lines of the NSS format, each once, behind what a file holds already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pellucid.sink import Output, SinkOptions
from pellucid.sink.keylog import KeyLogSink

from .messages import raw, secret, summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Render = Callable[..., str]


def test_lines(render: Render) -> None:
    """A secret is label, random and secret, each set apart by one space; nothing else is in the file."""
    other = secret(label="CLIENT_RANDOM", client_random="00" * 32, secret="11" * 48)
    assert render(KeyLogSink, secret(), raw("x"), other, summary()) == (
        f"CLIENT_TRAFFIC_SECRET_0 {'5c' * 32} {'3f' * 32}\nCLIENT_RANDOM {'00' * 32} {'11' * 48}\n"
    )


def test_each_once(render: Render) -> None:
    """What both ends of a connection have logged is one line; another secret of the same handshake is another one."""
    renewed = (
        secret(label="CLIENT_TRAFFIC_SECRET_N"),
        secret(label="CLIENT_TRAFFIC_SECRET_N", secret="44" * 32),
    )
    lines = render(KeyLogSink, secret(), *renewed, secret(pid=1), *renewed).splitlines()
    assert len(lines) == len(set(lines)) == 3


def test_a_line_is_in_the_file_at_once(tmp_path: Path) -> None:
    """Whoever follows the file has the secret before the next message comes."""
    path = tmp_path / "keys"
    sink = KeyLogSink(Output(os.open(path, os.O_WRONLY | os.O_CREAT), "keys"), SinkOptions())
    sink.write(secret())
    assert path.read_text().count("\n") == 1
    sink.close()
