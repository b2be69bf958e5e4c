"""What the paths lead to in a running library is what its own accessors say, in every family and release."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from pellucid.attach.accessors import FUNCTIONS, WANTED, find_accessors
from pellucid.attach.symbols import Elf

SOURCE = Path(__file__).parent / "truth.c"
NUMBERS = ("version", "cipher", "alpn_length", "session", "cipher_object", "rbio", "wbio")
ENDS = 6  # client and server of a 1.2 handshake, of its resumption, and of a 1.3 handshake


class Release(NamedTuple):
    """A Debian release's library; `runtime` is what it needs of the release's own C library."""

    suite: str
    packages: tuple[str, ...]
    libssl: str
    libcrypto: str
    typed: bool = False
    """Whether its objects have types."""


NEWER_LIBC = ("libc6", "zlib1g", "libzstd1")
RELEASES = {
    "OpenSSL 1.1.1": Release("bullseye", ("libssl1.1",), "libssl.so.1.1", "libcrypto.so.1.1"),
    "OpenSSL 3.0": Release("bookworm", ("libssl3",), "libssl.so.3", "libcrypto.so.3"),
    "OpenSSL 3.5": Release(
        "trixie", ("libssl3t64", *NEWER_LIBC), "libssl.so.3", "libcrypto.so.3", typed=True
    ),
    "OpenSSL of sid": Release(
        "sid", ("libssl3t64", *NEWER_LIBC), "libssl.so.3", "libcrypto.so.3", typed=True
    ),
    "BoringSSL": Release("bookworm", ("android-libboringssl",), "libssl.so.0", "libcrypto.so.0"),
}


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """The program of truth.c, with a certificate and its key."""
    folder = tmp_path_factory.mktemp("truth")
    program, cert, key = folder / "truth", folder / "cert.pem", folder / "key.pem"
    subprocess.run(["gcc", "-O1", "-o", program, SOURCE], check=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return program, cert, key


@contextmanager
def handshakes(truth, root, release):
    """Both ends of the library's handshakes with itself: its pid and what it says of each."""
    program, cert, key = truth
    (libssl,) = root.glob(f"usr/lib/**/{release.libssl}")
    loader = []
    if "libc6" in release.packages:  # its library is too new for the C library of this machine
        (interpreter,) = root.glob("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
        loader = [interpreter, "--library-path", libssl.parent]
    process = subprocess.Popen(
        [*loader, program, libssl.with_name(release.libcrypto), libssl, cert, key],
        env=os.environ | ({} if loader else {"LD_LIBRARY_PATH": str(libssl.parent)}),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        lines = [process.stdout.readline() for _ in range(ENDS)]
        yield process.pid, [json.loads(line) for line in lines], libssl
    finally:
        process.communicate(timeout=20)
    assert process.returncode == 0


def follow(memory, address, path, size):
    """`size` bytes of what a path leads to; None where it leads through a null pointer."""
    for offset in path[:-1]:
        address = int.from_bytes(os.pread(memory, 8, address + offset), "little")
        if not address:
            return None
    return os.pread(memory, size, address + path[-1])


def number(memory, ssl, field):
    return int.from_bytes(follow(memory, ssl, field.path, field.size), "little") & field.mask


def server_name(memory, ssl, fields):
    """The string that the first pointer leads to that is not null."""
    pointers = (follow(memory, ssl, field.path, 8) or bytes(8) for field in fields)
    address = next(address for pointer in pointers if (address := int.from_bytes(pointer, "little")))
    return os.pread(memory, 64, address).partition(b"\0")[0].decode()


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES.keys())
def test_paths_lead_to_what_the_accessors_say(truth, debian_root, release):
    """In TLS 1.2, resumed and new, and 1.3, at both ends, each path leads to what the accessor returns."""
    with handshakes(truth, debian_root(release.suite, *release.packages), release) as (pid, ends, libssl):
        with Elf(libssl) as elf:
            fields, refused = vars(find_accessors(elf, elf.symbols(FUNCTIONS))).values()
        assert not refused
        assert fields.keys() == WANTED.keys() | ({"object_type"} if release.typed else set())
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        try:
            for end in ends:
                compare(memory, fields, end)
        finally:
            os.close(memory)


def compare(memory, fields, end):
    ssl = end["ssl"]
    one = {name: found[0] for name, found in fields.items()}
    assert {name: end[name] for name in NUMBERS} == {name: number(memory, ssl, one[name]) for name in NUMBERS}
    assert end["is_server"] == (end["end"] == "server") == (number(memory, ssl, one["is_server"]) != 0)
    for random in ("client_random", "server_random"):
        assert end[random] == follow(memory, ssl, one[random].path, one[random].size).hex()
    alpn = os.pread(memory, number(memory, ssl, one["alpn_length"]), number(memory, ssl, one["alpn"]))
    assert end["alpn"] == alpn.hex() == b"h2".hex()
    assert end["server_name"] == server_name(memory, ssl, fields["server_name"]) == "name.example"
    assert "object_type" not in one or number(memory, ssl, one["object_type"]) == 0
