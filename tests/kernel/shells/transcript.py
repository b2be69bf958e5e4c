"""What a person types in the course of a day, and what a capture must have of it."""

from __future__ import annotations

import os
from itertools import zip_longest
from typing import TYPE_CHECKING

from tests.kernel.terminals import ENTER, told

if TYPE_CHECKING:
    from tests.kernel.running import Capture
    from tests.kernel.terminals import Shell

KINDS = [
    "true {n}",
    "(exit {n})",
    "echo 'a  b' \"$HOME\" | wc -c # {n}",
    "for i in 1 2 3\ndo\n  test $i = {n}\ndone",
    "cat > /dev/null <<END\nline {n} of $USER\n\n  'not closed\nEND",
    "if test {n} -gt 100\nthen false\nelse echo yes; (exit 3)\nfi",
    "no-such-command-{n} --flag",
    "echo 'Grüße, 世界 {n}'",
    "f{n}() {{\n return {n}\n}}\nf{n}".replace("\nf{n}", "; f{n}"),
    "echo one \\\n two {n}",
    "sleep 0 & wait $!; false || kill -0 $$",
    "sh -c 'kill -9 $$' # {n}",
    "cd /; cd - > /dev/null",
    "echo )",
    "exec 3> /dev/null; echo {n} >&3; exec 3>&-",
    "case {n} in\n  1*)\n    (exit 5) ;;\n  *) false\nesac",
    "while read -r word\ndo\n  eval \"echo $word\"\ndone <<'A' | cat\n{n} $HOME\nA",
    "echo 'one\n\n  three' \"$(\n  echo {n}\n)\"",
    ": {n} " + "0123456789" * 60,
]
"""Each as a person types it; `{n}` is a number from 0 to 99."""


def check_two_hundred_lines(run: Capture, person: Shell) -> None:
    """Type 200 commands of mixed kinds, the last of which is `exit`: each is told once, with the status that the shell
    shows, in order.
    """
    lines = [KINDS[number % len(KINDS)].format(n=number % 100) for number in range(199)]
    typed = [(line, person.run(line)) for line in lines]
    who = (person.pid, os.getpid(), 0, "root", person.tty.removeprefix("/dev/"))
    person.type(f"exit 9{ENTER}")
    assert person.wait() == 9
    messages = run.stop()

    pairs = zip_longest(told(messages, "line", "exit_code"), [*typed, ("exit 9", 9)])
    wrong = [(seen, truth) for seen, truth in pairs if seen != truth]
    assert not wrong, f"(seen, typed): {wrong[:3]}"
    assert {row[:5] for row in told(messages, "pid", "ppid", "uid", "user", "tty")} == {who}
    assert [ended for (ended,) in told(messages, "ended")] == ["done"] * 199 + ["exit"]
    assert (messages[-1]["captured"], messages[-1]["lost"]) == ({"shell": 200}, {})
