"""Files that turn up while everything is watched are attached to, each once."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kernel import victims
from tests.kernel.mounts import overlay
from tests.kernel.puppets import Puppet
from tests.kernel.running import Programs, Tls, wait_for
from tests.kernel.streams import own_ends, shown

if TYPE_CHECKING:
    from pathlib import Path

SHORT_LIVED = 100


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A program that connects to itself: 7 questions, 7 answers, and it is over."""
    return victims.build("read_write", tmp_path_factory.mktemp("victim"))


def copy(tls: Tls, folder: Path) -> Tls:
    """A libssl of its own: a new file."""
    folder.mkdir()
    return Tls(shutil.copy(tls.libssl, folder / tls.libssl.name), tls.cert, tls.key)


def told(messages, end):
    """What was captured of one end of a victim, by direction; both ends are in one process."""
    place = end["local"], end["remote"]
    data = [each for each in messages if each["type"] == "data" and own_ends(each) == place]
    return {
        way: b"".join(shown(each, "data") for each in data if each["direction"] == way)
        for way in ("read", "write")
    }


def exchange(tls: Tls, victim: Path) -> list[dict[str, str]]:
    """Run the victim with this libssl; its two ends."""
    return [end._asdict() for end in victims.run(victim, Programs(tls), tls)]


def spoken(end):
    """What one end said and heard, by direction."""
    asked, answered = victims.asked("read_write"), victims.answered("read_write")
    said = (asked, answered) if end["role"] == "client" else (answered, asked)
    return dict(zip(("write", "read"), said, strict=True))


def test_short_lived(everything, tls, tmp_path, victim):
    """Each of 100 programs that live for milliseconds, with a libssl never seen before, is watched, and what is
    seen of it is right to its last byte; docs/targets.md says how many are seen from their first.
    """

    def act(programs, capture):
        return [exchange(copy(tls, tmp_path / str(number)), victim) for number in range(SHORT_LIVED)]

    runs, messages = everything(act)
    whole = noticed = 0
    for run in runs:
        seen = [told(messages, end) for end in run]
        for end, ways in zip(run, seen, strict=True):
            truth = spoken(end)
            assert truth["write"].endswith(ways["write"]), end
            assert truth["read"].endswith(ways["read"]), end
            whole += ways == truth
        noticed += any(ways["write"] for ways in seen)
    assert whole > 0
    assert noticed > SHORT_LIVED / 2  # all of them, on a machine that is not overloaded
    assert messages[-1]["targets"] >= SHORT_LIVED
    assert messages[-1]["lost"] == {}


def watched(capture, library):
    """Wait until a file is watched."""
    wait_for(lambda: f"watching {library} " in capture.log.read_text(), f"a probe on {library}")


def texts(messages):
    """What was written, sorted."""
    return sorted(each["data"] for each in messages if each["type"] == "data")


def test_new_file(everything, fake_ssl, tmp_path):
    """A file that no process had when the capture began is watched as soon as one has it, from then on."""
    library = tmp_path / "libnew.so"

    def act(programs, capture):
        shutil.copy(fake_ssl, library)
        with Puppet(programs, library, "write(1, b'seen')") as puppet:
            watched(capture, library)
            puppet.end()
        with Puppet(programs, library, "write(1, b'seen from the start')") as puppet:
            puppet.end()

    _, messages = everything(act)
    assert texts(messages) == ["seen", "seen from the start"]


def test_two_overlays(everything, fake_ssl, tmp_path):
    """One file below two overlays, as in two containers, is one target: each call is counted once."""
    lower = tmp_path / "lower"
    lower.mkdir()
    shutil.copy(fake_ssl, lower / "libfake.so")

    def act(programs, capture):
        with overlay(lower, tmp_path / "a") as a, overlay(lower, tmp_path / "b") as b, ExitStack() as stack:
            puppets = []
            for folder in (a, b, lower):
                script = f"write(1, b'{folder.name}')"
                puppets.append(stack.enter_context(Puppet(programs, folder / "libfake.so", script)))
                watched(capture, a / "libfake.so")
            for puppet in puppets:
                puppet.end()
        return capture.log.read_text().count("libfake.so) too")

    targets, messages = everything(act)
    assert texts(messages) == ["lower", "merged", "merged"]
    assert targets == 1


@pytest.mark.parametrize("gone", ["deleted", "replaced"])
def test_deleted_or_replaced(gone, everything, fake_ssl, tmp_path):
    """A file that is deleted or replaced goes on being watched where it is in use, and so is its successor."""
    library = tmp_path / "libfake.so"

    def act(programs, capture):
        shutil.copy(fake_ssl, library)
        with Puppet(programs, library, "write(1, b'old'); pause(); write(1, b'still')") as old:
            if gone == "replaced":
                shutil.copy(fake_ssl, tmp_path / "new")
                (tmp_path / "new").rename(library)
            else:
                library.unlink()
            watched(capture, library)
            old.step()
            if gone == "replaced":
                with Puppet(programs, library, "write(1, b'new')") as new:
                    wait_for(lambda: capture.log.read_text().count(f"watching {library} ") == 2, "both")
                    new.end()
            old.end()

    _, messages = everything(act)
    assert texts(messages) == ["new"] * (gone == "replaced") + ["old", "still"]


def test_mid_attach(everything, fake_ssl, tmp_path):
    """Processes that end, and files that vanish, while they are looked at, do not disturb the capture."""
    library, last = tmp_path / "libfake.so", tmp_path / "liblast.so"

    def act(programs, capture):
        for _ in range(20):
            shutil.copy(fake_ssl, library)
            programs.start(sys.executable, "-c", f"import ctypes; ctypes.CDLL('{library}')").wait()
            library.unlink()
        shutil.copy(fake_ssl, last)
        with Puppet(programs, last, "write(1, b'here')") as puppet:
            watched(capture, last)
            puppet.end()

    _, messages = everything(act)
    assert texts(messages) == ["here"]


def test_loaded_later_with_pid(puppet, programs, capture, fake_ssl, tmp_path):
    """With `--pid` a library that the process loads later is watched, in that process alone."""
    library = tmp_path / "libplugin.so"
    shutil.copy(fake_ssl, library)
    script = f"""
import ctypes
pause()
plugin = ctypes.CDLL("{library}")
pause()
plugin.SSL_write(ctypes.c_void_p(1), b"from a plug-in", 14)
"""
    one, other = puppet(script), puppet(script)
    run = capture("--pid", str(one.pid), libssl=None)
    for each in (one, other):
        each.step()
        each.step()
    watched(run, library)
    other.end()
    one.end()
    assert texts(run.ended()) == ["from a plug-in"]
