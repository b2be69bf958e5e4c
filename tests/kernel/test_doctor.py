"""`pellucid doctor` on this machine: as root, as others, and with one capability less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pellucid.attach.children import URETPROBE, _refuse
from pellucid.attach.features import FEATURES, examine
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError, trial
from tests.kernel.running import Capture, Programs, Tls, free_port, http, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PELLUCID = (sys.executable, "-m", "pellucid")
NOBODY = (
    # The files of this checkout may be root's alone, so one capability is left: to read.
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
)  # fmt: skip
HELPERS = {"get_attach_cookie": 174, "skb_store_bytes": 9, "of the future": 100_000}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=20)


def states(*command: str | Path) -> tuple[int, dict[str, Any]]:
    """The exit status of `doctor --json`, and the state of each feature."""
    answer = run(*command, *PELLUCID, "doctor", "--json")
    assert answer.stderr == ""
    return answer.returncode, {row["name"]: row["state"] for row in json.loads(answer.stdout)["features"]}


def test_the_main_job_can_run_here() -> None:
    """As root on a machine where the other tests capture, everything that is required is there."""
    answer = run(*PELLUCID, "doctor", "--json")
    document = json.loads(answer.stdout)
    assert (answer.returncode, answer.stderr, document["can_run"]) == (0, "", True)
    assert [row for row in document["features"] if row["required"] and row["state"] != "ok"] == []
    assert document["kernel"] == os.uname().release


def test_a_pid_namespace() -> None:
    """Where processes have other numbers than on the host, a capture can run, and doctor says what cannot be."""
    status, found = states("unshare", "--pid", "--fork", "--mount-proc")
    assert (status, found["the host's process numbers"]) == (0, "warn")


def test_an_ordinary_user() -> None:
    """Without root the status is 1, root is what is missing, and what needs it was not tried."""
    status, found = states(*NOBODY)
    assert status == 1
    assert [name for name, state in found.items() if state == "missing"] == ["root"]
    assert {found[name] for name in ("BTF", "libssl")} == {"ok"}
    assert {found[name] for name in ("CAP_BPF", "bpf(2)", "a ring buffer", "attaching")} == {"unchecked"}


def test_an_ordinary_user_captures() -> None:
    """`pellucid tls` then fails with one line, in the same words, that says to use sudo."""
    answer = run(*NOBODY, *PELLUCID, "tls")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "pellucid: this needs root: run it with sudo (see pellucid doctor)\n"


@pytest.mark.parametrize(
    ("name", "bounding"),
    [
        ("CAP_BPF", "-sys_admin,-bpf"),
        ("CAP_PERFMON", "-sys_admin,-perfmon"),
        ("an unprivileged decoder", "-setpcap"),
        ("an unprivileged decoder", "-setuid"),
        ("an unprivileged decoder", "-setgid"),
    ],
)
def test_one_capability_less(name: str, bounding: str, tls: Tls) -> None:
    """Doctor names the capability that root was denied, and `tls` fails with the same words."""
    less = ("setpriv", f"--bounding-set={bounding}")
    status, found = states(*less)
    answer = run(*less, *PELLUCID, "tls", "--libssl", tls.libssl, "--duration", "0.1")
    (feature,) = (feature for feature in FEATURES if feature.name == name)

    assert status == 1
    assert [name for name, state in found.items() if state == "missing"] == [name]
    assert answer.returncode == 1
    assert answer.stderr == f"pellucid: this needs {name}: {feature.do} (see pellucid doctor)\n"


@pytest.mark.parametrize("bounding", ["-sys_admin", "-bpf,-perfmon"])
def test_either_capability_will_do(bounding: str) -> None:
    """CAP_SYS_ADMIN alone is enough, and so are CAP_BPF and CAP_PERFMON without it."""
    status, found = states("setpriv", f"--bounding-set={bounding}")
    assert (status, found["bpf(2)"], found["attaching"]) == (0, "ok", "ok")


def test_no_library_is_installed(tmp_path: Path) -> None:
    """Where the dynamic linker's cache has no libssl `doctor` says so, and that a capture can run all the same."""
    cache = tmp_path / "ld.so.cache"
    cache.write_bytes(b"glibc-ld.so.cache1.1".ljust(48, b"\0"))
    hidden = ("unshare", "--mount", "sh", "-c", f'mount --bind {cache} /etc/ld.so.cache && exec "$0" "$@"')
    status, found = states(*hidden)
    assert (status, found["libssl"], found["inner functions"], found["attaching"]) == (
        0, "warn", "unchecked", "ok",
    )  # fmt: skip


def test_another_user_namespace() -> None:
    """Root of a user namespace of its own has every capability there, and is refused all the same."""
    status, found = states("unshare", "--user", "--map-root-user")
    assert (status, found["CAP_BPF"], found["bpf(2)"]) == (1, "ok", "missing")


def test_not_completely_installed() -> None:
    """Without its native part every command says so in one line, `doctor` too."""
    missing = "import sys; sys.modules['pellucid.libbpf._native'] = None;"
    answer = run(sys.executable, "-c", f"{missing} from pellucid.__main__ import main; main()", "doctor")
    assert (answer.returncode, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert line.startswith("pellucid: not completely installed: ")
    assert line.endswith("(make setup builds it again)")


@pytest.mark.parametrize(
    ("helper", "kind", "expected"),
    [
        ("get_attach_cookie", trial.KPROBE, True),
        ("get_attach_cookie", trial.SOCKET_FILTER, False),
        ("skb_store_bytes", trial.KPROBE, False),
        ("of the future", trial.KPROBE, False),
    ],
)
def test_helpers(helper: str, kind: int, expected: bool) -> None:
    """A helper is there if programs of that kind may call it: not those of other kinds, nor unknown ones."""
    assert trial.has_helper(HELPERS[helper], kind) is expected


def test_a_tracepoint_that_is_not_there() -> None:
    """A tracepoint that the kernel lacks is named; one that it has raises nothing."""
    trial.try_tracepoint("sched_process_exit")
    with pytest.raises(BpfError, match="no_such_tracepoint: No such file or directory"):
        trial.try_tracepoint("no_such_tracepoint")


def test_a_ring_that_cannot_be() -> None:
    """A ring whose size is no power of two is refused; the default size is not."""
    trial.try_ring(32 << 20)
    with pytest.raises(BpfError, match="no ring buffer: Invalid argument"):
        trial.try_ring(3 << 20)


def open_files() -> list[str]:
    """The descriptors of this process."""
    with os.scandir("/proc/self/fd") as found:
        return [entry.name for entry in found]


def test_nothing_stays() -> None:
    """Trials leave no descriptor, and so no program, map or link, behind."""
    before = open_files()
    for feature in FEATURES:
        try:
            feature.probe()
        except PellucidError:
            continue
    assert open_files() == before


def test_a_program_under_a_seccomp_filter(
    tls: Tls, programs: Programs, capture: Callable[..., Capture]
) -> None:
    """A client whose filter refuses the system call that a return probe is gets through where doctor says so."""
    port = free_port()
    programs.start("openssl", "s_server", "-accept", port, "-key", tls.key, "-cert", tls.cert, "-www")
    wait_for_port(port)
    run = capture()
    curl = programs.run(
        "curl",
        "-sk",
        f"https://127.0.0.1:{port}/",
        check=False,
        preexec_fn=lambda: _refuse(URETPROBE["x86_64"]),
    )
    seen = http(run.stop(), "client")
    (finding,) = examine([feature for feature in FEATURES if feature.name == "sandboxed programs"])
    if finding.state == "ok":
        (exchange,) = seen
        assert (curl.returncode, exchange["response"]["body"].encode()) == (0, curl.stdout)
    else:
        assert curl.returncode < 0
