"""Opening the files that hold what was captured: private, never through a symbolic link."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.sink.spec import STDOUT

_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""Without O_NONBLOCK, a named pipe that nobody reads would hold up the start for ever."""

_BEGINNING = 1 << 16


def open_output(
    path: str, *, place: str | None = None, directory: int | None = None, new: bool = False
) -> int:
    """A write-only descriptor for a sink's place: for stdout where it is `-`, else for the file.

    A regular file keeps what it holds until `empty_output`. It gets mode 0600, and belongs to the user
    behind sudo. One that another user owns, or that has other names, is refused with PellucidError, as
    is everything that cannot be opened, and with `new` everything that is there already. With `directory`,
    a descriptor, the path begins there; `place` is what messages then call it.
    """
    place = place or path
    try:
        fd = write_only(1) if place == STDOUT else _open_file(path, place, directory, new=new)
        os.set_blocking(fd, True)
    except OSError as error:
        raise PellucidError(f"cannot write to {name_of(place)}: {_reason(error)}") from error
    return fd


def empty_output(fd: int) -> None:
    """Remove what an earlier run left in a regular file; stdout is the shell's to empty (`>>`)."""
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and not os.path.samestat(status, os.fstat(1)):
        os.ftruncate(fd, 0)


def end_line(fd: int) -> None:
    """End the last line of a regular file that was cut short there: what is appended is to be a line of its own."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return
    with Path(f"/proc/self/fd/{fd}").open("rb") as file:  # the descriptor itself cannot be read
        ended = os.pread(file.fileno(), 1, status.st_size - 1) == b"\n"
    if not ended:
        os.write(fd, b"\n")


def beginning_of(path: str) -> bytes:
    """Up to 64 KiB of what a regular file holds; none of what is no such file, or cannot be read: opening it tells why."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return b""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return b""
    with os.fdopen(fd, "rb") as file:
        return file.read(_BEGINNING)


def name_of(place: str) -> str:
    """What messages call a sink's place."""
    return "stdout" if place == STDOUT else place


def write_only(fd: int) -> int:
    """A duplicate of a standard stream, through which a terminal cannot be read; OSError if it is not writable.

    A login's terminal is one file, open for both, at all three streams: whoever holds stdout could read
    what is typed. Through /proc the same terminal is opened anew.
    """
    access = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    if access == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if access == os.O_WRONLY or not os.isatty(fd):
        return os.dup(fd)
    try:
        return os.open(f"/proc/self/fd/{fd}", _FLAGS & ~os.O_NOFOLLOW)
    except OSError:
        if os.geteuid() == 0:
            raise
        return os.dup(fd)  # after `su` it is another user's terminal; and what is typed is no secret to them


def _open_file(path: str, place: str, directory: int | None, *, new: bool) -> int:
    """Open, or make, a file that is then private if it is a regular one."""
    try:
        fd = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
    except FileExistsError:
        if new:
            raise
        fd = os.open(path, _FLAGS, dir_fd=directory)
        _refuse_shared(fd, place)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        os.fchmod(fd, 0o600)
        if os.geteuid() == 0:
            os.fchown(fd, _sudo("SUDO_UID"), _sudo("SUDO_GID"))
    return fd


def _refuse_shared(fd: int, place: str) -> None:
    """Others may hold an existing file open, or have it by another name: its mode cannot take that back."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return
    owners = {os.geteuid()} | ({_sudo("SUDO_UID")} if os.geteuid() == 0 else set())
    if status.st_uid not in owners:
        os.close(fd)
        raise PellucidError(
            f"cannot write to {place}: it belongs to another user (uid {status.st_uid}); remove it first"
        )
    if status.st_nlink > 1:
        os.close(fd)
        raise PellucidError(f"cannot write to {place}: it has other names (hard links); remove it first")


def _sudo(name: str) -> int:
    """An id that sudo left in the environment, or -1, which leaves the owner as it is."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else -1


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, which is not followed; name the file itself"
    if error.errno == errno.ENXIO:
        return "it is a named pipe that nobody reads; start its reader first"
    if error.errno == errno.EBADF:
        return "it is closed"
    return error.strerror or str(error)
