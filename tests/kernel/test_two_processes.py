"""The tracer may do everything and reads no captured byte; the decoder reads them and may do nothing."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.kernel.inside import become, inside, trace
from tests.kernel.processes import bpf_ids, decoder_of, descriptors, remaining, state, status
from tests.kernel.running import Capture, Programs, Tls, http, wait_for
from tests.kernel.servers import s_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SUDO_USER = 54321
ROUNDS = 7
ONE_SECOND = 1.0
"""The issue's promise: so soon after the death of either process the other is gone, and the probes with it."""

NO_CAPABILITIES = "0" * 16


@pytest.fixture(autouse=True)
def _behind_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a user has said `sudo pellucid tls`."""
    monkeypatch.setenv("SUDO_UID", str(SUDO_USER))
    monkeypatch.setenv("SUDO_GID", str(SUDO_USER))


@pytest.fixture
def talk(programs: Programs, tls: Tls) -> Callable[[int], None]:
    """`talk(n)`: curl asks openssl's web server n times, and is answered each time."""
    _, port = s_server(programs, tls, "-www")

    def ask(times: int) -> None:
        urls = [f"https://127.0.0.1:{port}/{number}" for number in range(times)]
        programs.run("curl", "-sk", *urls)

    return ask


def test_the_decoder_is_nobody(capture: Callable[..., Capture], talk: Callable[[int], None]) -> None:
    """It has no capability of any kind, ids of its own, no group, no terminal; and it captures everything."""
    run = capture()
    decoder = status(decoder_of(run.process.pid))
    talk(ROUNDS)
    messages = run.stop()

    sets = {decoder[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert sets == {NO_CAPABILITIES}
    assert decoder["NoNewPrivs"] == "1"
    uids, gids = set(decoder["Uid"].split()), set(decoder["Gid"].split())
    assert len(uids) == len(gids) == 1
    assert not uids & {"0", str(SUDO_USER)}
    assert not gids & {"0", str(SUDO_USER)}
    assert decoder["Groups"] == ""
    assert len(http(messages, "client")) == len(http(messages, "server")) == ROUNDS
    assert messages[-1]["lost"] == {}


def test_the_decoder_has_no_terminal(capture: Callable[..., Capture]) -> None:
    """It leads a session of its own, so it cannot put words into its user's terminal (TIOCSTI)."""
    run = capture()
    decoder = decoder_of(run.process.pid)
    assert os.getsid(decoder) == decoder
    assert os.getsid(run.process.pid) != decoder


def test_two_decoders_are_two_users(capture: Callable[..., Capture]) -> None:
    """Decoders of two captures have different ids: neither may signal or trace the other."""
    uids = {status(decoder_of(capture().process.pid))["Uid"] for _ in range(2)}
    assert len(uids) == 2


def test_the_decoder_holds_only_what_it_needs(capture: Callable[..., Capture]) -> None:
    """No BPF link, program or map, no file but its output and its log: the tracer has all the others."""
    run = capture()
    decoder = decoder_of(run.process.pid)
    wait_for(lambda: "anon_inode:[eventfd]" in descriptors(decoder).values(), "it to map the ring")
    wait_for(lambda: "anon_inode:bpf-map" not in descriptors(decoder).values(), "it to close the ring's map")
    held = set(descriptors(decoder).values())
    kinds = {re.sub(r"\[\d+\]|\d+$", "", name) for name in held}
    assert kinds == {
        "/dev/null",
        str(run.log),
        str(run.events),
        "socket:",
        "anon_inode:[eventfd]",
        "anon_inode:[eventpoll]",
    }
    assert bpf_ids(decoder) == {"link": set(), "prog": set()}
    tracer = bpf_ids(run.process.pid)
    assert tracer["link"]
    assert tracer["prog"]


def test_nobody_may_trace_the_decoder(capture: Callable[..., Capture]) -> None:
    """Neither another process of its own uid nor the user behind sudo; root may (so the attempt is right)."""
    run = capture()
    decoder = decoder_of(run.process.pid)
    own = int(status(decoder)["Uid"].split()[0])
    assert inside(lambda: become(own), lambda: trace(decoder)) == "EPERM"
    assert inside(lambda: become(SUDO_USER), lambda: trace(decoder)) == "EPERM"
    assert inside(lambda: None, lambda: trace(decoder)) is None


def test_outputs_belong_to_the_user_behind_sudo(capture: Callable[..., Capture]) -> None:
    """The events file is that user's, mode 0600, although only the decoder writes it."""
    run = capture()
    run.stop()
    owner = run.events.stat()
    assert (owner.st_uid, owner.st_gid, owner.st_mode & 0o777) == (SUDO_USER, SUDO_USER, 0o600)


# --- the death of either -------------------------------------------------------------------------------


def gone_within_a_second(run: Capture, decoder: int, ids: dict[str, set[int]]) -> None:
    """Wait until neither process is there, nor anything that they had in the kernel."""

    def gone() -> bool:
        run.process.poll()
        return not state(run.process.pid) and not state(decoder) and not any(remaining(ids).values())

    wait_for(gone, "the other process and all probes to be gone", ONE_SECOND)


def answered(run: Capture) -> tuple[int, int]:
    """How many exchanges were captured at either end."""
    return len(http(run.messages(), "client")), len(http(run.messages(), "server"))


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_the_tracer_is_killed(
    stopped: bool, capture: Callable[..., Capture], talk: Callable[[int], None]
) -> None:
    """The decoder writes what was captured and ends, even if it was stopped meanwhile; no probe stays."""
    run = capture()
    decoder, ids = decoder_of(run.process.pid), bpf_ids(run.process.pid)
    assert remaining(ids) == ids
    if stopped:
        os.kill(decoder, signal.SIGSTOP)
        wait_for(lambda: state(decoder) == "T", "the decoder to stop")
    talk(ROUNDS)
    run.process.kill()
    gone_within_a_second(run, decoder, ids)
    assert answered(run) == (ROUNDS, ROUNDS)
    assert "the tracer ended unexpectedly" in run.log.read_text()


@pytest.fixture
def endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sink that never returns from its first message, in native code, installed as anybody's plug-in is."""
    (tmp_path / "endless.py").write_text(
        "from collections import deque\n"
        "from itertools import repeat\n"
        "from pellucid.sink import Sink\n"
        "class Endless(Sink):\n"
        "    def write(self, message):\n"
        "        deque(repeat(None), maxlen=0)\n"
    )
    metadata = tmp_path / "endless-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: endless\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pellucid.sinks]\nendless = endless:Endless\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "endless"


def busy_decoder(run: Capture, talk: Callable[[int], None]) -> int:
    """The pid of the decoder, once it loops."""
    decoder = decoder_of(run.process.pid)
    talk(1)
    wait_for(lambda: state(decoder) == "R", "the decoder to loop")
    return decoder


def test_the_tracer_of_a_busy_decoder_is_killed(
    capture: Callable[..., Capture], talk: Callable[[int], None], endless: str, tmp_path: Path
) -> None:
    """A decoder that loops in native code, where no Python handler runs, is ended by the kernel."""
    run = capture("-o", f"{endless}:{tmp_path / 'never'}")
    ids = bpf_ids(run.process.pid)
    decoder = busy_decoder(run, talk)
    run.process.kill()
    gone_within_a_second(run, decoder, ids)


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_the_decoder_is_killed(stopped: bool, capture: Callable[..., Capture]) -> None:
    """The tracer detaches and ends with status 1 and one line that says why."""
    run = capture()
    decoder, ids = decoder_of(run.process.pid), bpf_ids(run.process.pid)
    if stopped:
        os.kill(decoder, signal.SIGSTOP)
    os.kill(decoder, signal.SIGKILL)
    gone_within_a_second(run, decoder, ids)
    assert run.process.returncode == 1
    assert run.log.read_text().splitlines()[-1] == "pellucid: the decoder ended unexpectedly"


def test_signals_are_the_tracers(capture: Callable[..., Capture], talk: Callable[[int], None]) -> None:
    """SIGINT, SIGTERM and SIGHUP to the decoder change nothing, as when a service manager signals both."""
    run = capture()
    decoder = decoder_of(run.process.pid)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
        os.kill(decoder, number)
    talk(ROUNDS)
    run.stop(signal.SIGTERM)
    assert answered(run) == (ROUNDS, ROUNDS)


def test_an_end_that_takes_long_can_be_cut_short(
    capture: Callable[..., Capture], talk: Callable[[int], None], endless: str, tmp_path: Path
) -> None:
    """After two seconds the user is told what is going on; another signal ends both processes, status 1."""
    run = capture("-o", f"{endless}:{tmp_path / 'never'}")
    ids = bpf_ids(run.process.pid)
    decoder = busy_decoder(run, talk)
    run.process.send_signal(signal.SIGINT)
    wait_for(lambda: "still writing" in run.log.read_text(), "the warning")
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(10) == 1
    assert "not everything that was captured is written" in run.log.read_text().splitlines()[-1]
    assert state(decoder) == ""
    assert not any(remaining(ids).values())
