"""`pellucid targets`: what it says of files, and its exit status."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from pellucid import inventory
from pellucid.attach.maps import Maps
from pellucid.attach.sites import Site
from pellucid.container import container_of
from pellucid.errors import PellucidError
from pellucid.inventory import Process, Row, report
from pellucid.model import Direction
from pellucid.sink.style import painter

LIBRARY = """
int SSL_read(void) { return 1; } int SSL_write(void) { return 2; } int SSL_set_fd(void) { return 3; }
int SSL_sendfile(void) { return 4; } const char *version(void) { return "OpenSSL 3.0.0 7 Sep 2021"; }
"""
STRIPPED = 'const char *file(void) { return "ssl/ssl_lib.c"; }'
NGINX = [Process(10 + number, "nginx", None) for number in range(7)]
READ = Site("ssl_read_internal", 16, Direction.READ, 0, 1, 2, 3, "inner", emulated=True)
WRITE = Site("SSL_write", 32, Direction.WRITE, 0, 1, 2, None, "entry", emulated=False, reason="no proof")
WATCHED = Row(
    "/lib/libssl.so.3", "libssl.so.3", "OpenSSL 3.0.0", NGINX, "symbols", [READ, WRITE], ["socket calls"]
)
REFUSED = Row("/app/bun", "bun", "BoringSSL", [Process(9, "bun", "c0ffee")], why_not="it is stripped")


@pytest.fixture(autouse=True)
def unprivileged_view(monkeypatch):
    """These tests look as an ordinary user does, whoever runs them."""
    monkeypatch.setattr(inventory, "_view", lambda: nullcontext(Maps()))


def text(*rows):
    return "\n".join(report(rows, painter(color=False)))


def listed(capfd, *files, pid=None):
    """The exit status and the rows of `targets --json`."""
    status = inventory.run(files, pid, as_json=True)
    return status, [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_table():
    """Each file has its users, its sites with their cost and why they are no better, or why not at all."""
    assert text(WATCHED, REFUSED) == (
        "libssl.so.3  OpenSSL 3.0.0\n"
        "  path       /lib/libssl.so.3\n"
        "  used by    nginx 10, nginx 11, nginx 12, nginx 13, nginx 14 and 2 more\n"
        "  found by   its symbols\n"
        "  read       inner ssl_read_internal, emulated\n"
        "  write      entry SSL_write, single-stepped\n"
        "             no proof\n"
        "  shows      text\n"
        "  addresses  by socket calls\n"
        "\n"
        "bun  BoringSSL\n"
        "  path       /app/bun\n"
        "  used by    bun 9\n"
        "  container  c0ffee\n"
        "  why not    it is stripped\n"
        "\n"
        "1 can be watched, 1 cannot"
    )


def test_empty_table():
    """Where there is nothing, the line says what to do."""
    assert text() == "nothing found: name a library, or a program with one inside, with --libssl"


def test_control_characters_are_shown_as_escapes():
    """A process chooses its name and its paths: they cannot move the cursor."""
    row = Row("/tmp/\x1b[2J", "x\n", None, [Process(1, "\x1b[31m", None)], why_not="it\x07")
    assert not set(text(row)) & {"\x1b", "\x07"}
    assert "\\x1b[31m 1" in text(row)


def test_a_library_of_this_process(library, capfd):
    """A file is listed with its version, its users by pid, name and container, its sites, and what is not seen."""
    path = library(LIBRARY, name="libx.so")
    ctypes.CDLL(str(path))
    status, rows = listed(capfd, pid=os.getpid())
    [row] = [row for row in rows if row["path"] == str(path)]
    comm, cgroup = (Path("/proc/self", name).read_text() for name in ("comm", "cgroup"))
    me = {"pid": os.getpid(), "comm": comm.strip(), "container": container_of(cgroup)}
    sites = [(site["direction"], site["symbol"], site["kind"]) for site in row.pop("sites")]
    assert status == 0
    assert sites == [("read", "SSL_read", "entry"), ("write", "SSL_write", "entry")]
    assert row == {
        "path": str(path),
        "library": "libx.so",
        "version": "OpenSSL 3.0.0 7 Sep 2021",
        "how": "symbols",
        "why_not": None,
        "processes": [me],
        "command": "tls",
        "captures": {"text": True, "addresses": ["socket calls", "SSL_set_fd"], "session": [], "keys": None},
        "why_no_keys": "no secrets can be had: it writes no key log, or not as OpenSSL and BoringSSL do",
        "unseen": ["SSL_sendfile"],
    }


def test_a_refused_file_of_this_process(library, capfd):
    """What cannot be watched is listed with the reason, and nothing that would be captured."""
    path = library(STRIPPED, name="refused.so")
    ctypes.CDLL(str(path))
    _, rows = listed(capfd, pid=os.getpid())
    [row] = [row for row in rows if row["path"] == str(path)]
    assert row["why_not"].startswith("stripped, and OpenSSL's functions are not proven by its code: ")
    assert (row["how"], row["sites"], row["captures"]) == (
        None,
        [],
        {"text": False, "addresses": [], "session": [], "keys": None},
    )


def test_named_files(library, tmp_path, capfd):
    """A file that is named is listed once, by the last of its names, though no process has it mapped."""
    path = library(LIBRARY, name="unused.so")
    (tmp_path / "link.so").symlink_to(path)
    status, rows = listed(capfd, path, path, tmp_path / "link.so")
    assert (status, [(row["path"], row["processes"]) for row in rows]) == (
        0,
        [(str(tmp_path / "link.so"), [])],
    )


def test_status_without_targets(capfd):
    """The status is 1 where nothing can be watched, and an error where there is no such process."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        assert listed(capfd, pid=process.pid) == (1, [])
    with pytest.raises(PellucidError, match="there is no process 99999999"):
        inventory.run((), 99999999, as_json=False)
