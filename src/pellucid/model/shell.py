"""Messages of shells."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from pellucid.model.messages import Message, Text


class Shell(Message, kw_only=True):
    """One command as somebody typed it, shown when it has ended; `ts` is when it began to run."""

    pid: int
    """The shell's process, as the host counts them."""
    ppid: int
    """The process that it was started by."""
    uid: int
    """The user that the shell runs as."""
    user: str | None
    """The name of that user on this machine; null where it has none."""
    comm: str
    """The kernel's name for the shell's thread: at most 15 bytes."""
    shell: str
    """`bash` or `zsh`."""
    tty: str | None
    """The terminal, such as `pts/3`; null without one."""
    cwd: str | None
    """The working directory before the command, as the shell calls it; null where it does not know."""
    line: Text
    """What was typed, before the shell expands anything; lines of one command are set apart by newlines."""
    encoding: str | UnsetType = UNSET
    """`base64` where the bytes are not UTF-8."""
    exit_code: int | None
    """The status that the shell has for it, or that the shell itself ended with; null where there is none."""
    duration_ms: float | None
    """From the Enter to the next prompt, or to the end of the shell; null where neither was seen."""
    ended: str
    """How: `done` (the shell asks for the next), `interrupted` (Ctrl-C or Ctrl-D before it was complete, so it never
    ran), `exit` (the shell ended with it), `exec` (the shell became another program), `capture` (it still ran when the
    capture ended), `unknown` (its end was lost)."""
    truncated: bool = False
    """The text is longer than what is shown, or a part of it was lost."""
