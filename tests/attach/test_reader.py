"""Files that wait to be read through cost no descriptors, and none of them is forgotten."""

import threading
from pathlib import Path

import pytest
from tests.kernel.running import wait_for

from pellucid.attach import reader as module
from pellucid.attach.images import Image
from pellucid.attach.maps import Maps
from pellucid.attach.pins import Pins
from pellucid.attach.reader import Reader
from pellucid.plugins import PROBES, load

NUMBER = 200


def descriptors():
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.fixture
def images(tmp_path):
    """Files, as they are found mapped."""
    paths = [tmp_path / str(number) for number in range(NUMBER)]
    for path in paths:
        path.write_text(path.name)
    return [Image(Maps().key(path), path, str(path), ()) for path in paths]


@pytest.fixture
def examined(monkeypatch):
    """What is read in each file, once `go` is set: (the list, go)."""
    found, go = [], threading.Event()

    def by_code(_, image):
        go.wait()
        found.append(image.path.read_text())

    monkeypatch.setattr(module, "by_code", by_code)
    yield found, go
    go.set()


def test_many_wait_without_descriptors(images, examined):
    """Of 200 files at most a few are open; each is read in its turn, but one that was replaced, which is told."""
    found, go = examined
    pins = Pins(Maps())
    before = descriptors()
    reader = Reader(load(PROBES)["openssl"], pins)
    for image in images:
        reader.read(image, pins.pin(image))
    assert descriptors() - before < 20
    replaced, gone = images[-1], images[-2]
    replaced.path.rename(replaced.path.with_name("kept"))
    replaced.path.write_text("another")
    gone.path.unlink()
    go.set()
    wait_for(
        lambda: not [*reader.found()] and len(found) + len(reader.lost) == NUMBER, "the files to be read"
    )
    assert found == [str(number) for number in range(NUMBER - 2)]
    assert reader.lost == {replaced.key, gone.key}
    wait_for(
        lambda: descriptors() == before + 1, "all files to be closed, but for the reader's own descriptor"
    )
    reader.close()
