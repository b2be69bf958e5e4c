"""How text shows what was typed into shells, and the shapes of queries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pellucid.model import (
    QueryShape,
)
from pellucid.sink.text import TextSink

from .messages import (
    WHO,
    command,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Render = Callable[..., str]


def test_commands(render: Render) -> None:
    """A command of a shell is who, at which terminal, status, time and place, then its lines; or all of it in one."""
    who = "02:57:42.123 bash[42] ada pts/3 2 1.2ms"
    assert render(TextSink, command()) == f"{who} in /home/ada\n  ls x |\n    wc\n\n"
    assert render(TextSink, command(), view="quiet") == f"{who} ls x | wc\n"
    assert render(TextSink, command(), view="body") == "ls x |\n  wc\n"


def test_commands_without_an_end(render: Render) -> None:
    """What is not known is a dash, how it ended is said where it was not as usual, and a cut text is marked."""
    open_ = command(
        exit_code=None, duration_ms=None, ended="exec", tty=None, user=None, cwd=None, truncated=True
    )
    shown = render(TextSink, open_)
    assert "02:57:42.123 bash[42] 1000 - - - exec in ?\n" in shown
    assert "[truncated: the command is longer than what was kept]" in shown


def test_history(render: Render) -> None:
    """Where history expansion has changed a line, what was typed comes before it."""
    changed = command(line="ls x", typed="!!")
    assert "\n  !!\n[which history expansion makes]\n  ls x\n" in render(TextSink, changed)
    raw = command(line="ls x", typed={"base64": "/+Ah"})
    assert "\n[3 bytes of binary data (--hex shows them)]\n[which history expansion makes]\n" in render(
        TextSink, raw
    )


def test_what_was_run(render: Render) -> None:
    """A command that a shell ran has its place in the source, and its words where these differ from what is written."""
    ran = command(line="ls $x", argv=["ls", "a b"], script="./a.sh", lineno=8, depth=1)
    who = "02:57:42.123 bash[42] ada pts/3 2 1.2ms"
    assert render(TextSink, ran) == f"{who} in /home/ada at ./a.sh:8 depth 1\n  ls $x\n= ls 'a b'\n\n"
    same = command(line="ls", argv=["ls"], script="zsh", lineno=None, depth=0)
    assert render(TextSink, same) == f"{who} in /home/ada at zsh:?\n  ls\n\n"


@pytest.mark.parametrize(
    ("cwd", "script", "depth", "where"),
    [
        ("/home/ada", "./a.sh", 0, "in /home/ada at ./a.sh:8"),
        ("/home/ada/projects/shop/releases", "./a.sh", 1, "in .../shop/releases at ./a.sh:8 depth 1"),
        ("/srv/www", "/usr/share/shop/bin/release", 0, "in /srv/www at .../shop/bin/release:8"),
        ("/home/ada/projects/shop", "/usr/share/shop/bin/release", 0, "in .../shop at .../bin/release:8"),
    ],
)
def test_what_was_run_in_a_narrow_terminal(
    render: Render, cwd: str, script: str, depth: int, where: str
) -> None:
    """In 80 columns a heading is one line: the beginnings of its paths give way; in a file all is there."""
    ran = command(cwd=cwd, line="ls", argv=["ls"], script=script, lineno=8, depth=depth)
    shown = render(TextSink, ran, terminal=True, width=80).splitlines()[0]
    assert shown == f"02:57:42.123 bash[42] ada pts/3 2 1.2ms {where}"
    assert len(shown) <= 80
    assert f" in {cwd} at {script}:8" in render(TextSink, ran, width=80)


@given(st.text("ab/."), st.text("ab/.", min_size=1), st.integers(1, 60))
def test_paths_end_as_they_do(render: Render, cwd: str, script: str, width: int) -> None:
    """However narrow it is, the last name of each path is whole, and colours take no room."""
    ran = command(cwd=cwd, line="ls", argv=["ls"], script=script, lineno=8, depth=0)
    first = render(TextSink, ran, terminal=True, width=width).splitlines()[0]
    assert first.endswith(f"{script.rpartition('/')[2]}:8")
    assert f"{(cwd or '?').rpartition('/')[2]} at " in first
    colored = render(TextSink, ran, terminal=True, width=width, color=True).splitlines()[0]
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == first


def test_shapes(render: Render) -> None:
    """Queries of one shape are how many they were and what they took, then the shape; what is not known is left out."""
    shape = QueryShape(
        ts=WHO["ts"],
        server="mysql",
        shape="SELECT ?",
        count=2,
        total_ms=3.04,
        p50_ms=1.3,
        p99_ms=2.5,
        rows=7,
        errors=1,
    )
    facts = "mysql 2 times, 3.0 ms in all, p50 1.3 ms, p99 2.5 ms, 7 rows, 1 error"
    assert f"02:57:42.123 {facts}\n  SELECT ?\n\n" == render(TextSink, shape)
    rest = structs.replace(shape, shape=None, total_ms=0.0, p50_ms=None, p99_ms=None, errors=0)
    assert "mysql 2 times, 7 rows\n  (further shapes)\n" in render(TextSink, rest)
