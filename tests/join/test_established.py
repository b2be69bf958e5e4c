"""The secrets of a TLS 1.3 connection are found in its object's memory, by RFC 8448's handshake (section 3)."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.join import Join
from pellucid.join.established import HASHES, Objects, derive, search
from pellucid.model import LABELS, Clock, Drops, End, Established, Logged, Secret, Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model import Context, Record

AES_128_GCM_SHA256, AES_256_GCM_SHA384 = 0x1301, 0x1302
KEPT = [
    bytes.fromhex(text)
    for text in (
        "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac",  # the handshake secret
        "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919",  # the master secret
        "008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8",  # the key of the server's Finished
        "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13",  # ClientHello..server Finished
        "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8",  # ClientHello..ServerHello
        "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50",  # the exporter master secret
    )
]
SECRETS = {
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET": "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET": "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
    "CLIENT_TRAFFIC_SECRET_0": "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
    "SERVER_TRAFFIC_SECRET_0": "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
    "EXPORTER_SECRET": "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50",
}


def memory(kept: Sequence[bytes] = KEPT, *, before: int = 380) -> bytes:
    """An object: pointers and zeros, then arrays of 64 bytes as OpenSSL has them, then noise."""
    pointers = b"".join((0x7F0000000000 + 64 * number).to_bytes(8, "little") for number in range(before))
    noise = random.Random(1).randbytes(400)
    return pointers[:before] + b"".join(each.ljust(64, b"\0") for each in kept) + noise


def record(held: bytes, *, target: int = 1, cipher: int = AES_128_GCM_SHA256) -> Established:
    """What the kernel tells of an object with this memory."""
    return Established(5, 0x1000, target, 7, 8, 9, cipher, b"curl", bytes(range(32)), held)


def told(objects: Objects, held: bytes, **changes: int) -> dict[str, str]:
    """Secrets in hexadecimal, by their labels."""
    return {LABELS[one.label]: one.bytes.hex() for one in objects.secrets(record(held, **changes))}


def test_published_handshake() -> None:
    """All five secrets of RFC 8448's handshake come out of what OpenSSL keeps of it, wherever it lies."""
    for before in (0, 4, 380, 2000):
        assert told(Objects(), memory(before=before)) == SECRETS


def test_key_updates() -> None:
    """The traffic secrets that an object keeps may be later ones: the first ones are told all the same."""
    later = derive("sha256", bytes.fromhex(SECRETS["CLIENT_TRAFFIC_SECRET_0"]), "traffic upd", b"")
    assert told(Objects(), memory([*KEPT, later])) == SECRETS


def test_places_are_remembered() -> None:
    """Where a target's object had its secrets is looked at first; another layout is found as well."""
    objects = Objects()
    for before in (380, 380, 1412, 380):
        assert told(objects, memory(before=before)) == SECRETS
    assert told(objects, memory(before=8), target=2) == SECRETS


def test_who() -> None:
    """Each secret says whose it is as the record did, and that its connection is older than the probe."""
    secrets = list(Objects().secrets(record(memory())))
    assert {one[:6] for one in secrets} == {(5, 0x1000, 1, 7, 8, 9)}
    assert {(one.mid, one.comm, one.random) for one in secrets} == {(1, b"curl", bytes(range(32)))}


def test_without_the_key_of_finished() -> None:
    """Where nothing proves the handshake's own secrets, those of the application's data are told alone."""
    without = {label: secret for label, secret in SECRETS.items() if "HANDSHAKE" not in label}
    assert told(Objects(), memory([*KEPT[:2], bytes(32), *KEPT[3:]])) == without


@pytest.mark.parametrize("gone", [0, 1, 3, 5])
def test_nothing_is_guessed(gone: int) -> None:
    """Without one of the four links of the proof nothing is told, also where other bytes are in its place."""
    damaged = [*KEPT]
    damaged[gone] = hashlib.sha256(damaged[gone]).digest()
    assert told(Objects(), memory(damaged)) == {}


@pytest.mark.parametrize("cipher", [AES_256_GCM_SHA384, 0xC02F, 0])
def test_other_suites(cipher: int) -> None:
    """With another hash than the connection's, or with a suite that is none of TLS 1.3, nothing is told."""
    assert told(Objects(), memory(), cipher=cipher) == {}


@given(st.binary(max_size=300), st.sampled_from(sorted(set(HASHES.values()))))
def test_foreign_memory(held: bytes, algorithm: str) -> None:
    """Whatever else lies in memory, no secret is found in it, and nothing is raised."""
    assert search(algorithm, held) is None


def totals(*values: Record | Context) -> dict[str, int] | None:
    """What a capture with these says of older connections at its end."""
    join = Join()
    for value in (Clock(boot=0, wall=0), *values):
        list(join(value))
    (last,) = join(End(9))
    assert isinstance(last, Totals)
    return last.older


def master(*, mid: int) -> Secret:
    """A master secret of TLS 1.2."""
    return Secret(5, 0x1000, 1, 7, 8, 9, 0, mid, b"curl", bytes(range(32)), bytes(48))


def test_older_connections_are_counted() -> None:
    """At the end it is told how many ends were read, how many could not be proven, and how many never showed up."""
    records = record(memory()), record(memory()), master(mid=1), master(mid=0), record(bytes(4096))
    unread = Drops(seen_bytes=0, lost={}, unread_older=7)
    assert totals(*records, unread) == {"read": 3, "unproven": 1, "unread": 7}


def test_nothing_is_said_where_nobody_looked() -> None:
    """A capture that does not look for older connections does not count them."""
    assert totals(master(mid=0), Drops(seen_bytes=0, lost={})) is None


def test_flow() -> None:
    """A record becomes one logged secret for each line of the key log, by the wall clock."""
    join = Join()
    list(join(Clock(boot=1, wall=1001)))
    flows = list(join(record(memory())))
    assert [flow.time for flow in flows if isinstance(flow, Logged)] == [1005] * len(SECRETS)
