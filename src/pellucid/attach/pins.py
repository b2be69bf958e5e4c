"""Files held open, so that what is examined is what is attached to, whatever happens to their names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach.files import open_regular
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pellucid.attach.images import Image, Images, Key


class Pins:
    """Open files by key, until they are released."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._fds: dict[Key, int] = {}

    def pin(self, image: Image) -> Image | None:
        """The same with a path that leads to just this file; None where the old one leads to another by now.

        PellucidError where it is gone, or may not be opened.
        """
        try:
            fd = open_regular(image.path)
        except OSError as error:
            raise PellucidError(f"cannot open it: {error.strerror}") from error
        path = Path(f"/proc/self/fd/{fd}")
        if not self._leads_to(path, image.key):
            os.close(fd)
            return None
        self._fds[image.key] = fd
        return image._replace(path=path)

    def _leads_to(self, path: Path, key: Key) -> bool:
        try:
            return self._images.key(path) == key
        except PellucidError:  # it is empty by now, or no file at all
            return False

    def __contains__(self, key: Key) -> bool:
        """Whether it is held."""
        return key in self._fds

    def deleted(self, key: Key) -> bool:
        """Whether no folder has it any more: who has not got it can never map it."""
        return os.fstat(self._fds[key]).st_nlink == 0

    def release(self, key: Key) -> None:
        """Hold it no longer. Any thread may do that."""
        os.close(self._fds.pop(key))
