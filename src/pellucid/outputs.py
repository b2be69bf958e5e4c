"""Opening the files that hold what was captured: private, never through a symbolic link."""

from __future__ import annotations

import errno
import os
import stat

from pellucid.errors import PellucidError
from pellucid.sink.spec import STDOUT

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


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
            os.fchown(fd, _sudo("SUDO_UID"), _sudo("SUDO_GID"))
    except OSError as error:
        raise PellucidError(f"cannot write to {place}: {_reason(error)}") from error
    return fd


def _sudo(name: str) -> int:
    """An id that sudo left in the environment, or -1, which leaves the owner as it is."""
    return int(os.environ.get(name) or -1)


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, which is not followed; name the file itself"
    return error.strerror or str(error)
