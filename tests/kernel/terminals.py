"""Real shells at terminals of their own, typed into as a person would.

A shell's prompt has a number, which its rc file counts up, and the status of the last command as the shell itself has it:
that is what a capture is compared with.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from tests.kernel.running import PATIENCE

ENTER, CTRL_C, CTRL_D = "\r", "\x03", "\x04"
PROMPT = re.compile(rb"\[(\d+):(\d+)\]ready ")
MORE = b"{more} "

BASH_RC = """\
PS1='[$prompts:$?]ready '; PS2='{more} '; prompts=0; HISTFILE=
PROMPT_COMMAND='prompts=$((prompts + 1))'
bind 'set enable-bracketed-paste off'
"""
ZSH_RC = """\
setopt prompt_subst interactive_comments; unset HISTFILE; unset zle_bracketed_paste; unsetopt prompt_sp beep
PS1='[$prompts:%?]ready '; PS2='{more} '; prompts=0
precmd() { (( prompts++ )) }
"""


def private_shell(name: str, folder: Path) -> Path:
    """A copy of the shell, which no other process runs."""
    there = shutil.which(name)
    assert there is not None, f"{name} is missing: make test installs it (TEST_PACKAGES in the Makefile)"
    copy = folder / name
    shutil.copy(there, copy)
    return copy


class Shell:
    """A shell at a terminal. It is ready for a command when it has been made, and after each `run`."""

    def __init__(
        self, executable: Path, *, env: dict[str, str] | None = None, root: Path | None = None
    ) -> None:
        """`root` is the folder that is the root of its process; its rc file lies in /tmp there."""
        folder = executable.parent if root is None else root / "tmp"
        self.name = executable.name

        def named(path: Path) -> str:
            return str(path) if root is None else f"/{path.relative_to(root)}"

        if self.name.startswith("bash"):
            rc = folder / "bashrc"
            rc.write_text(BASH_RC)
            self.words, more = [named(executable), "--noprofile", "--rcfile", named(rc), "-i"], {}
        else:
            (folder / ".zshrc").write_text(ZSH_RC)
            self.words, more = [named(executable), "-d", "-i"], {"ZDOTDIR": named(folder)}
        everything = {**os.environ, "TERM": "dumb", "COLUMNS": "200", **more, **(env or {})}
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                if root is not None:
                    os.chroot(root)
                os.chdir(named(folder))
                os.execve(named(executable), self.words, everything)
            finally:
                os._exit(127)
        self._new = b""
        self._prompts = 0
        self.expect_prompt()
        self.tty = os.ttyname(os.open(Path(f"/proc/{self.pid}/fd/0"), os.O_RDONLY | os.O_NOCTTY))

    def type(self, text: str | bytes) -> None:
        """Press these keys, and take what the terminal shows meanwhile, or it would fill."""
        keys = text if isinstance(text, bytes) else text.encode()
        while keys:
            keys = keys[os.write(self._fd, keys[:512]) :]
            self._take(0)

    def run(self, line: str | bytes) -> int:
        """Type a command of one or more lines; the status that the next prompt shows."""
        *before, last = line.split(b"\n" if isinstance(line, bytes) else "\n")  # type: ignore[arg-type]  # same type as line
        for each in before:
            self.type(each)
            self.type(ENTER)
            self.expect(re.compile(re.escape(MORE)))
        self.type(last)
        self.type(ENTER)
        return self.expect_prompt()

    def interrupt(self, typed: str = "") -> int:
        """Type something and press Ctrl-C once it is shown; the status that the next prompt shows.

        A shell that looks for signals just before it waits for a key does not see one that comes in between, until the
        next (bash misses one of 60, watched or not): then it is pressed again.
        """
        if typed:
            self.type(typed)
            self.expect(re.compile(re.escape(typed.encode())))
        while True:
            self.type(CTRL_C)
            with contextlib.suppress(AssertionError):
                return self.expect_prompt(PATIENCE / 10)

    def restarted(self) -> int:
        """Wait for the first prompt of a shell within this one; what `resumed` needs."""
        outer, self._prompts = self._prompts, 0
        self.expect_prompt()
        return outer

    def resumed(self, outer: int) -> None:
        """Wait for the prompt of this shell after the end of the one within it."""
        self._prompts = outer
        self.expect_prompt()

    def expect_prompt(self, patience: float = PATIENCE) -> int:
        """Wait for a prompt that is newer than the last one; its status."""
        while True:
            number, status = map(int, self.expect(PROMPT, patience).groups())
            if number > self._prompts:
                self._prompts = number
                return status

    def expect(self, pattern: re.Pattern[bytes], patience: float = PATIENCE) -> re.Match[bytes]:
        """Wait until the terminal shows something that it has not shown before."""
        deadline = time.monotonic() + patience
        while (found := pattern.search(self._new)) is None:
            assert time.monotonic() < deadline, (
                f"waited for {pattern.pattern!r}, and {self.name} showed {self._new!r}"
            )
            self._take(0.1)
        self._new = self._new[found.end() :]
        return found

    def wait(self) -> int:
        """Wait for the end of the process; its exit status."""
        deadline = time.monotonic() + PATIENCE
        while True:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                os.close(self._fd)
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, f"{self.name} does not end; it showed {self._new!r}"
            self._take(0.01)

    def _take(self, patience: float) -> None:
        if select.select([self._fd], [], [], patience)[0]:
            with contextlib.suppress(OSError):  # EIO: the other end is closed
                self._new += os.read(self._fd, 1 << 16)

    def end(self) -> None:
        """End it, if it is still there."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self._fd)


def told(messages: list[dict[str, Any]], *fields: str) -> list[tuple[Any, ...]]:
    """These fields of the commands."""
    return [tuple(message[field] for field in fields) for message in messages if message["type"] == "shell"]
