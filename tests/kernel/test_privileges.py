"""What a process can do once it has given up its privileges: tried from inside, each way by its own call."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pellucid.privileges import Ids, decoder_ids, give_up_privileges
from tests.kernel.inside import SYS_BPF, become, call, inside, libc, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUDO_USER = 54321
BPF_MAP_CREATE = 0
CAP_SYS_ADMIN, PR_CAPBSET_READ, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 21, 23, 47, 2


@pytest.fixture
def ids() -> Ids:
    """Whom the decoder runs as."""
    return decoder_ids()


@pytest.fixture
def act(ids: Ids) -> Callable[..., Any]:
    """`act(function)`: its result, or its error, in a child that has given up its privileges."""
    parent = os.getpid()
    return lambda function: inside(lambda: give_up_privileges(ids, parent), function)


@pytest.fixture
def as_root() -> Callable[..., Any]:
    """`as_root(function)`: the same in a child that has not, which shows that the attempt itself is right."""
    return lambda function: inside(lambda: None, function)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def sleeper(ids: Ids) -> Iterator[Callable[[int | None], int]]:
    """`sleeper(uid)` is the pid of a program of that user, `None` for the decoder's own uid."""
    started: list[subprocess.Popen[bytes]] = []

    def start(uid: int | None = None) -> int:
        user = ids.uid if uid is None else uid
        started.append(subprocess.Popen(["sleep", "60"], user=user, group=user, extra_groups=[]))
        return started[-1].pid

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("owner", [0, SUDO_USER])
def test_no_file_of_others(
    owner: int, act: Callable[..., Any], as_root: Callable[..., Any], folder: Path
) -> None:
    """Private files of root and of the user behind sudo can be neither read nor written."""
    path = folder / "private"
    path.write_text("secret")
    path.chmod(0o600)
    os.chown(path, owner, owner)
    assert as_root(path.read_text) == "secret"
    assert act(path.read_text) == "EACCES"
    assert act(lambda: path.open("r+").close()) == "EACCES"


def test_no_way_back_to_root(act: Callable[..., Any]) -> None:
    """No uid, gid or group can be had again, root's least of all."""
    assert act(lambda: os.setuid(0)) == "EPERM"
    assert act(lambda: os.setresuid(-1, -1, 0)) == "EPERM"
    assert act(lambda: os.setgid(0)) == "EPERM"
    assert act(lambda: os.setgroups([0])) == "EPERM"


def test_set_user_id_programs_give_nothing(ids: Ids, act: Callable[..., Any], folder: Path) -> None:
    """A program that is set-user-ID root runs as the decoder itself (no_new_privs)."""
    program = folder / "id"
    program.write_bytes(Path("/usr/bin/id").read_bytes())
    program.chmod(0o4755)

    def effective() -> str:
        return subprocess.run([program, "-u"], check=True, capture_output=True, text=True).stdout

    assert inside(lambda: become(SUDO_USER), effective) == "0\n"
    assert act(effective) == f"{ids.uid}\n"


def test_no_capability_can_come_back(act: Callable[..., Any], as_root: Callable[..., Any]) -> None:
    """The bounding set is empty and stays so; the ambient set takes nothing."""

    def bounding() -> list[int]:
        return [number for number in range(41) if libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0)]

    assert CAP_SYS_ADMIN in as_root(bounding)
    assert act(bounding) == []
    assert act(lambda: call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0)) == "EPERM"


def test_no_signal_to_others(
    ids: Ids, act: Callable[..., Any], as_root: Callable[..., Any], sleeper: Callable[..., int]
) -> None:
    """Programs of root and of the user behind sudo cannot be signalled."""
    of_root, of_user = sleeper(0), sleeper(SUDO_USER)
    assert as_root(lambda: os.kill(of_root, 0)) is None
    assert act(lambda: os.kill(of_root, signal.SIGKILL)) == "EPERM"
    assert act(lambda: os.kill(of_user, signal.SIGKILL)) == "EPERM"


def test_no_tracing_of_others(act: Callable[..., Any], sleeper: Callable[..., int]) -> None:
    """Programs of root and of the user behind sudo cannot be traced."""
    of_root, of_user = sleeper(0), sleeper(SUDO_USER)
    assert inside(lambda: become(SUDO_USER), lambda: trace(of_user)) is None
    assert act(lambda: trace(of_root)) == "EPERM"
    assert act(lambda: trace(of_user)) == "EPERM"


def test_no_bpf(act: Callable[..., Any], as_root: Callable[..., Any]) -> None:
    """Not even the simplest BPF map can be made."""
    array = bytes.fromhex("02000000 04000000 04000000 01000000") + bytes(112)  # type, key, value, entries
    make_map = lambda: call("syscall", SYS_BPF, BPF_MAP_CREATE, array, len(array))  # noqa: E731
    assert as_root(make_map) is None
    assert act(make_map) == "EPERM"


def test_no_packets(act: Callable[..., Any], as_root: Callable[..., Any]) -> None:
    """Nothing can be read from the network cards, and no privileged port be bound."""

    def packets() -> None:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()

    assert as_root(packets) is None
    assert act(packets) == "EPERM"


def test_its_own_memory_is_closed(act: Callable[..., Any], as_root: Callable[..., Any]) -> None:
    """/proc/self/mem and environ belong to root: another program of the same uid could not read them."""
    environ = Path("/proc/self/environ")
    assert as_root(lambda: bool(environ.read_bytes())) is True
    assert act(lambda: bool(environ.read_bytes())) == "EACCES"


def test_an_orphan_is_not_begun(ids: Ids) -> None:
    """A decoder whose tracer has ended already refuses to go on."""
    not_its_parent = os.getpid() + 1
    answer = inside(lambda: give_up_privileges(ids, not_its_parent), lambda: "went on")
    assert "the tracer ended before the decoder was ready" in answer
