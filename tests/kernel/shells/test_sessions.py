"""Shells within others, as other users and at other terminals: script, su, sudo and ssh."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.inside import call, inside
from tests.kernel.machine import own_machine
from tests.kernel.packages import debian
from tests.kernel.running import Capture, free_port, wait_for_port
from tests.kernel.terminals import ENTER, Shell, private_shell, told

if TYPE_CHECKING:
    from collections.abc import Iterator

SSHD = """\
ListenAddress 127.0.0.1
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
UsePAM no
StrictModes no
PidFile none
"""
SSH = "ssh -tt -F none -i {folder}/key -p {port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can come to, and write into."""
    path = Path(tempfile.mkdtemp(prefix="pellucid-"))
    path.chmod(0o1777)
    yield path
    shutil.rmtree(path)


def with_servers(folder: Path) -> None:
    """Give this mount namespace an sshd and a sudo, and the user that sshd needs."""
    ssh, sudo = debian("openssh-server", "libwrap0"), debian("sudo")
    etc = folder / "etc"
    etc.mkdir()
    (etc / "passwd").write_text(
        Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/bin/false\n"
    )
    for place, layers in {"/usr": [ssh / "usr", sudo / "usr"], "/etc": [etc, sudo / "etc"]}.items():
        lower = f"lowerdir={':'.join(map(str, [*layers, place]))}"
        call("mount", b"overlay", place.encode(), b"overlay", 0, lower.encode())
    call("mount", b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755")
    Path("/run/sshd").mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    (folder / "sshd").write_text(SSHD.format(folder=folder))


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_other_users_and_terminals(folder: Path, tmp_path: Path, name: str) -> None:
    """A line within script, su, sudo and ssh has a process of its own, and the user and terminal that the shell there says that it has."""
    executable = private_shell(name, folder)

    def scenario() -> Any:
        with_servers(folder)
        port = free_port()
        sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", folder / "sshd", "-p", str(port)])
        wait_for_port(port)
        command = [sys.executable, "-m", "pellucid", name, f"--{name}", str(executable)]
        capture = Capture(command, tmp_path / "capture").wait_until_ready()
        person = Shell(executable)
        try:
            said = within(person, folder, port)
            return [said, told(capture.stop(), "line", "exit_code", "user", "tty", "pid")]
        finally:
            person.end()
            capture.kill()
            sshd.kill()
            sshd.wait()

    answer = inside(own_machine, scenario)
    assert isinstance(answer, list), answer
    said, seen = answer
    lines = {line: tuple(row) for line, *row in seen}
    assert {way: lines[f": {way}; (exit 7)"][:3] for way in said} == {
        way: (7, user, tty) for way, (user, tty) in said.items()
    }
    assert len({pid for *_, pid in lines.values()}) == 5
    assert [user for user, _ in said.values()] == ["root", "nobody", "nobody", "root"]
    assert said["script"][1] != said["su"][1] != said["ssh"][1]  # su stays at the terminal where it was typed


def within(person: Shell, folder: Path, port: int) -> dict[str, tuple[str, str]]:
    """Start a shell in each way, and have it say who and where it is."""
    inner = shlex.join(["env", f"ZDOTDIR={folder}", "TERM=dumb", "COLUMNS=200", *person.words])
    ssh = SSH.format(folder=folder, port=port)
    said = {}
    for way, start in {
        "script": f"script -qc {shlex.quote(inner)} /dev/null",
        "su": f"su -s /bin/sh --session-command {shlex.quote(inner)} nobody",
        "sudo": f"sudo -u nobody {inner}",
        "ssh": f"{ssh} root@127.0.0.1 {shlex.quote(inner)}",
    }.items():
        said[way] = one(person, way, start, folder / way)
    return said


def one(person: Shell, way: str, start: str, place: Path) -> tuple[str, str]:
    """Start the shell, type a line, and leave it; its user and terminal as it says itself."""
    person.type(f"{start}{ENTER}")
    outer = person.restarted()
    person.run(f": {way}; (exit 7)")
    person.run(f"{{ id -un; tty; }} > {place}")
    person.type(f"exit{ENTER}")
    person.resumed(outer)
    user, tty = place.read_text().split()
    return user, tty.removeprefix("/dev/")
