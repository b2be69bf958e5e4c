"""What makes a file a target: the functions that it defines, never its name."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from dataclasses import replace

import pytest

from pellucid.attach import targets
from pellucid.attach.images import Image, Key
from pellucid.attach.maps import Maps
from pellucid.attach.symbols import Elf, Symbol
from pellucid.attach.targets import (
    FoundTarget,
    Refused,
    examine,
    find_targets,
    installed_targets,
    named_target,
)
from pellucid.errors import PellucidError
from pellucid.probes.mysqld.probe import PROBE as MYSQLD
from pellucid.probes.openssl.probe import PROBE

LIBRARY = "int SSL_read(void) { return 1; } int SSL_write(void) { return 2; }"
STRIPPED = 'const char *file(void) { return "ssl/ssl_lib.c"; }'


def image(path):
    return Image(Key(1, 2), path, f"/inside/{path.name}", (3,))


def named(path):
    [target] = find_targets(PROBE, Maps(), path, None)
    return target


# --- one file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["libssl.so.3", "_rust.abi3.so", "a program"])
def test_by_symbols(library, name):
    """A file that defines the functions is a target, whatever it is called, with what it defines."""
    path = library(LIBRARY + "int SSL_free(void) { return 3; }", name=name)
    found = examine(PROBE, image(path))
    assert (found.path, found.display, found.key, found.how) == (
        path,
        f"/inside/{name}",
        (1, 2, 0),
        "symbols",
    )
    assert found.functions.keys() == {"SSL_read", "SSL_write", "SSL_free"}


def test_local_symbols(library):
    """Functions that a program keeps to itself, in .symtab only, are as good as exported ones."""
    hidden = LIBRARY.replace("int SSL", '__attribute__((visibility("hidden"))) int SSL')
    assert examine(PROBE, image(library(hidden))).how == "symbols"
    assert examine(PROBE, image(library(hidden, "-s", name="stripped.so"))) is None


def test_users_of_the_library_are_none(library):
    """A file that only calls the functions, as nginx and libcurl do, is a stranger."""
    path = library("int SSL_read(void), SSL_write(void); int go(void) { return SSL_read() + SSL_write(); }")
    assert examine(PROBE, image(path)) is None


def test_another_family_behind_the_names(library):
    """A file that hands what it is given to GnuTLS, as libgnutls-openssl does, is refused, whatever it is called; one
    that defines such a function itself is not.
    """
    mask = "long gnutls_record_recv(void); int SSL_read(void) { return gnutls_record_recv(); }"
    path = library(mask + " int SSL_write(void) { return 2; }", name="libssl.so.3")
    reason = "it is no OpenSSL, though it names its functions: they call gnutls_record_recv"
    assert examine(PROBE, image(path)) == Refused(path, "/inside/libssl.so.3", reason)
    with pytest.raises(PellucidError, match=f"{path} cannot be watched: {reason}"):
        named(path)
    both = library(LIBRARY + "int gnutls_record_recv(void) { return 3; }", name="both.so")
    assert examine(PROBE, image(both)).how == "symbols"


@pytest.mark.parametrize("source", [STRIPPED, STRIPPED + LIBRARY.replace("SSL_write", "other")])
def test_unnamed_functions_are_refused(library, source):
    """A file that carries the family's code but does not name both functions is refused, and says why."""
    path = library(source)
    reason = "stripped, and OpenSSL's functions are not proven by its code: 0 functions, not one, report errors as SSL_read"
    assert examine(PROBE, image(path)) == Refused(path, f"/inside/{path.name}", reason)


def test_finders(library):
    """On such a file finders are tried in turn: the first proof counts, and without one every reason is told."""

    def proves(elf):
        return {name: Symbol(name, 16, 8, 16) for name in PROBE.required}

    def doubts(elf):
        raise PellucidError(f"{elf.path.name} is doubtful")

    path = library(STRIPPED)
    found = examine(replace(PROBE, finders=(doubts, proves)), image(path))
    assert (found.how, found.functions) == ("code", proves(None))
    refused = examine(replace(PROBE, finders=(doubts, doubts)), image(path))
    assert refused.reason == "libx.so is doubtful; libx.so is doubtful"


def test_finders_are_not_asked_without_a_telltale(library):
    """A file without a telltale is a stranger, and no finder takes its time."""

    def finder(elf):
        raise AssertionError

    assert examine(replace(PROBE, finders=(finder,)), image(library("int x;"))) is None


def test_telltale_between_two_pieces(library, monkeypatch):
    """A telltale is found also where a file's constants are read in two pieces and it lies in both."""
    monkeypatch.setattr("pellucid.attach.symbols._PIECE", 8)
    assert isinstance(examine(PROBE, image(library(STRIPPED))), Refused)


def test_another_kind_of_program(library):
    """A 32-bit libssl is refused by its kind; a 32-bit stranger is only left out."""
    for source, name in ((LIBRARY, "libssl.so"), ("int x;", "other.so")):
        path = library(source, name=name)
        content = bytearray(path.read_bytes())
        content[4] = 1  # EI_CLASS: ELFCLASS32
        path.write_bytes(content)
    assert "is not a 64-bit" in examine(PROBE, image(path.with_name("libssl.so"))).reason
    with pytest.raises(PellucidError, match="is not a 64-bit"):
        examine(PROBE, image(path))


def test_names_that_are_not_text(library):
    """A file whose name is not UTF-8 is shown with escapes, for everything that tells of it must be text."""
    path = library(LIBRARY, name=os.fsdecode(b"lib\xff.so"))
    found = examine(PROBE, image(path))
    assert (found.path, found.display, found.library) == (path, "/inside/lib\\xff.so", "lib\\xff.so")


# --- a named file ------------------------------------------------------------------------------------


def test_named_file(library):
    """The file that --libssl names is the target, called by its soname."""
    path = library(LIBRARY, "-Wl,-soname,libssl.so.9", name="other.so")
    status = path.stat()
    target = named(path)
    assert (target.path, target.library, target.key[:2]) == (
        path,
        "libssl.so.9",
        (status.st_dev, status.st_ino),
    )


def test_named_file_without_soname(library):
    """A file without a soname, such as a program, is called by its own name."""
    path = library(LIBRARY, name="program")
    assert named(path).library == path.name


def test_named_file_lacks_functions(library):
    """A file without the functions of OpenSSL is refused, naming what it lacks."""
    path = library("int SSL_read(void) { return 1; }")
    with pytest.raises(
        PellucidError, match=f"{path} does not define SSL_read and SSL_write: it has no OpenSSL"
    ):
        named(path)


def test_named_file_without_names(library):
    """A file that carries OpenSSL without naming its functions is refused with that reason."""
    path = library(STRIPPED)
    with pytest.raises(
        PellucidError, match=f"{path} cannot be watched: stripped, and OpenSSL's functions are not proven"
    ):
        named(path)


def test_missing_file(tmp_path):
    """A file that does not exist is refused by one line."""
    with pytest.raises(PellucidError, match=r"cannot open .*nothing: No such file"):
        named(tmp_path / "nothing")


# --- of processes, and of the system -----------------------------------------------------------------


def test_of_a_process(library, tmp_path):
    """What a process has mapped is found, under a name that says nothing, and nothing else of its files."""
    path = library(LIBRARY, name="libx-1a2b.so")
    ctypes.CDLL(str(path))
    found = [
        target for target in find_targets(PROBE, Maps(), None, os.getpid()) if target.display == str(path)
    ]
    assert [target.key.inode for target in found] == [path.stat().st_ino]


def test_of_a_process_without_any():
    """A process that maps none has no targets yet, which is no error: it may load one."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            assert find_targets(PROBE, Maps(), None, process.pid) == []
        finally:
            process.kill()


def test_no_such_process():
    """A process that does not exist is said to be missing."""
    with pytest.raises(PellucidError, match="there is no process 99999999"):
        find_targets(PROBE, Maps(), None, 99999999)


def test_installed(library, tmp_path, monkeypatch):
    """Of the linker's cache every file that defines the functions counts, once, unless it is known already."""
    path, other = library(LIBRARY, name="liba.so"), library("int x;", name="libssl.so.3")
    (tmp_path / "again.so").symlink_to(path)
    monkeypatch.setattr(targets, "installed", lambda: [path, tmp_path / "again.so", other, tmp_path / "gone"])
    assert [path] == [target.path for _, target in installed_targets(PROBE, Maps())]
    assert list(installed_targets(PROBE, Maps(), [Maps().key(path)])) == []


def test_damaged_files_are_left_out(library, monkeypatch):
    """A file that contradicts itself keeps no other from being found."""
    damaged, path = library(LIBRARY, name="damaged.so"), library(LIBRARY, name="whole.so")
    damaged.write_bytes(damaged.read_bytes()[:70] + struct.pack("<Q", 1 << 40))
    with pytest.raises(PellucidError):
        Elf(damaged)
    monkeypatch.setattr(targets, "installed", lambda: [damaged, path])
    assert [path] == [target.path for _, target in installed_targets(PROBE, Maps())]


def test_refused_files_of_a_process(library, monkeypatch, caplog):
    """A process's file that cannot be watched is told with its reason, and is no target."""
    path = library(STRIPPED, name="stripped.so")
    ctypes.CDLL(str(path))
    found = find_targets(PROBE, Maps(), None, os.getpid())
    assert all(isinstance(target, FoundTarget) for target in found)
    assert f"{path} cannot be watched: stripped, and OpenSSL's functions are not proven" in caplog.text


@pytest.mark.parametrize("compiler", ["c", "c++"])
def test_other_spellings(library, compiler):
    """MySQL's functions are found as C and as C++ name them, under the same names."""
    source = """
        struct Vio; typedef unsigned char byte; typedef unsigned long size;
        size vio_read(struct Vio *v, byte *b, size n) { return n; }
        size vio_write(struct Vio *v, const byte *b, size n) { return n; }
        void vio_delete(struct Vio *v) {}
    """
    found = examine(MYSQLD, image(library(source, language=compiler)))
    assert found.functions.keys() == {"vio_read", "vio_write", "vio_delete"}


def test_advice(library):
    """A file without the functions is refused with what to try."""
    with pytest.raises(PellucidError, match=r"does not define vio_read and vio_write.*--funcname.*--offset"):
        named_target(MYSQLD, Maps(), library("int x;"))
