"""What shells run becomes commands: words from pieces, and which of them end together."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.errors import FormatError
from pellucid.join import Join
from pellucid.join.runs import MOST_BYTES
from pellucid.model import Clock, Command, End, Finished, Left, Ran, Users, Words

SOURCE, SCRIPT, WORDS, PROGRAM, EXPANDED = range(5)
BASH, ZSH = range(2)
WALL = 1_000_000_000_000


def ran(time: int, sp: int, *, pid: int = 7, shell: int = BASH, waits: int = 0, lineno: int = 3) -> Ran:
    """A command at this place on the stack."""
    return Ran(time, sp, pid, 1, 1000, 0, lineno, shell, waits, b"sh\0", b"pts3\0", b"/home")


def words(*texts: bytes, kind: int = WORDS, pid: int = 7) -> Words:
    """All its words."""
    return Words(0, pid, kind, 0, 1, b"".join(text + b"\0" for text in texts))


def commands(*records: Any) -> list[Command]:
    """What the records make, after a clock that puts boot time at `WALL`."""
    join = Join()
    flows: list[Any] = [flow for record in (Clock(0, WALL), *records) for flow in join(record)]
    return [flow for flow in flows if isinstance(flow, Command)]


def shown(*records: Any) -> list[tuple[Any, ...]]:
    """Words, status, duration in ns and how it ended."""
    return [
        (each.argv, each.status, None if each.ended is None else each.ended - each.time, each.how)
        for each in commands(*records)
    ]


def test_a_command_with_its_texts() -> None:
    """Source, script, words and user are those that came, times are of the wall clock."""
    texts = (words(b"ls $x", kind=SOURCE), words(b"./a.sh", kind=SCRIPT), words(b"ls", b"", b"a b"))
    (found,) = commands(Users({1000: "ada"}), ran(10, 50), *texts, Finished(40, 90, 7, 2))
    assert (found.text, found.script, found.argv) == (b"ls $x", b"./a.sh", (b"ls", b"", b"a b"))
    assert (found.time, found.ended, found.status, found.user) == (WALL + 10, WALL + 40, 2, "ada")
    assert not found.truncated


def test_what_is_nested_ends_first() -> None:
    """The return of what a function contains does not end the function, whose own return ends it."""
    function = (ran(1, 50), words(b"f"), ran(2, 30), words(b"true"))
    assert shown(*function, Finished(3, 40, 7, 0), Finished(5, 90, 7, 4)) == [
        ((b"true",), 0, 1, "done"),
        ((b"f",), 4, 4, "done"),
    ]


def test_what_never_returns_ends_with_its_function() -> None:
    """`return 3` leaves the shell's own functions by longjmp: it has the status of the function that it ends."""
    records = (ran(1, 50), words(b"f"), ran(2, 30), words(b"return", b"3"), Finished(5, 90, 7, 3))
    assert shown(*records) == [((b"return", b"3"), 3, 3, "done"), ((b"f",), 3, 4, "done")]


def test_ends_of_the_process() -> None:
    """A shell's exit ends what it ran with its status; so does a program that it has become."""
    begun = (ran(1, 50), words(b"f"), ran(2, 30), words(b"x"))
    assert [each[1:] for each in shown(*begun, Left(9, 7, 3 << 8, 0))] == [(3, 7, "exit"), (3, 8, "exit")]
    became = (ran(1, 50), words(b"ls"), Left(2, 7, 0, 1))
    assert shown(*became, Left(9, 7, 15, 0)) == [((b"ls",), 143, 8, "exec")]
    assert shown(*became, End(9)) == [((b"ls",), None, None, "capture")]


def test_a_shell_in_the_place_of_another() -> None:
    """What a shell runs that the process has become, wherever its stack lies, does not end the command that it is."""
    became = (ran(1, 50), words(b"exec", b"bash"), Left(2, 7, 0, 1), ran(3, 70), words(b"true"))
    assert shown(*became, Finished(4, 90, 7, 0), Left(9, 7, 2 << 8, 0)) == [
        ((b"true",), 0, 1, "done"),
        ((b"exec", b"bash"), 2, 8, "exec"),
    ]


def test_a_lost_end_is_unknown() -> None:
    """A command in the place of another, or above it, shows that this has ended, though nobody said how."""
    found = shown(ran(1, 30), words(b"a"), ran(2, 30), words(b"b"), ran(3, 50), words(b"c"), End(9))
    assert [(argv, how) for argv, _, _, how in found] == [
        ((b"a",), "unknown"), ((b"b",), "unknown"), ((b"c",), "capture"),
    ]  # fmt: skip


def test_pieces_of_words() -> None:
    """A word that comes in two pieces is one; words whose end is missing are marked, and so are too many."""
    first = Words(0, 7, WORDS, 1, 0, b"a\0bb")
    (whole,) = commands(ran(1, 50), first, words(b"b", b"c"), Finished(2, 90, 7, 0))
    (cut,) = commands(ran(1, 50), first, Finished(2, 90, 7, 0))
    assert (whole.argv, whole.truncated) == ((b"a", b"bbb", b"c"), False)
    assert (cut.argv, cut.truncated) == ((b"a", b"bb"), True)
    (much,) = commands(ran(1, 50), words(b"x" * MOST_BYTES), words(b"y"), Finished(2, 90, 7, 0))
    assert len(much.argv[0]) == MOST_BYTES
    assert much.truncated


def test_no_words() -> None:
    """An assignment alone has none."""
    (found,) = commands(ran(1, 50), words(b"x=5", kind=SOURCE), words(), Finished(2, 90, 7, 0))
    assert (found.text, found.argv, found.truncated) == (b"x=5", (), False)


def test_programs_of_zsh() -> None:
    """A program begins when the process becomes it, as what waited in the innermost place that was not left."""
    outer, inner = ran(1, 50, shell=ZSH, waits=1, lineno=8), ran(2, 30, shell=ZSH, waits=1, lineno=9)
    program = (words(b"ls", b"a b", kind=PROGRAM), Left(5, 7, 0, 1), Left(9, 7, 1 << 8, 0))
    (within,) = commands(outer, inner, *program)
    assert (within.line, within.argv, within.text) == (inner, (b"ls", b"a b"), b"ls 'a b'")
    (behind,) = commands(outer, inner, Finished(4, 40, 7, 0), *program)
    assert (behind.line, behind.status, behind.how) == (outer, 1, "exec")
    assert commands(outer, Left(9, 7, 0, 0)) == []


def test_processes_do_not_mix() -> None:
    """Commands of two processes at once stay apart."""
    records = (ran(1, 50), ran(2, 50, pid=8), words(b"b", pid=8), words(b"a"))
    assert shown(*records, Finished(3, 90, 8, 5), Finished(4, 90, 7, 6)) == [
        ((b"b",), 5, 1, "done"),
        ((b"a",), 6, 3, "done"),
    ]


def test_nonsense_is_refused() -> None:
    """A shell or text that does not exist means a damaged stream; words of nobody are passed over."""
    assert commands(words(b"x"), words(b"x", kind=PROGRAM), Finished(1, 9, 7, 0)) == []
    for wrong in (ran(1, 5, shell=9), words(b"x", kind=9)):
        with pytest.raises(FormatError, match="does not exist"):
            commands(wrong)
