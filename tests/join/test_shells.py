"""Lines of shells become commands: which lines belong together, how each ended, and what was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pellucid.errors import FormatError
from pellucid.join import Join
from pellucid.join.held import EACH, SHORT
from pellucid.join.metafied import unmetafied
from pellucid.join.shells import MOST_BYTES
from pellucid.join.status import ByStatus
from pellucid.model import TEXTS, Clock, Command, End, Left, Line, Prompted, Typed, Users, Words

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST, MORE, GIVEN_UP, EARLIER = range(4)
BASH, ZSH = range(2)
WALL = 1_000_000_000_000


def line(
    time: int, kind: int = FIRST, *, pid: int = 7, shell: int = BASH, directory: bytes = b"/home"
) -> Line:
    """A line of this kind."""
    return Line(time, pid, 1, 1000, shell, kind, b"sh\0", b"pts3\0", directory)


def typed(text: bytes, *, pid: int = 7, offset: int = 0, last: int = 1) -> Typed:
    """Its text."""
    return Typed(0, pid, offset, last, text)


def prompted(time: int, status: int = 0, *, more: int = 0, pid: int = 7) -> Prompted:
    """The shell asks for a line."""
    return Prompted(time, pid, status, more)


def commands(*records: Any) -> list[Command]:
    """What the records make, after a clock that puts boot time at `WALL`."""
    join = Join()
    flows: list[Any] = [flow for record in (Clock(0, WALL), *records) for flow in join(record)]
    return [flow for flow in flows if isinstance(flow, Command)]


def shown(found: Iterable[Command]) -> list[tuple[Any, ...]]:
    """Text, status, duration in ns and how it ended."""
    return [
        (each.text, each.status, None if each.ended is None else each.ended - each.time, each.how)
        for each in found
    ]


def test_a_command_ends_at_the_next_prompt() -> None:
    """Status and end are those of the next prompt, times are of the wall clock, the user has a name."""
    (found,) = commands(Users({1000: "ada"}), prompted(5), line(10), typed(b"make"), prompted(40, 2))
    assert shown([found]) == [(b"make", 2, 30, "done")]
    assert (found.time, found.user, found.line.tty) == (WALL + 10, "ada", b"pts3\0")


def test_lines_of_one_command_are_joined() -> None:
    """A prompt for more ends nothing; the command began with its last line."""
    records = (
        line(10),
        typed(b"cat <<X"),
        prompted(11, more=1),
        line(20, MORE),
        typed(b""),
        prompted(21, more=1),
    )
    found = commands(*records, line(30, MORE), typed(b"X"), prompted(35))
    assert shown(found) == [(b"cat <<X\n\nX", 0, 5, "done")]


def test_pieces_of_a_long_line_are_one() -> None:
    """A line that comes in pieces is whole; one whose end is missing is marked."""
    pieces = (line(10), typed(b"a" * 4095, last=0))
    whole, cut = commands(*pieces, typed(b"b"), prompted(20), *pieces, prompted(30))
    assert (whole.text, whole.truncated) == (b"a" * 4095 + b"b", False)
    assert (cut.text, cut.truncated) == (b"a" * 4095, True)


def test_a_command_has_a_limit() -> None:
    """However many lines a command has, no more than `MOST_BYTES` are kept, and it is said."""
    text = b"x" * (MOST_BYTES // 2)
    (found,) = commands(
        line(1),
        typed(text),
        *(each for at in (2, 3, 4) for each in (line(at, MORE), typed(text))),
        prompted(9),
    )
    assert len(found.text) <= MOST_BYTES + 3
    assert found.truncated


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (Left(30, 7, 3 << 8, 0), (b"x", 3, 20, "exit")),
        (Left(30, 7, 15, 0), (b"x", 143, 20, "exit")),
        (Left(30, 7, 0, 1), (b"x", None, None, "exec")),
        (End(30), (b"x", None, None, "capture")),
        (line(30), (b"x", None, None, "unknown")),
    ],
    ids=["exit", "signal", "exec", "capture", "lost"],
)
def test_ends_without_a_prompt(end: Any, expected: tuple[Any, ...]) -> None:
    """Exit has the shell's own status, a signal 128 and its number; exec, the capture's end and a lost prompt have none."""
    assert shown(commands(line(10), typed(b"x"), end))[0] == expected


def test_what_was_given_up() -> None:
    """A line that Ctrl-C has ended is marked, with what was typed of it; nothing typed is no command."""
    records = (
        line(10),
        typed(b"if"),
        prompted(11, more=1),
        line(20, GIVEN_UP),
        typed(b"tr"),
        prompted(21, 130),
    )
    assert shown(commands(*records)) == [(b"if\ntr", 130, 1, "interrupted")]
    assert (
        commands(line(30, GIVEN_UP), typed(b""), prompted(31, 130), line(32), typed(b"  "), prompted(33))
        == []
    )


def expanded(text: bytes, *, last: int = 1, pid: int = 7) -> Words:
    """What history expansion makes of the last line."""
    return Words(0, 0, pid, TEXTS.index("expanded"), 0, last, text)


def test_history_expansion() -> None:
    """What runs is the text, what was typed is kept beside it: in bash line by line, in zsh the whole command."""
    two = (
        line(1),
        typed(b"for x in !$"),
        expanded(b"for x in a\0"),
        prompted(2, more=1),
        line(3, MORE),
        typed(b"do !!"),
    )
    (found,) = commands(*two, expanded(b"do ", last=0), expanded(b"ls\0"), prompted(9))
    assert (found.text, found.typed) == (b"for x in a\ndo ls", b"for x in !$\ndo !!")
    records = (line(1, shell=ZSH), typed(b"if !$\n"), line(2, MORE, shell=ZSH), typed(b"then !!\n"))
    (found,) = commands(*records, expanded(b"if a\nthen b\n\0"), prompted(9))
    assert (found.text, found.typed) == (b"if a\nthen b", b"if !$\nthen !!")
    (found,) = commands(line(1), typed(b"ls"), expanded(b"ls\0"), prompted(9))
    assert (found.text, found.typed) == (b"ls", None)


def test_history_that_is_not_there() -> None:
    """A line of which nothing is left did not run; one that was asked for before the capture has no typed text."""
    assert shown(commands(line(1), typed(b"!x"), expanded(b""), prompted(5, 3))) == [
        (b"!x", 3, 4, "interrupted")
    ]
    (found,) = commands(line(1, EARLIER, shell=ZSH), expanded(b"ls\n\0"), prompted(5))
    assert (found.text, found.typed, found.truncated) == (b"ls", None, False)


def test_all_shells_together_have_a_limit() -> None:
    """Too much that was typed loses its oldest texts; where that is not enough the oldest commands are given up, and counted."""
    join = Join(2 * 40 * EACH)
    flows: list[Any] = [*join(Clock(0, WALL))]
    for pid in range(50):
        for record in (line(1, pid=pid), typed(b"x" * 20_000, pid=pid)):
            flows += join(record)
    flows += join(End(9))
    found = {each.line.pid: each for each in flows if isinstance(each, Command)}
    assert {pid for pid, each in found.items() if each.how == "capture"} == set(range(26, 50))
    assert [len(found[pid].text) for pid in (26, 49)] == [SHORT, 20_000]
    assert [found[pid].truncated for pid in (26, 49)] == [True, False]
    assert flows[-1].lost == {"unended_commands": 26}


def test_shells_do_not_mix() -> None:
    """Lines of two shells at once stay apart, each with its own status."""
    found = commands(
        line(1), line(2, pid=8), typed(b"b", pid=8), typed(b"a"), prompted(3, 5, pid=8), prompted(4, 6)
    )  # fmt: skip
    assert [(each.line.pid, each.text, each.status) for each in found] == [(8, b"b", 5), (7, b"a", 6)]


def test_zsh() -> None:
    """A line of zsh ends with a newline and is metafied, as its directory is; both are undone."""
    (found,) = commands(
        line(1, shell=ZSH, directory=b"/\x83\xa3"), typed(b"a\n"), line(2, MORE, shell=ZSH, directory=b"/\x83\xa3"),
        typed(b"\xc3\x83\xa4\n"), prompted(3),
    )  # fmt: skip
    assert (found.text, found.line.directory) == (b"a\n\xc3\x84", b"/\x83")


def test_unmetafied_takes_anything() -> None:
    """What ends within an escape loses it; without one nothing changes."""
    assert unmetafied(b"a\x83") == b"a"
    assert unmetafied(b"a\x83\xa3b\x83\x20") == b"a\x83b\x00"
    assert unmetafied(b"plain") == b"plain"


def test_only_one_status() -> None:
    """`--errnumber` passes commands with that status, those whose status was lost, and whatever is no command."""
    join = Join()
    records = (
        Clock(0, WALL),
        line(1),
        typed(b"a"),
        prompted(2, 1),
        line(3),
        typed(b"b"),
        prompted(4),
        line(5),
        typed(b"c"),
        line(6),
        typed(b"d"),
        End(7),
    )
    flows = [flow for record in records for flow in join(record)]
    kept = [*ByStatus(1)(flows)]
    assert [flow.text for flow in kept if isinstance(flow, Command)] == [b"a", b"c"]
    assert kept[-1] is flows[-1]


def test_nonsense_is_refused() -> None:
    """A kind or shell that does not exist means a damaged stream."""
    for wrong in (line(1, 9), line(1, shell=9)):
        with pytest.raises(FormatError, match="does not exist"):
            commands(wrong)
