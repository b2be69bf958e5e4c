"""Opening the files that hold what was captured: private, never through a symbolic link."""

from __future__ import annotations

import errno
import os
import stat

from pellucid.errors import PellucidError
from pellucid.sink.spec import STDOUT

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Without O_NONBLOCK, a named pipe that nobody reads would hold up the start for ever."""


def open_output(place: str) -> int:
    """A descriptor for a sink's place: a duplicate of stdout for `-`, else the file, emptied.

    A regular file gets mode 0600, and belongs to the user behind sudo.
    """
    if place == STDOUT:
        return os.dup(1)
    try:
        fd = os.open(place, _FLAGS, 0o600)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.fchmod(fd, 0o600)
            if os.geteuid() == 0:
                os.fchown(fd, _sudo("SUDO_UID"), _sudo("SUDO_GID"))
        os.set_blocking(fd, True)
    except OSError as error:
        raise PellucidError(f"cannot write to {place}: {_reason(error)}") from error
    return fd


def _sudo(name: str) -> int:
    """An id that sudo left in the environment, or -1, which leaves the owner as it is."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else -1


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, which is not followed; name the file itself"
    if error.errno == errno.ENXIO:
        return "it is a named pipe that nobody reads; start its reader first"
    return error.strerror or str(error)
