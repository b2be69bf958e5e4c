"""What nobody uses any more is left, and its room serves the next: a capture of everything may last for months."""

from __future__ import annotations

from tests.kernel.puppets import Puppet
from tests.kernel.running import wait_for

PLACES = 120
"""Room for a dozen of fake libraries at a time, and for those of the system."""

FILES = 30

QUICK = "from pellucid import tracer; tracer.TICK_MS = 50\n"
NO_PATIENCE = "from pellucid.attach import roster, retirement; roster._LOOK_S = retirement.UNUSED_S = 0\n"
SMALL = f"""
from pellucid.attach import loaded
set_constants = loaded.set_constants
def small(bpf, types, constants):
    set_constants(bpf, types, constants)
    bpf.map("points").resize({PLACES})
loaded.set_constants = small
"""

# Each file is new, and gone when the next one comes; what is written through it is its number.
TURNOVER = """
import ctypes, pathlib, shutil, _ctypes
def use(number):
    path = pathlib.Path(f"{library}.{{number}}")
    shutil.copy("{library}", path)
    plugin = ctypes.CDLL(str(path))
    pause(path)
    plugin.SSL_write(ctypes.c_void_p(number + 1), str(number).encode(), len(str(number)))
    _ctypes.dlclose(plugin._handle)
    path.unlink()
for number in range({files}):
    use(number)
pause()
write(1, b"still here")
"""


def wait_until_logged(capture, text, times=1):
    """Until the log has this text so many times."""
    wait_for(lambda: capture.log.read_text().count(text) >= times, f"the log to say: {text}")


def test_more_files_than_room(everything, fake_ssl):
    """Of files that come and go there may be any number: each is watched while it is used, and what is used
    all the time is watched all the time.
    """

    def act(programs, capture):
        script = TURNOVER.format(library=fake_ssl, files=FILES)
        with Puppet(programs, fake_ssl, script) as puppet:
            wait_until_logged(capture, f"watching {fake_ssl} (")
            for number in range(FILES):
                wait_until_logged(capture, f"watching {puppet.step()} (")
                wait_until_logged(capture, " no more", number - 6)
            puppet.step()
            puppet.end()
        return capture.log.read_text()

    log, messages = everything(act, patch=QUICK + SMALL)
    said = [message["data"] for message in messages if message["type"] == "data"]
    assert sorted(said) == sorted([*map(str, range(FILES)), "still here"])
    assert "not watched" not in log
    assert f"watching {fake_ssl} no more" not in log
    assert messages[-1]["lost"] == {}


def test_used_again(everything, fake_ssl, tmp_path):
    """A file that was left though it is still there is watched again, from then on, when somebody uses it."""
    path = tmp_path / "libfake.so"
    path.write_bytes(fake_ssl.read_bytes())

    def act(programs, capture):
        for number, word in enumerate(("one", "two"), start=1):
            with Puppet(programs, path, f"write(1, b'{word}')") as puppet:
                wait_until_logged(capture, f"watching {path} (", number)
                puppet.end()
            wait_until_logged(capture, f"watching {path} no more", number)

    _, messages = everything(act, patch=QUICK + NO_PATIENCE)
    assert [message["data"] for message in messages if message["type"] == "data"] == ["one", "two"]
