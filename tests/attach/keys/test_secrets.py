"""Where real builds log their secrets, checked by other means: readelf's functions and the library's own accessor."""

from __future__ import annotations

import re
import subprocess

import pytest
from tests.kernel.libraries import android, bullseye, file_in, new_wheel, node, old_wheel, sid, trixie

from pellucid.attach.code.accessors import FUNCTIONS, find_accessors
from pellucid.attach.keys.secrets import find_key_log
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError


@pytest.mark.parametrize(
    "source", [bullseye, trixie, sid, old_wheel, new_wheel, android, node], ids=lambda source: source.__name__
)
def test_real_builds(source):
    """The place is where a function begins, and the accessor of the client random names the same path."""
    path = file_in(source())
    with Elf(path) as elf:
        found = find_key_log(elf, {})
        told = find_accessors(elf, elf.symbols(FUNCTIONS)).fields["client_random"]
    frames = subprocess.run(
        ["readelf", "--wide", "--debug-dump=frames", path], capture_output=True, text=True
    )
    begins = {int(place, 16) for place in re.findall(r" FDE .*pc=([0-9a-f]+)\.\.", frames.stdout)}
    assert found.function.address in begins
    assert not found.rsa or found.rsa.address in begins
    assert told == (found.random,)
    assert (found.jump is not None) == (source in {trixie, sid})


def test_by_its_code_as_by_its_name(monkeypatch):
    """Node names both functions; by code alone the same one is found."""
    path = file_in(node())
    with Elf(path) as elf:
        named = find_key_log(elf, {})
    monkeypatch.setattr(Elf, "symbols", lambda *_: {})
    with Elf(path) as elf:
        found = find_key_log(elf, {})
    assert (named.how, found.how) == ("symbols", "code")
    assert named.rsa
    assert (found.function.address, found.random) == (named.function.address, named.random)


SOURCE = """
void log_line(void *s, const char *label, const void *secret, long size);
__attribute__((noinline)) void ssl_log(void *s, const char *label, const unsigned char *secret, long size) { BODY }
#define LOG(label) void log_##label(void *s, void *k) { ssl_log(s, #label, k, 32); __asm__ volatile(""); }
LABELS
"""
ALL = ("CLIENT_RANDOM", "EXPORTER_SECRET", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
NO_RANDOM = "log_line(0, label, secret, size);"


@pytest.mark.parametrize(
    ("labels", "body", "reason"),
    [
        ((), NO_RANDOM, "it writes no key log, or not as OpenSSL and BoringSSL do"),
        (ALL[:2], NO_RANDOM, "2 and 0 labels of a key log lead to two functions, so neither is proven"),
        (ALL, NO_RANDOM, "its code does not tell where the client random lies"),
    ],
    ids=["none", "few labels", "no random"],
)
def test_refusals(library, labels, body, reason):
    """What could be another function, or another kind of object, is refused with what is missing."""
    source = SOURCE.replace("BODY", body).replace("LABELS", "\n".join(f"LOG({label})" for label in labels))
    with Elf(library(source, "-fvisibility=hidden")) as elf, pytest.raises(PellucidError) as caught:
        find_key_log(elf, {})
    assert str(caught.value) == f"no secrets can be had: {reason}"
