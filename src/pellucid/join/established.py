"""The secrets of a TLS 1.3 connection that is older than the probe, from the memory of the library's object.

OpenSSL keeps what its key schedule (RFC 8446 section 7.1) goes in with *and* what comes out, in arrays of one object
(`SSL_CONNECTION` in ssl/ssl_local.h), until the connection ends:

    handshake secret --"derived", extract--> master secret
            |  and the hash of the handshake            |  and the hash of the handshake
            |  up to ServerHello                        |  up to the server's Finished
            +--> handshake traffic secrets              +--> traffic secrets, exporter secret
                   +--> the server's key for Finished

So no place needs to be known: bytes are taken for a secret when what must follow from them stands in the same
object, which nothing does by chance. What is told is right, or nothing is told: a key update (section 7.2) has
changed the traffic secrets that are kept, but the first ones, which key logs have, follow from the master secret.
"""

from __future__ import annotations

import hashlib
import hmac
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from pellucid.model import LABELS, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pellucid.model import Established

HASHES = {0x1301: "sha256", 0x1302: "sha384", 0x1303: "sha256", 0x1304: "sha256", 0x1305: "sha256"}
"""Of IANA's numbers of cipher suites (RFC 8446 appendix B.4)."""

_ALIGNMENT = 4
"""Of the arrays: an `unsigned char` needs none, but integers and pointers lie before them."""

Lines = dict[str, bytes]
"""Secrets by their labels."""


class Places(NamedTuple):
    """Where an object has what the secrets are made of: offsets in bytes. None was not found."""

    handshake_secret: int
    finished_hash: int
    """Of the handshake up to the server's Finished."""
    hello_hash: int | None
    """Of the handshake up to ServerHello."""


class Objects:
    """The objects of all targets."""

    def __init__(self) -> None:
        self._places: dict[int, Places] = {}
        """Of the last one of each target: there the next one is looked into first."""

    def secrets(self, record: Established) -> Iterator[Secret]:
        """What its key log would have, as far as it is proven; nothing where nothing is."""
        algorithm = HASHES.get(record.cipher)
        found = search(algorithm, record.bytes, self._places.get(record.target)) if algorithm else None
        if found is None:
            return
        self._places[record.target], lines = found
        for label, secret in lines.items():
            yield Secret(
                time=record.time,
                object=record.object,
                target=record.target,
                pid=record.pid,
                tid=record.tid,
                uid=record.uid,
                label=LABELS.index(label),
                mid=1,
                comm=record.comm,
                random=record.random,
                bytes=secret,
            )


def search(algorithm: str, memory: bytes, known: Places | None = None) -> tuple[Places, Lines] | None:
    """Where an object has its secrets, and what they are; None where no master secret is proven.

    `algorithm` is what hashlib calls the suite's hash. `known` are places to try first.
    """
    size = hashlib.new(algorithm).digest_size
    nothing = hashlib.new(algorithm).digest()

    def where(guess: int | None, follows: Callable[[bytes], bytes]) -> tuple[int, bytes] | None:
        """The first bytes from which something follows that stands in the memory as well."""
        for offset in _offsets(memory, size, guess):
            taken = memory[offset : offset + size]
            if follows(taken) in memory:
                return offset, taken
        return None

    def master_of(secret: bytes) -> bytes:
        return hmac.digest(derive(algorithm, secret, "derived", nothing), bytes(size), algorithm)

    def key_of(context: bytes) -> bytes:
        """The key of the server's Finished, section 4.4.4."""
        return derive(algorithm, derive(algorithm, handshake, "s hs traffic", context), "finished", b"")

    first = where(known and known.handshake_secret, master_of)
    if first is None:
        return None
    handshake, master = first[1], master_of(first[1])
    second = where(
        known and known.finished_hash, lambda taken: derive(algorithm, master, "exp master", taken)
    )
    if second is None:
        return None
    lines = {
        "CLIENT_TRAFFIC_SECRET_0": derive(algorithm, master, "c ap traffic", second[1]),
        "SERVER_TRAFFIC_SECRET_0": derive(algorithm, master, "s ap traffic", second[1]),
        "EXPORTER_SECRET": derive(algorithm, master, "exp master", second[1]),
    }
    third = where(known and known.hello_hash, key_of)
    if third is not None:
        lines |= {
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET": derive(algorithm, handshake, "c hs traffic", third[1]),
            "SERVER_HANDSHAKE_TRAFFIC_SECRET": derive(algorithm, handshake, "s hs traffic", third[1]),
        }
    return Places(first[0], second[0], third and third[0]), lines


def derive(algorithm: str, secret: bytes, label: str, context: bytes) -> bytes:
    """HKDF-Expand-Label of RFC 8446 section 7.1, as long as the hash: one round of HKDF-Expand (RFC 5869 2.3)."""
    full = b"tls13 " + label.encode()
    info = len(secret).to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\1", algorithm)


def _offsets(memory: bytes, size: int, guess: int | None) -> Iterable[int]:
    """Where a secret or hash may begin: the guess, then wherever bytes look random, as they do."""
    may = (
        offset
        for offset in range(0, len(memory) - size + 1, _ALIGNMENT)
        if len(set(memory[offset : offset + size])) > size // 2
    )
    return may if guess is None else chain([guess], may)
