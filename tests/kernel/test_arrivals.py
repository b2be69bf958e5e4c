"""Files that turn up while everything is watched are attached to, each once."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kernel import victims
from tests.kernel.inside import inside
from tests.kernel.machine import own_machine
from tests.kernel.running import Capture, Programs, Tls
from tests.kernel.streams import shown

if TYPE_CHECKING:
    from pathlib import Path

SHORT_LIVED = 100


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A program that connects to itself: 7 questions, 7 answers, and it is over."""
    return victims.build("read_write", tmp_path_factory.mktemp("victim"))


@pytest.fixture
def everything(tls, tmp_path):
    """`everything(act)` runs `act(programs, capture)` on a machine of its own where everything is watched.

    Returns what `act` returns, and the capture's messages.
    """

    def run(act, *flags):
        def scenario():
            capture = Capture([sys.executable, "-m", "pellucid", "tls", "-d", *flags], tmp_path / "capture")
            programs = Programs(tls)
            try:
                result = act(programs, capture.wait_until_ready())
                return result, capture.stop()
            finally:
                programs.end_all()
                capture.kill()

        answer = inside(own_machine, scenario)
        assert isinstance(answer, list), f"{answer}\n{(tmp_path / 'capture' / 'log').read_text()}"
        return answer

    return run


def copy(tls: Tls, folder: Path) -> Tls:
    """A libssl of its own: a new file."""
    folder.mkdir()
    return Tls(shutil.copy(tls.libssl, folder / tls.libssl.name), tls.cert, tls.key)


def told(messages, end):
    """What was captured of one end of a victim, by direction. Its first call decides which end is `src`."""
    place, other = end["local"], end["remote"]
    data = [
        each for each in messages if each["type"] == "data" and (each["src"], each["dst"]) == (place, other)
    ]
    return {
        way: b"".join(shown(each, "data") for each in data if each["direction"] == way)
        for way in ("read", "write")
    }


def exchange(tls: Tls, victim: Path) -> list[dict[str, str]]:
    """Run the victim with this libssl; its two ends."""
    return [end._asdict() for end in victims.run(victim, Programs(tls), tls)]


def whole(messages, end):
    """Whether all that one end said and heard was captured, once and in order."""
    said, heard = victims.asked("read_write"), victims.answered("read_write")
    if end["role"] == "server":
        said, heard = heard, said
    return told(messages, end) == {"write": said, "read": heard}


def test_short_lived(everything, tls, tmp_path, victim):
    """Of 100 programs that live for milliseconds, each with a libssl never seen before, most are seen from their
    first byte on, and none is missed.
    """

    def act(programs, capture):
        return [exchange(copy(tls, tmp_path / str(number)), victim) for number in range(SHORT_LIVED)]

    runs, messages = everything(act)
    ends = [end for run in runs for end in run]
    unseen = [end for end in ends if not any(told(messages, end).values())]
    late = [end for end in ends if not whole(messages, end)]
    print(f"of {len(ends)} ends, {len(unseen)} were not seen, {len(late)} not from their first byte on")
    assert len(late) < len(ends) / 2
    assert not unseen
