"""`pellucid bash` and `pellucid zsh` against real shells at real terminals."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel.running import Capture, wait_for
from tests.kernel.shells.transcript import check_two_hundred_lines
from tests.kernel.terminals import CTRL_D, ENTER, PROMPT, Shell, told
from tests.shell import pellucid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_two_hundred_lines(
    executable: Path, start: Callable[..., Capture], shell: Callable[..., Shell]
) -> None:
    """Of 200 commands of mixed kinds each is told once, in order, with its text and the status that the shell shows."""
    check_two_hundred_lines(start(executable), shell(executable))


def test_a_very_long_line(
    executable: Path, start: Callable[..., Capture], shell: Callable[..., Shell]
) -> None:
    """A line of 64 KiB is whole, to the last byte."""
    run, person = start(executable), shell(executable)
    line = f": {'0123456789abcdef' * 4096} end"
    person.type(f"\x1b[200~{line}\x1b[201~" if executable.name == "zsh" else line)  # zsh draws each key anew
    person.type(ENTER)
    assert person.expect_prompt() == 0
    assert told(run.stop(), "line", "truncated") == [(line, False)]


def test_given_up_by_ctrl_c(
    executable: Path, start: Callable[..., Capture], shell: Callable[..., Shell]
) -> None:
    """A command that Ctrl-C ends while it is typed is marked as one that never ran; one that ran is not."""
    run, person = start(executable), shell(executable)
    person.type('echo "open')
    person.type(ENTER)
    person.expect(re.compile(re.escape(b"{more} ")))
    person.interrupt("more")
    person.type(f"sleep 60{ENTER}")
    wait_for(lambda: "sleep" in children(person.pid), "the command to run")
    assert person.interrupt() == 130
    person.type(f"cat{ENTER}")
    wait_for(lambda: "cat" in children(person.pid), "the command to run")
    person.type(CTRL_D)
    assert person.expect_prompt() == 0

    expected = [('echo "open\nmore', 130, "interrupted"), ("sleep 60", 130, "done"), ("cat", 0, "done")]
    assert told(run.stop(), "line", "exit_code", "ended") == expected


def children(pid: int) -> str:
    """The names of a process's children."""
    return subprocess.run(
        ["ps", "-o", "comm=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout


def test_exit_and_exec(executable: Path, start: Callable[..., Capture], shell: Callable[..., Shell]) -> None:
    """`exit` has the shell's own status, `exec` none, and a shell that is killed 128 and the signal's number."""
    run = start(executable)
    leaving, becoming, killed = shell(executable), shell(executable), shell(executable)
    leaving.type(f"exit 3{ENTER}")
    assert leaving.wait() == 3
    becoming.type(f"exec /bin/true{ENTER}")
    assert becoming.wait() == 0
    killed.type(f"kill -9 $$ ; never{ENTER}")
    assert killed.wait() == -signal.SIGKILL

    expected = [("exit 3", 3, "exit"), ("exec /bin/true", None, "exec"), ("kill -9 $$ ; never", 137, "exit")]
    assert told(run.stop(), "line", "exit_code", "ended") == expected


def test_nested_shells(executable: Path, start: Callable[..., Capture], shell: Callable[..., Shell]) -> None:
    """A shell inside a shell has its own lines and directory; the line that it was started by ends after them."""
    run, person = start(executable), shell(executable)
    person.type(f"cd /usr && {' '.join(person.words)}{ENTER}")
    inner = person.restarted()
    assert person.run("(exit 9)") == 9
    person.type(f"exit 4{ENTER}")
    person.resumed(inner)
    assert person.run("echo done") == 0

    messages = run.stop()
    lines = told(messages, "line", "exit_code", "cwd")
    assert lines[0] == ("(exit 9)", 9, "/usr")
    assert lines[1] == ("exit 4", 4, "/usr")
    assert lines[2][1:] == (4, str(executable.parent))
    assert lines[3] == ("echo done", 0, "/usr")
    pids = [pid for (pid,) in told(messages, "pid")]
    assert pids[0] == pids[1] != pids[2] == pids[3] == person.pid
    assert told(messages, "ppid")[0] == (person.pid,)


def test_another_user(executable: Path, start: Callable[..., Capture], shell: Callable[..., Shell]) -> None:
    """A shell that another user runs at the same terminal has that user's name, and `--uid` tells the two apart."""
    run, theirs, person = start(executable), start(executable, "--uid", "65534"), shell(executable)
    become = "setpriv --reuid=65534 --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override"  # to read its rc
    person.type(f"{become} {' '.join(person.words)}{ENTER}")
    outer = person.restarted()
    assert person.run("true") == 0
    person.type(f"exit{ENTER}")
    person.resumed(outer)

    everything = told(run.stop(), "line", "uid", "user", "tty")
    tty = person.tty.removeprefix("/dev/")
    assert everything[:2] == [("true", 65534, "nobody", tty), ("exit", 65534, "nobody", tty)]
    assert everything[2][1:] == (0, "root", tty)
    assert told(theirs.stop(), "line") == [("true",), ("exit",)]


def test_descendants(bash: Path, start: Callable[..., Capture], shell: Callable[..., Shell]) -> None:
    """`--pid` with `--follow` is a shell and those that are started in it, and no other."""
    person, other = shell(bash), shell(bash)
    run = start(bash, "--pid", str(person.pid), "--follow")
    person.type(f"{' '.join(person.words)}{ENTER}")
    person.restarted()
    assert (other.run("false"), person.run("(exit 6)")) == (1, 6)
    assert told(run.stop(), "line", "exit_code")[0] == ("(exit 6)", 6)
    assert not [pid for (pid,) in told(run.messages(), "pid") if pid == other.pid]


def test_a_shell_that_waits_already(
    bash: Path, start: Callable[..., Capture], shell: Callable[..., Shell]
) -> None:
    """The first line of a bash that was at its prompt when the capture began is there, and once."""
    person = shell(bash)
    run = start(bash)
    typed = [(line, person.run(line)) for line in ("(exit 5)", "echo second")]
    assert told(run.stop(), "line", "exit_code") == typed


def test_what_is_no_command(bash: Path, start: Callable[..., Capture], shell: Callable[..., Shell]) -> None:
    """What `read -e` asks for is its own, empty lines are none, and scripts are not typed."""
    run, person = start(bash), shell(bash)
    person.type(f"read -e -p 'name? ' name{ENTER}")
    person.expect(re.compile(rb"name\? $"))
    person.type(f"not a command{ENTER}")
    assert person.expect_prompt() == 0
    person.type(ENTER)
    assert person.expect_prompt() == 0
    assert person.run(f"{bash} -c 'true; false'") == 1
    assert told(run.stop(), "line", "exit_code") == [
        ("read -e -p 'name? ' name", 0), (f"{bash} -c 'true; false'", 1),
    ]  # fmt: skip


def test_filters(executable: Path, start: Callable[..., Capture], shell: Callable[..., Shell]) -> None:
    """`--pid` is one shell, `-e` one status; a command that still runs at the end is shown as such."""
    wanted, other = shell(executable), shell(executable)
    run, failed = start(executable, "--pid", str(wanted.pid)), start(executable, "-e", "1")
    wanted.run("true")  # after which zsh too is known
    other.run("true")
    assert (wanted.run("false"), other.run("(exit 2)"), other.run("false")) == (1, 2, 1)
    wanted.type(f"sleep 60{ENTER}")
    wait_for(lambda: "sleep" in children(wanted.pid), "the command to run")

    assert told(run.stop(), "line", "exit_code", "ended")[-2:] == [
        ("false", 1, "done"),
        ("sleep 60", None, "capture"),
    ]
    assert told(failed.stop(), "line", "pid") == [("false", wanted.pid), ("false", other.pid)]


def test_history(executable: Path, start: Callable[..., Capture], shell: Callable[..., Shell]) -> None:
    """What history expansion makes of a line is shown, with what was typed; what it refuses, or only shows, never ran."""
    run, person = start(executable), shell(executable)
    person.run("echo one two")
    person.run("!!")
    person.run("for x in 1\ndo echo !$; (exit 4)\ndone")
    for line in ("!no-such-event", "!echo:p"):
        person.type(f"{line}{ENTER}")
        person.expect(PROMPT)  # bash does not count this one
    assert person.run("echo '!!'") == 0  # quoted: as it is

    messages = [message for message in run.stop() if message["type"] == "shell"]
    found = [(message["line"], message.get("typed"), message["ended"]) for message in messages]
    assert found == [
        ("echo one two", None, "done"),
        ("echo one two", "!!", "done"),
        ("for x in 1\ndo echo two; (exit 4)\ndone", "for x in 1\ndo echo !$; (exit 4)\ndone", "done"),
        (
            "!no-such-event",
            None,
            "interrupted" if executable.name == "bash" else "done",
        ),  # zsh: as a syntax error
        ("!echo:p", None, "interrupted"),
        ("echo '!!'", None, "done"),
    ]


def test_replay_is_the_same(
    bash: Path, start: Callable[..., Capture], shell: Callable[..., Shell], tmp_path: Path
) -> None:
    """A recording of a shell replays to what the live capture has shown, names of users too."""
    recording = tmp_path / "night.pellucid"
    run, person = start(bash, "--record", str(recording), "-o", f"json:{tmp_path / 'live'}"), shell(bash)
    person.run("echo 'for the record'")
    run.stop()
    again = pellucid("replay", str(recording), "-o", "json")
    assert again.stdout == (tmp_path / "live").read_text()
    assert '"user":"root"' in again.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["bash", "--bash", "/bin/true"], "/bin/true does not export readline, "),
        (["zsh", "--zsh", "/bin/bash"], "it is no zsh"),
        (["bash", "--bash", "/no/such"], "cannot open /no/such: No such file or directory"),
        (["bash", "--port", "22"], "--port does not go with bash"),
        (["bash", "-e", "256"], "256 is too large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be(words: list[str], expected: str) -> None:
    """What cannot be watched, or asked for, is one line that says why."""
    result = pellucid(*words)
    assert result.returncode in {1, 2}
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1
