"""What shells run becomes commands: words from pieces, and which of them end together."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from pellucid.errors import FormatError
from pellucid.join import Join
from pellucid.join.held import EACH, SHORT
from pellucid.join.runs import MOST_BYTES
from pellucid.memory import SHOWN
from pellucid.model import Clock, Command, End, Finished, Left, Ran, Users, Words
from pellucid.parse.commands import shell_message

SOURCE, SCRIPT, WORDS, PROGRAM, EXPANDED, TRIED = range(6)
BASH, ZSH = range(2)
WALL = 1_000_000_000_000


def ran(
    time: int, sp: int, *, pid: int = 7, shell: int = BASH, waits: int = 0, lineno: int = 3, start: int = 1
) -> Ran:
    """A command at this place on the stack."""
    return Ran(time, sp, start, pid, 1, 1000, 0, lineno, shell, waits, 0, b"sh\0", b"pts3\0", b"/home")


def words(*texts: bytes, kind: int = WORDS, pid: int = 7, sp: int = 50) -> Words:
    """All words of the command at this place."""
    return Words(0, sp, pid, kind, 0, 1, b"".join(text + b"\0" for text in texts))


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


def test_a_script_behind_the_directory() -> None:
    """What is run comes with the command's own record where both are short; else as a text."""
    short = ran(10, 50)._replace(directory=b"/home./a.sh", script_at=5)
    (found,) = commands(short, words(b"ls"), Finished(40, 90, 7, 2))
    assert (found.line.directory, found.script) == (b"/home", b"./a.sh")


def test_what_is_nested_ends_first() -> None:
    """The return of what a function contains does not end the function, whose own return ends it."""
    function = (ran(1, 50), words(b"f"), ran(2, 30), words(b"true", sp=30))
    assert shown(*function, Finished(3, 40, 7, 0), Finished(5, 90, 7, 4)) == [
        ((b"true",), 0, 1, "done"),
        ((b"f",), 4, 4, "done"),
    ]


def test_what_never_returns_ends_with_its_function() -> None:
    """`return 3` leaves the shell's own functions by longjmp: it has the status of the function that it ends."""
    records = (ran(1, 50), words(b"f"), ran(2, 30), words(b"return", b"3", sp=30), Finished(5, 90, 7, 3))
    assert shown(*records) == [((b"return", b"3"), 3, 3, "done"), ((b"f",), 3, 4, "done")]


def test_ends_of_the_process() -> None:
    """A shell's exit ends what it ran with its status; so does a program that it has become."""
    begun = (ran(1, 50), words(b"f"), ran(2, 30), words(b"x", sp=30))
    assert [each[1:] for each in shown(*begun, Left(9, 7, 3 << 8, 0))] == [(3, 7, "exit"), (3, 8, "exit")]
    became = (ran(1, 50), words(b"ls"), Left(2, 7, 0, 1))
    assert shown(*became, Left(9, 7, 15, 0)) == [((b"ls",), 143, 8, "exec")]
    assert shown(*became, End(9)) == [((b"ls",), None, None, "capture")]


def test_a_shell_in_the_place_of_another() -> None:
    """What a shell runs that the process has become, wherever its stack lies, does not end the command that it is."""
    became = (ran(1, 50), words(b"exec", b"bash"), Left(2, 7, 0, 1), ran(3, 70), words(b"true", sp=70))
    assert shown(*became, Finished(4, 90, 7, 0), Left(9, 7, 2 << 8, 0)) == [
        ((b"true",), 0, 1, "done"),
        ((b"exec", b"bash"), 2, 8, "exec"),
    ]


def test_a_lost_end_is_unknown() -> None:
    """A command in the place of another, or above it, shows that this has ended, though nobody said how."""
    found = shown(
        ran(1, 30), words(b"a", sp=30), ran(2, 30), words(b"b", sp=30), ran(3, 50), words(b"c"), End(9)
    )
    assert [(argv, how) for argv, _, _, how in found] == [
        ((b"a",), "unknown"), ((b"b",), "unknown"), ((b"c",), "capture"),
    ]  # fmt: skip


def test_pieces_of_words() -> None:
    """A word that comes in two pieces is one; words whose end is missing are marked, and so are too many."""
    first = Words(0, 50, 7, WORDS, 1, 0, b"a\0bb")
    (whole,) = commands(ran(1, 50), first, words(b"b", b"c"), Finished(2, 90, 7, 0))
    (cut,) = commands(ran(1, 50), first, Finished(2, 90, 7, 0))
    assert (whole.argv, whole.truncated) == ((b"a", b"bbb", b"c"), False)
    assert (cut.argv, cut.truncated) == ((b"a", b"bb"), True)
    long = words(b"x" * MOST_BYTES)._replace(last=0)
    (much,) = commands(ran(1, 50), long, words(b"y"), Finished(2, 90, 7, 0))
    assert len(much.argv[0]) == MOST_BYTES
    assert much.truncated


@pytest.mark.parametrize(
    ("word", "number", "whole"),
    [
        (b"\xff", 524_000, False),
        (b"\xff" * 8, 116_000, False),
        (b"ab", 349_000, False),
        (b"file12", 149_000, False),
        (b"12345", 100_000, True),
        (b"\xff", 40_000, True),
    ],
)
def test_very_many_words(word: bytes, number: int, whole: bool) -> None:
    """What a megabyte of short words takes to be shown is what a message may; above it they are cut, which is said."""
    join = Join()
    for record in (Clock(0, WALL), ran(1, 50), words(*[word] * number)):
        [*join(record)]
    tracemalloc.start()
    try:
        (found,) = join(Finished(2, 90, 7, 0))
        assert isinstance(found, Command)
        msgspec.json.encode(shell_message(found))
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (
        taken < SHOWN + 3 << 20
    )  # and three copies of the text, for which there is room where commands wait
    assert (len(found.argv) == number, found.truncated) == (whole, not whole)
    assert whole or len(found.argv) >= 45_000


def test_no_words() -> None:
    """An assignment alone has none."""
    (found,) = commands(ran(1, 50), words(b"x=5", kind=SOURCE), words(), Finished(2, 90, 7, 0))
    assert (found.text, found.argv, found.truncated) == (b"x=5", (), False)


def test_programs_that_zsh_cannot_start() -> None:
    """Words that were tried are a command if the process ends, its own; those of the program if it becomes one."""
    place, tried = ran(1, (1 << 64) - 1, shell=ZSH, waits=1), words(b"no", b"a b", kind=TRIED, sp=0)
    handler = (ran(3, 30, shell=ZSH), words(b"handler", sp=30), Finished(4, 31, 7, 5))
    ended = Left(9, 7, 127 << 8, 0)
    (failed,) = commands(place, tried, ended)
    assert (failed.argv, failed.status, failed.how) == ((b"no", b"a b"), 127, "exit")
    assert [each.argv for each in commands(place, tried, *handler, ended)] == [(b"handler",), (b"no", b"a b")]
    (program,) = commands(
        place, tried, words(b"/bin/sh", b"./no", kind=PROGRAM, sp=0), Left(5, 7, 0, 1), ended
    )
    assert (program.argv, program.how) == ((b"/bin/sh", b"./no"), "exec")
    assert commands(tried, ended) == []


def test_programs_of_zsh() -> None:
    """A program begins when the process becomes it, as what waited in the innermost place that was not left."""
    outer, inner = ran(1, 50, shell=ZSH, waits=1, lineno=8), ran(2, 30, shell=ZSH, waits=1, lineno=9)
    program = (words(b"ls", b"a b", kind=PROGRAM), Left(5, 7, 0, 1), Left(9, 7, 1 << 8, 0))
    (within,) = commands(outer, inner, *program)
    assert (within.line, within.argv, within.text) == (inner, (b"ls", b"a b"), b"ls 'a b'")
    (behind,) = commands(outer, inner, Finished(4, 40, 7, 0), *program)
    assert (behind.line, behind.status, behind.how) == (outer, 1, "exec")
    assert commands(outer, Left(9, 7, 0, 0)) == []


def test_words_of_zsh() -> None:
    """What zsh keeps is metafied, its words, directory and `$0`; what the kernel has of a program is not."""
    place = ran(1, 50, shell=ZSH, waits=1)._replace(directory=b"/\x83\xa3")
    script = words(b"./\xe3\x83\xa3\x86.zsh", kind=SCRIPT)
    katakana = "テスト".encode()
    (program,) = commands(place, script, words(b"ls", katakana, kind=PROGRAM, sp=0), Left(9, 7, 0, 0))
    assert program.argv == (b"ls", katakana)
    assert (program.line.directory, program.script) == (b"/\x83", b"./\xe3\x83\x86.zsh")
    metafied = katakana.replace(b"\x83", b"\x83\xa3")
    (builtin,) = commands(ran(1, 50, shell=ZSH), words(b"echo", metafied), Finished(2, 90, 7, 0))
    assert (builtin.argv, builtin.text) == ((b"echo", katakana), b"echo " + katakana)


def test_texts_of_a_lost_command() -> None:
    """Words of a command whose beginning was lost are given to no other; what received none has no word and is marked."""
    (found,) = commands(
        ran(1, 50), words(b"rm", sp=30), words(b"rm", kind=PROGRAM, sp=0), Finished(2, 90, 7, 0)
    )
    assert (found.argv, found.text, found.truncated) == ((), b"", True)
    two = (ran(1, 50), words(b"a"), words(b"b"), Finished(2, 90, 7, 0))
    assert [each.argv for each in commands(*two)] == [(b"a",)]


def test_a_number_that_is_used_again() -> None:
    """A process with the number of one whose end was lost inherits nothing from it, and begins with its own places."""
    before = (ran(1, 50), words(b"old"))
    after = (ran(5, 30, start=2), words(b"new", sp=30), Finished(6, 90, 7, 0))
    assert shown(*before, *after) == [((b"old",), None, None, "unknown"), ((b"new",), 0, 1, "done")]
    place = ran(1, 50, shell=ZSH, waits=1)
    program = (
        ran(5, 30, start=2, shell=ZSH),
        words(b"x", sp=30),
        words(b"ls", kind=PROGRAM),
        Left(9, 7, 0, 0),
    )
    assert [each.argv for each in commands(place, *program)] == [(b"x",)]


def most(held: int, *records: Any) -> tuple[list[Command], dict[str, int]]:
    """The commands where so many bytes may be kept, and what was lost."""
    join = Join(held)
    flows: list[Any] = [flow for record in (Clock(0, WALL), *records, End(99)) for flow in join(record)]
    return [flow for flow in flows if isinstance(flow, Command)], flows[-1].lost


def test_all_commands_together_have_a_limit() -> None:
    """Above it the texts of the outermost are cut; what then is too much is given up, and counted; places too."""
    nested = [each for at in range(60) for each in (ran(at, 900 - at), words(b"x" * 20_000, sp=900 - at))]
    found, lost = most(2 * 40 * EACH, *nested)
    assert len(found) == 60
    given_up = [each for each in found if each.how == "unknown"]
    assert lost == {"unended_commands": len(given_up)}
    assert [each.time - WALL for each in given_up] == list(range(36))
    innermost, *_, outermost = [each for each in found if each.how == "capture"]
    assert (len(innermost.argv[0]), innermost.truncated) == (20_000, False)
    assert (len(outermost.argv[0]), outermost.truncated) == (SHORT, True)
    places = [ran(at, 900 - at, shell=ZSH, waits=1) for at in range(60)]
    assert most(2 * 40 * EACH, *places) == ([], {"unended_commands": 21})


def test_the_limit_is_of_memory() -> None:
    """Commands that never end, in any number of processes and with long texts, take no more than they may."""
    join = Join(4 << 20)
    tracemalloc.start()
    try:
        for pid in range(4000):
            size = 100_000 if pid % 10 == 0 else 10
            text = Words(0, 50, pid, SOURCE, 0, 1, bytes(size))
            place = ran(pid, 50, pid=pid)._replace(
                tty=bytes([7] * 64), directory=bytes([47] * 60 * (pid % 40))
            )
            for record in (place, text):
                for _ in join(record):
                    pass
        assert 1 << 20 < tracemalloc.get_traced_memory()[0] < 2.5 * (1 << 20)
    finally:
        tracemalloc.stop()


def test_nothing_is_kept_of_what_has_ended() -> None:
    """A text that comes late is nobody's, and a command's end leaves nothing of it behind."""
    join = Join()
    for record in (ran(1, 50), words(b"x" * 1000), Finished(2, 90, 7, 0), words(b"y"), Left(3, 7, 0, 0)):
        [*join(record)]
    runs = join._runs
    assert (runs._last, runs._running, runs._waiting, runs._held._bytes) == ({}, {}, {}, 0)


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
