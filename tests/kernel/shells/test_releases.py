"""The shells of other Debian releases, each in a root of its own, and a bash whose readline is a library (make
targets-big): what is typed, and what they run.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.packages import debian_root, debian_source
from tests.kernel.shells.test_commands import SCRIPT, commands
from tests.kernel.shells.transcript import check_two_hundred_lines
from tests.kernel.terminals import Shell, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture

pytestmark = pytest.mark.big


@pytest.fixture(params=["bullseye", "trixie", "sid"])
def root(request: pytest.FixtureRequest) -> Path:
    """The root of a release: bash 5.1 and zsh 5.8, and newer ones."""
    return debian_root(request.param, "bash", "zsh", "coreutils", "dash", "libc-bin")


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_two_hundred_lines(root: Path, name: str, start: Callable[..., Capture]) -> None:
    """Of 200 commands each is told once, in order, with its text and status."""
    executable = (root / "bin" / name).resolve()
    run = start(executable, kind=name)
    person = Shell(root / "bin" / name, root=root, env={"LC_ALL": "C.UTF-8"})
    try:
        check_two_hundred_lines(run, person)
    finally:
        person.end()


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_commands(root: Path, name: str, start: Callable[..., Capture]) -> None:
    """Of a script every command is told, with its words."""
    run = start((root / "bin" / name).resolve(), "--commands", kind=name)
    (root / "tmp/script").write_text(SCRIPT)
    inside = {"check": False, "capture_output": True}
    subprocess.run(["chroot", root, f"/bin/{name}", "/tmp/script"], **inside)
    told = [message["argv"] for message in commands(run.stop())]
    assert told.count(["echo", "in f one"]) == 1
    assert ["sh", "-c", "exit 4"] in told
    assert ["printf", "%s", "Grüße", "a1", "a2", "b1", "b2"] in told


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_given_up(root: Path, name: str, start: Callable[..., Capture]) -> None:
    """A line that Ctrl-C ends is told with its text, as one that never ran."""
    run = start((root / "bin" / name).resolve(), kind=name)
    person = Shell(root / "bin" / name, root=root)
    try:
        assert person.interrupt("rm -rf /srv/") == 130
    finally:
        person.end()
    assert told(run.stop(), "line", "ended") == [("rm -rf /srv/", "interrupted")]


@pytest.fixture(scope="module")
def linked() -> Path:
    """A bash that takes readline from libreadline.so, built from Debian's source as other systems build it."""
    options = "--with-installed-readline --without-bash-malloc --disable-nls -q"
    build = f"mkdir build; cd build; ../source/configure {options} && make -s -j2 bash"
    return debian_source("bookworm", "bash", build) / "build/bash"


def test_readline_in_a_library(linked: Path, start: Callable[..., Capture], tmp_path: Path) -> None:
    """bash's own calls of libreadline.so tell as much as the function inside it."""
    needed = subprocess.run(["objdump", "-p", linked], capture_output=True, text=True, check=True).stdout
    assert "libreadline.so" in needed
    executable = Path(shutil.copy(linked, tmp_path / "bash"))
    run, person = start(executable), Shell(executable)
    try:
        check_two_hundred_lines(run, person)
    finally:
        person.end()
