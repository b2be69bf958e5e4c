"""Which files are watched: named ones, those of a process, those of the system."""

import ctypes
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.attach import targets
from pellucid.attach.targets import find_targets
from pellucid.errors import PellucidError
from pellucid.probes.openssl.probe import PROBE

LIBRARY = "int SSL_read(void) { return 1; } int SSL_write(void) { return 2; }"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="/proc/PID/map_files needs root")


def cache(path, *entries, prefix=b""):
    """A dynamic linker's cache of (flags, path), as glibc's ldconfig writes it."""
    strings, table = b"", b""
    start = 48 + 24 * len(entries)
    for flags, library in entries:
        table += struct.pack("<III12x", flags, start + len(strings), start + len(strings))
        strings += os.fsencode(library) + b"\0"
    header = struct.pack("<20sII20x", b"glibc-ld.so.cache1.1", len(entries), len(strings))
    path.write_bytes(prefix + header + table + strings)
    return path


def test_named_file(library):
    """The file that --libssl names is the target, called by its soname."""
    path = library(LIBRARY, "-Wl,-soname,libssl.so.9", name="other.so")
    [target] = find_targets(PROBE, path, None)
    status = path.stat()
    assert (path, "libssl.so.9", (status.st_dev, status.st_ino)) == (target.path, target.library, target.key)
    assert ("symbols", {"SSL_read", "SSL_write"}) == (target.how, target.functions.keys())


def test_named_file_without_soname(library):
    """A file without a soname, such as a program, is called by its own name."""
    path = library(LIBRARY, name="program")
    assert path.name == find_targets(PROBE, path, None)[0].library


def test_named_file_lacks_functions(library):
    """A file without the functions of OpenSSL is refused, naming what it lacks."""
    path = library("int SSL_read(void) { return 1; }")
    with pytest.raises(PellucidError, match=f"{path} does not define SSL_write: it is no OpenSSL library"):
        find_targets(PROBE, path, None)


def test_missing_file(tmp_path):
    """A file that does not exist is refused by one line."""
    with pytest.raises(PellucidError, match=r"cannot open .*nothing: No such file"):
        find_targets(PROBE, tmp_path / "nothing", None)


def test_linker_cache(library, tmp_path, monkeypatch):
    """Of the linker's cache the libssl files of this machine's kind count, each file once."""
    path = library(LIBRARY, name="libssl.so.3")
    (tmp_path / "libssl.so").symlink_to(path)
    native = targets._CACHE_FLAGS[os.uname().machine]
    entries = [
        (native, path),
        (native, tmp_path / "libssl.so"),
        (native, tmp_path / "libssl.so.1.1"),  # gone since
        (native, tmp_path / "libssl3.so"),  # NSS
        (0x3, tmp_path / "i386/libssl.so.3"),
    ]
    monkeypatch.setattr(targets, "_CACHE", cache(tmp_path / "cache", *entries))
    assert [path] == [target.path for target in find_targets(PROBE, None, None)]


def test_linker_cache_behind_an_older_table(tmp_path):
    """A cache that begins with glibc's older table is read from the newer one on."""
    path = cache(tmp_path / "cache", (0x303, "/lib/libssl.so.3"), prefix=b"ld.so-1.7.0" + bytes(37))
    assert [(0x303, Path("/lib/libssl.so.3"))] == list(targets._cached(path))


def test_linker_cache_agrees_with_ldconfig():
    """Every path that `ldconfig -p` prints is read from the system's cache, in its order."""
    output = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    expected = [line.split(" => ")[1] for line in output.splitlines() if " => " in line]
    assert expected == [str(path) for _, path in targets._cached(targets._CACHE)]


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "known format"), (b"glibc-ld.so.cache1.1" + b"\xff" * 40, "cut short")]
)
def test_damaged_linker_cache(tmp_path, content, message):
    """A cache that cannot be read is refused by one line that says what to do."""
    (tmp_path / "cache").write_bytes(content)
    with pytest.raises(PellucidError, match=f"{message}.*--libssl"):
        list(targets._cached(tmp_path / "cache"))


def test_no_libssl_anywhere(tmp_path, monkeypatch):
    """Without any target the error says what was looked for, and which flag helps."""
    monkeypatch.setattr(targets, "_CACHE", tmp_path / "cache")
    with pytest.raises(PellucidError, match=r"cache \(.*\) has no libssl: .*--libssl"):
        find_targets(PROBE, None, None)


def test_process_without_libssl():
    """A process that maps no libssl is named in the error."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            with pytest.raises(PellucidError, match=f"process {process.pid} maps no libssl: .*--libssl"):
                find_targets(PROBE, None, process.pid)
        finally:
            process.kill()


def test_no_such_process():
    """A process that does not exist is said to be missing."""
    with pytest.raises(PellucidError, match="there is no process 99999999"):
        find_targets(PROBE, None, 99999999)


def found_in(pid, name):
    [target] = [target for target in find_targets(PROBE, None, pid) if Path(target.display).name == name]
    return target


@as_root
def test_mapped_by_a_process(library):
    """A library that a process has mapped, named as wheels name it, is found by its plain path."""
    path = library(LIBRARY, name="libssl-1a2b3c.so.3")
    ctypes.CDLL(str(path))
    target = found_in(os.getpid(), path.name)
    assert (path, path.stat().st_ino) == (target.path, target.key.inode)


@as_root
@pytest.mark.parametrize("successor", [False, True])
def test_mapped_and_deleted(library, successor):
    """A library that was deleted or replaced after it was mapped is reached as the process has it."""
    path = library(LIBRARY, name=f"libssl-{successor:d}d.so.3")
    inode = path.stat().st_ino
    ctypes.CDLL(str(path))
    if successor:
        shutil.copy(path, path.with_name("copy"))
        path.with_name("copy").rename(path)
    else:
        path.unlink()
    target = found_in(os.getpid(), path.name)
    assert (inode, inode) == (target.key.inode, target.path.stat().st_ino)


@as_root
def test_mapped_in_a_container(library, tmp_path):
    """A library that only a process's own mounts have is reached through that process."""
    path = library(LIBRARY, name="libssl.so.3")
    inside = tmp_path / "inside"
    inside.mkdir()
    victim = f"import ctypes; ctypes.CDLL('{inside}/libssl.so.3'); print(flush=True); input()"
    script = f'mount -t tmpfs none {inside} && cp {path} {inside} && exec {sys.executable} -c "$0"'
    command = ["unshare", "--mount", "sh", "-c", script, victim]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # it has mapped the library
        target = found_in(process.pid, "libssl.so.3")
        assert Path(f"/proc/{process.pid}/root{inside}/libssl.so.3") == target.path
        assert str(inside / "libssl.so.3") == target.display
        process.communicate(b"\n")
