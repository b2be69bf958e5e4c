"""`--addr`: a static program without symbols is seen by the addresses that its symbols had."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel import victims
from tests.kernel.streams import streams
from tests.shell import only_line, pellucid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls


@pytest.fixture
def victim(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A program with OpenSSL inside and no symbols, and what nm said of it before: addresses by function."""
    program = tmp_path / "victim"
    command = ["gcc", "-O2", "-static", "-pthread", "-w", "-o", program, victims.SOURCES / "read_write.c",
               "-lssl", "-lcrypto"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    lines = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout.splitlines()
    subprocess.run(["strip", program], check=True)
    return program, {name: address for address, _, name in (line.split() for line in lines if line[0] != " ")}


def test_capture(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], victim: tuple[Path, dict[str, str]]
) -> None:
    """Both ends of the program's conversation are seen whole; without the addresses it is refused."""
    program, addresses = victim
    refused = only_line(pellucid("tls", "--libssl", program), 1)
    assert refused.endswith(f"{program} cannot be watched: it does not name SSL_read and SSL_write: stripped")

    names = ("SSL_read", "SSL_write", "SSL_new", "SSL_free")
    watching = capture("--addr", ",".join(f"{name}={addresses[name]}" for name in names), libssl=program)
    ends = victims.run(program, programs, tls)
    messages = watching.stop()

    assert sorted(streams(messages)) == sorted(victims.conversation(end) for end in ends)
    assert len(ends) > 1
    assert messages[-1]["lost"] == {}


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["--addr", "SSL_read=1,SSL_write=2"], 2, "--addr needs exactly one --libssl"),
        (["--libssl", "{}", "--addr", "SSL_read=1"], 2, "--addr lacks SSL_write"),
        (["--libssl", "{}", "--addr", "SSL_read=1,SSL_write=2"], 1, "0x1, given for SSL_read, is not in"),
    ],
)
def test_mistakes(tls: Tls, words: list[str], status: int, complaint: str) -> None:
    """A mistake is one line; the status tells what is wrong with the words from what is wrong with the file."""
    answer = pellucid("tls", *[word.format(tls.libssl) for word in words])
    assert complaint in only_line(answer, status)
