"""Commands of shells as messages: what is text in them, and what is not."""

from __future__ import annotations

from msgspec import UNSET

from pellucid.model import Command, Line, Ran
from pellucid.parse.commands import shell_message

TYPED = Line(1, 7, 1, 1000, 0, 0, b"bash\0", b"pts3\0", b"/home")
RAN = Ran(1, 50, 1, 7, 1, 1000, 2, 0, 0, 0, 0, b"bash\0", b"\0", b"/home")


def test_what_is_not_utf_8() -> None:
    """Bytes that are no text come back whole, in `typed` and `argv` in the same form."""
    told = shell_message(Command(5, TYPED, b"ls \xff", "ada", 0, 9, "done", False, b"ls !\xff"))
    assert (told.line, told.encoding, told.typed) == (b"ls \xff", "base64", {"base64": "bHMgIf8="})
    ran = shell_message(
        Command(5, RAN, b"ls", "ada", 0, 9, "done", False, argv=(b"ls", b"!\xff"), script=b"x")
    )
    assert (ran.argv, ran.encoding, ran.lineno) == (["ls", {"base64": "If8="}], UNSET, None)


def test_what_was_typed_as_text() -> None:
    """Text is a string."""
    assert shell_message(Command(5, TYPED, b"ls x", None, 0, 9, "done", False, b"!!")).typed == "!!"
