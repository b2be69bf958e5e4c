"""A file that a stranger has named is opened only if it is a regular one."""

import ctypes
import os
from pathlib import Path

import pytest

from pellucid.attach.files import open_regular
from pellucid.attach.images import Image, Key
from pellucid.attach.pins import Pins
from pellucid.attach.symbols import Elf
from pellucid.attach.targets import named_target
from pellucid.errors import PellucidError
from pellucid.plugins import PROBES, load

LIBC = ctypes.CDLL(None, use_errno=True)
IN_OPEN = 0x20


@pytest.fixture
def openings(tmp_path):
    """A function that tells whether anything in the test's folder was opened since it was asked last."""
    notes = LIBC.inotify_init1(os.O_NONBLOCK)
    assert LIBC.inotify_add_watch(notes, os.fsencode(tmp_path), IN_OPEN) > 0

    def opened():
        try:
            return bool(os.read(notes, 4096))
        except BlockingIOError:
            return False

    yield opened
    os.close(notes)


def descriptors():
    return len([*Path("/proc/self/fd").iterdir()])


def pin(path):
    Pins(images=None).pin(Image(Key(1, 2), path, str(path), ()))


def name_it(path):
    named_target(load(PROBES)["openssl"], None, path)


@pytest.mark.parametrize("look", [open_regular, Elf, pin, name_it])
@pytest.mark.parametrize("by_link", [False, True])
def test_a_pipe_is_not_opened(look, by_link, openings, tmp_path):
    """A pipe, or a link to one, is refused by everybody who opens files, and is not opened for it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    if by_link:
        path = tmp_path / "link"
        path.symlink_to("pipe")
    with pytest.raises((OSError, PellucidError), match="not a regular file"):
        look(path)
    assert not openings()
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    assert openings()


def test_what_was_looked_at_is_opened(openings, tmp_path):
    """A regular file is opened once, also by a link, and no descriptor but the one that is returned stays."""
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to("file")
    before = descriptors()
    fd = open_regular(tmp_path / "link")
    assert (os.read(fd, 100), openings(), descriptors()) == (b"content", True, before + 1)
    os.close(fd)
