"""`--commands` where a script reads another file."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture


def test_a_sourced_file_is_no_level(executable: Path, start: Callable[..., Capture], tmp_path: Path) -> None:
    """Its commands have the depth of the `.` that reads it, with arguments and without, and line numbers of its own."""
    (tmp_path / "inc").write_text("\necho sourced $1\n")
    script = tmp_path / "script"
    script.write_text(f". {tmp_path / 'inc'}\n. {tmp_path / 'inc'} a\n")
    run = start(executable, "--commands")
    subprocess.run([executable, script], check=True, capture_output=True)
    found = [each for each in run.stop() if each.get("argv", [""])[0] == "echo"]
    assert [(each["argv"], each["depth"], each["lineno"]) for each in found] == [
        (["echo", "sourced"], 0, 2),
        (["echo", "sourced", "a"], 0, 2),
    ]
