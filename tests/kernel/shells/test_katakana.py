"""`--commands` where names have bytes in them that zsh escapes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture


def test_bytes_that_zsh_escapes(executable: Path, start: Callable[..., Capture], tmp_path: Path) -> None:
    """Words of programs, of builtins and of functions, the script's own name and the directory are those that were written."""
    folder = tmp_path / "ツ"
    folder.mkdir()
    script = folder / "テ.sh"
    script.write_text("f() { echo ア; }\n/bin/echo テスト アップ\necho テスト アップ\nf ップ\n:\n")
    run = start(executable, "--commands")
    subprocess.run([executable, script], cwd=folder, check=True, capture_output=True)
    found = [each for each in run.stop() if "argv" in each]

    words = [
        ["/bin/echo", "テスト", "アップ"],
        ["echo", "テスト", "アップ"],
        ["f", "ップ"],
        ["echo", "ア"],
        [":"],
    ]
    assert sorted(each["argv"] for each in found) == sorted(words)
    assert {each["script"] for each in found} - {"f"} == {str(script)}
    assert {each["cwd"] for each in found} == {str(folder)}
