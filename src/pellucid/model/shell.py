"""Messages of shells."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from pellucid.model.messages import Message, Text


class Shell(Message, kw_only=True):
    """One command as somebody typed it, or with `--commands` as a shell ran it (then it has `argv`), shown when it has
    ended; `ts` is when it began to run.
    """

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
    """What was typed, with history (`!!`) expanded and nothing else; lines of one command are set apart by newlines. Of what was
    run: the command as its source has it (bash), or its words (zsh)."""
    encoding: str | UnsetType = UNSET
    """`base64` where the bytes of `line` are not UTF-8."""
    typed: str | dict[str, str] | UnsetType = UNSET
    """What was typed, where history expansion has changed it; where that is not UTF-8 `{"base64": ...}`."""
    argv: list[Any] | UnsetType = UNSET
    """Of what was run: its words after all expansions, those that are not UTF-8 as `{"base64": ...}`; none where it only
    sets variables or opens files."""
    script: str | UnsetType = UNSET
    """Of what was run: what the shell calls itself (`$0`), such as the script."""
    lineno: int | UnsetType | None = UNSET
    """Of what was run: the line of the script, file, function or `-c` text that it is in; null where it is not known."""
    depth: int | UnsetType = UNSET
    """Of what was run: how many functions and subshells (`( )`, pipes, `$( )`) of this shell it is nested in, 0 for none; a file
    that is sourced is no level."""
    exit_code: int | None
    """The status that the shell has for it, or that the shell itself ended with; null where there is none."""
    duration_ms: float | None
    """Of what was typed: from the Enter to the next prompt; of what was run: from its words, when they are expanded, to its
    return. Either to the end of the shell where that came before; null where no end was seen."""
    ended: str
    """How: `done` (the shell asks for the next, or goes on), `interrupted` (Ctrl-C or Ctrl-D before it was complete, or no such
    line in the history, so it never ran), `exit` (the shell ended with it), `exec` (the shell became another program, whose status
    `exit_code` is for what was run), `capture` (it still ran when the
    capture ended), `unknown` (its end was lost, or there was no room to wait for it; `lost` of the summary counts these)."""
    truncated: bool = False
    """The text is longer than what is shown, or a part of it was lost."""
