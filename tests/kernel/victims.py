"""The programs of tests/victims: small, both ends in one, and honest about what they did."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.kernel.streams import Stream

if TYPE_CHECKING:
    from tests.kernel.running import Programs, Tls

SOURCES = Path(__file__).parents[1] / "victims"
NAMES = tuple(sorted(path.stem for path in SOURCES.glob("*.c")))
"""Those that need no arguments but a certificate, its key and a version of TLS: all that lie in the folder itself."""

ROUNDS = 7
"""Of the conversation of most victims: the same as in tls.h."""


class End(NamedTuple):
    """What a victim says of one end of one connection."""

    role: str
    """`client` or `server`."""
    name: str
    """Which of its connections, or who serves it."""
    pid: int
    tid: int
    retries: int
    """Calls that it had to make again."""
    local: str
    remote: str


def build(
    name: str, folder: Path, *flags: str, libraries: tuple[str | Path, ...] = ("-lssl", "-lcrypto")
) -> Path:
    """Compile a victim, named by its path below `SOURCES`, into `folder`."""
    program = folder / Path(name).name
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", program,
               SOURCES / f"{name}.c", *libraries, *flags]  # fmt: skip
    subprocess.run(command, check=True)
    return program


def run(program: Path, programs: Programs, tls: Tls, version: str = "1.3") -> list[End]:
    """Run a victim with the private libssl; what it says of its ends, as they came."""
    lines = programs.run(program, tls.cert, tls.key, version).stdout.splitlines()
    return [End(**json.loads(line)) for line in lines]


def asked(name: str) -> bytes:
    """What the client writes in the usual conversation, and the server reads."""
    return b"".join(b"%s asks %d\n" % (name.encode(), number) for number in range(ROUNDS))


def answered(name: str) -> bytes:
    """What the server writes in it, and the client reads."""
    return b"".join(b"%s answers %d\n" % (name.encode(), number) for number in range(ROUNDS))


def at(end: End, asks: bytes, answers: bytes) -> Stream:
    """What is to be seen at an end, when the client writes `asks` and the server `answers`."""
    read, written = (answers, asks) if end.role == "client" else (asks, answers)
    return Stream(end.pid, end.local, end.remote, read, written)


def conversation(end: End) -> Stream:
    """What is to be seen of the usual conversation."""
    return at(end, asked(end.name), answered(end.name))
