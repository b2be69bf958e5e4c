"""Opening a file that somebody else has named.

A path may lead to a device or a pipe by the time that it is opened: a program names it as it likes in its own
mounts, and a symbolic link changes between a look and the opening. To open some of these does something: a
watchdog starts, a writer that waits for a reader goes on. So the file is fixed first, and opened last.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_regular(path: Path) -> int:
    """A descriptor to read a regular file. OSError where it may not be read, or is of another kind.

    Nothing else is ever opened: O_PATH (open(2)) only takes hold of a file, and /proc/self/fd leads back to it.
    """
    held = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(held).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        # O_NONBLOCK: or a file that somebody has a lease on (fcntl(2)) would have to be waited for.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        return os.open(f"/proc/self/fd/{held}", flags)
    finally:
        os.close(held)
