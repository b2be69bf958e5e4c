"""`--commands`: what real shells run, in scripts, pipes and `-c`, against what they say of it themselves."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

from tests.kernel.terminals import Shell, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture

SCRIPT = """\
x=5
echo hello "$x" '' 'a  b' /usr/b[i]n
f() {
  echo "in f $1"
  return 3
}
f one || echo failed $?
y=$(echo sub; basename /a/b/$x | tr 5 6 >&2)
ls / | grep -c us | cat
for i in 1 2; do echo $i; done
( cd /; true; f two; sh -c 'exit 4' )
if [ $x = 5 ]; then false; fi
eval 'echo ev $x'
sleep 0 & wait
cat <<END > /dev/null
text $x
END
command ls -d /
"$(echo ls)" -d /usr
export z=$y
sh -c 'kill -9 $$'
printf %s Grüße {a,b}{1,2}
exec sh -c 'exit 7'
"""
"""For bash and zsh alike."""

STATUSES = [
    (["return", "3"], 3), (["f", "one"], 3), (["sh", "-c", "exit 4"], 4), (["false"], 1), (["[", "5", "=", "5", "]"], 0),
    (["sh", "-c", "kill -9 $$"], 137), (["sh", "-c", "exit 7"], 7), (["cat"], 0), (["echo", "failed", "3"], 0),
]  # fmt: skip


def traced(executable: Path, script: Path, trace: Path) -> list[list[str]]:
    """Run the script with `set -x`; the words of each command as the shell traces them, sorted."""
    options = ["-f"] if executable.name == "zsh" else []
    with trace.open("wb") as file:
        env = {**os.environ, "PS4": "\n+ ", "BASH_XTRACEFD": str(file.fileno())}
        subprocess.run([executable, *options, "-x", script], env=env, check=False, stdout=subprocess.DEVNULL,
                       stderr=file, pass_fds=[file.fileno()])  # fmt: skip
    marked = [line.lstrip("+") for line in trace.read_text().splitlines() if line.startswith("+")]
    return sorted(
        words for words in map(shlex.split, marked) if words[0] not in {"for", "[["} and not is_setting(words)
    )


def is_setting(words: list[str]) -> bool:
    """Whether it only sets a variable: the shells trace that in two ways."""
    return len(words) == 1 and "=" in words[0]


def commands(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was run."""
    return [message for message in messages if "argv" in message]


def test_a_script(executable: Path, start: Callable[..., Capture], tmp_path: Path) -> None:
    """Of every command of a script the words are those that the shell itself traces, each once, and nothing else is."""
    script = tmp_path / "script.sh"
    script.write_text(SCRIPT)
    run = start(executable, "--commands")
    truth = traced(executable, script, tmp_path / "trace")
    messages = run.stop()

    found = sorted(message["argv"] for message in commands(messages) if message["argv"])
    assert found == truth
    assert (messages[-1]["lost"], {message["truncated"] for message in commands(messages)}) == ({}, {False})


def test_status_place_and_nesting(executable: Path, start: Callable[..., Capture], tmp_path: Path) -> None:
    """Each command has its own status, line of the script and depth, and none is taken for one that somebody typed."""
    script = tmp_path / "script.sh"
    script.write_text(SCRIPT)
    run = start(executable, "--commands")
    subprocess.run([executable, script], check=False, capture_output=True)
    found = commands(run.stop())

    ended = {tuple(each["argv"]): each for each in found}
    if executable.name == "bash":
        ended["sh", "-c", "exit 7"] = ended["exec", "sh", "-c", "exit 7"]
    assert [(words, ended[tuple(words)]["exit_code"]) for words, _ in STATUSES] == STATUSES
    linenos = {
        each["argv"][1]: (each["lineno"], each["depth"]) for each in found if each["argv"][:1] == ["echo"]
    }
    inside = (4, 1) if executable.name == "bash" else (1, 1)  # zsh counts from the function's own first line
    assert [linenos[word] for word in ("hello", "in f one", "failed", "sub")] == [
        (2, 0),
        inside,
        (7, 0),
        (8, 1),
    ]
    assert {each["tty"] for each in found} == {None}
    assert {each["script"] for each in found} <= {str(script), "f"}


def test_without_a_file(executable: Path, start: Callable[..., Capture]) -> None:
    """`-c`, a pipe and a script within a script are seen, each in its own process; without the flag nothing is."""
    run, typed = start(executable, "--commands"), start(executable)
    subprocess.run([executable, "-c", f"{executable} -c 'true inner'; : outer"], check=True)
    subprocess.run([executable], input=b"true piped\nls -d /\n", check=True, capture_output=True)
    messages = commands(run.stop())
    found = [each["argv"] for each in messages]
    assert found[:3] == [["true", "inner"], [str(executable), "-c", "true inner"], [":", "outer"]]
    assert found[3:] == [["true", "piped"], ["ls", "-d", "/"]]
    assert messages[0]["pid"] != messages[0]["ppid"] == messages[2]["pid"]
    assert told(typed.stop(), "line") == []


def test_a_long_list(executable: Path, start: Callable[..., Capture]) -> None:
    """A hundred thousand words, and one of 100,000 bytes, are whole; of 1.3 MB what there is room for is shown, and that it is cut."""
    run = start(executable, "--commands")
    line = f": {{1..100000}} end; : {'x' * 100_000} y; : {{1..200000}}; : after"
    subprocess.run([executable, "-c", line], check=True)
    messages = run.stop()
    first, second, cut, after = commands(messages)
    assert first["argv"] == [":", *map(str, range(1, 100_001)), "end"]
    assert second["argv"] == [":", "x" * 100_000, "y"]
    assert cut["argv"][:100_000] == [":", *map(str, range(1, 100_000))]
    assert [each["truncated"] for each in (first, second, cut, after)] == [False, False, True, False]
    assert messages[-1]["lost"] == {"over_limit_records": 1}


def test_programs_that_cannot_be_started(
    executable: Path, start: Callable[..., Capture], tmp_path: Path
) -> None:
    """What is not found, or is no program, is shown with all its words and the status that the shell says, also with `-e`."""
    script = tmp_path / "script.sh"
    script.write_text(
        "missing 'a b' Grüße\necho $?\n/etc/passwd {1..99}\necho $?\n(missing-2)\necho $?\nmissing-3 | cat\n"
    )
    run, found = start(executable, "--commands"), start(executable, "--commands", "-e", "127")
    shell = subprocess.run([executable, script], check=False, capture_output=True)
    failed = {tuple(each["argv"]): each["exit_code"] for each in commands(run.stop()) if each["exit_code"]}
    unknown, refused, nested = map(int, shell.stdout.split())
    numbers = map(str, range(1, 100))
    assert failed == {
        ("missing", "a b", "Grüße"): unknown,
        ("/etc/passwd", *numbers): refused,
        ("missing-2",): nested,
        ("missing-3",): 127,
    }
    assert sorted(each["argv"][0] for each in commands(found.stop())) == ["missing", "missing-2", "missing-3"]


def test_a_shell_that_became_a_shell(executable: Path, start: Callable[..., Capture]) -> None:
    """What a shell runs at once that its own process has become is shown, as what that was started by."""
    run = start(executable, "--commands")
    subprocess.run([executable, "-c", f"{executable} -c 'ls -d /'"], check=True, stdout=subprocess.DEVNULL)
    words = [each["argv"] for each in commands(run.stop())]
    assert words == [["ls", "-d", "/"], [str(executable), "-c", "ls -d /"]]


def test_long_names(executable: Path, start: Callable[..., Capture], tmp_path: Path) -> None:
    """A directory and a script with names of a thousand bytes are whole."""
    deep = tmp_path.joinpath(*["d" * 200] * 5)
    deep.mkdir(parents=True)
    (deep / "script").write_text("true 1\ncd /\ntrue 2\n")
    run = start(executable, "--commands")
    subprocess.run([executable, deep / "script"], cwd=deep, check=True)
    subprocess.run([executable, "./script"], cwd=deep, check=True)
    found = [(each["argv"], each["cwd"], each["script"]) for each in commands(run.stop())]
    assert found == [
        (words, where, script)
        for script in (str(deep / "script"), "./script")
        for words, where in ((["true", "1"], str(deep)), (["cd", "/"], str(deep)), (["true", "2"], "/"))
    ]


def test_a_busy_loop(executable: Path, start: Callable[..., Capture]) -> None:
    """Of a loop of 20,000 builtins none is lost: a command needs little room."""
    run = start(executable, "--commands")
    subprocess.run([executable, "-c", "for i in {1..20000}; do : $i; done"], check=True)
    messages = run.stop()
    assert (messages[-1]["captured"], messages[-1]["lost"]) == ({"shell": 20_000}, {})


def test_what_a_typed_line_becomes(
    executable: Path, start: Callable[..., Capture], shell: Callable[..., Shell]
) -> None:
    """A typed line and what it runs are both told, the alias and the variable in it resolved."""
    run, person = start(executable, "--commands"), shell(executable)
    person.run("alias say='echo said'; word=7")
    assert person.run("say $word") == 0
    messages = run.stop()
    assert [message["line"] for message in messages if message["type"] == "shell" and "argv" not in message][
        -1
    ] == "say $word"
    (ran,) = [each for each in commands(messages) if each["argv"] == ["echo", "said", "7"]]
    assert (ran["pid"], ran["tty"]) == (person.pid, person.tty.removeprefix("/dev/"))
