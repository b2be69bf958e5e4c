"""The dynamic linker's cache, as ldconfig writes it."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from pellucid.attach import ldcache
from pellucid.attach.ldcache import entries, installed
from pellucid.errors import PellucidError

NATIVE = 0x303


def cache(path, *rows, prefix=b""):
    """A dynamic linker's cache of (flags, path), as glibc's ldconfig writes it."""
    strings, table = b"", b""
    start = 48 + 24 * len(rows)
    for flags, library in rows:
        table += struct.pack("<III12x", flags, start + len(strings), start + len(strings))
        strings += os.fsencode(library) + b"\0"
    header = struct.pack("<20sII20x", b"glibc-ld.so.cache1.1", len(rows), len(strings))
    path.write_bytes(prefix + header + table + strings)
    return path


def test_installed(tmp_path):
    """Libraries of this machine's kind that are still there are installed, whatever their names."""
    here = tmp_path / "libanything.so"
    here.touch()
    rows = [(NATIVE, here), (NATIVE, tmp_path / "gone.so"), (0x3, here)]
    assert [here] == installed(cache(tmp_path / "cache", *rows), "x86_64")


def test_no_cache(tmp_path):
    """A system without a cache, as musl's are, has nothing installed that could be listed."""
    assert installed(tmp_path / "nothing") == []


def test_behind_an_older_table(tmp_path):
    """A cache that begins with glibc's older table is read from the newer one on."""
    path = cache(tmp_path / "cache", (0x303, "/lib/libssl.so.3"), prefix=b"ld.so-1.7.0" + bytes(37))
    assert [(0x303, Path("/lib/libssl.so.3"))] == list(entries(path))


def test_agrees_with_ldconfig():
    """Every path that `ldconfig -p` prints is read from the system's cache, in its order."""
    output = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    expected = [line.split(" => ")[1] for line in output.splitlines() if " => " in line]
    assert expected == [str(path) for _, path in entries(ldcache.CACHE)]


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "known format"), (b"glibc-ld.so.cache1.1" + b"\xff" * 40, "cut short")]
)
def test_damaged(tmp_path, content, message):
    """A cache that cannot be read is refused by one line that says what to do."""
    (tmp_path / "cache").write_bytes(content)
    with pytest.raises(PellucidError, match=f"{message}.*--libssl"):
        list(entries(tmp_path / "cache"))
