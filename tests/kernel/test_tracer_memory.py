"""What the tracer takes of `--memory` for itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from pellucid.memory import TRACER
from tests.kernel.running import wait_for

CONTENTS = 50
FROM_THE_FORK = """
from pathlib import Path
from pellucid import memory, tracer
begin = tracer.Tracer.begin
def measured(*words):
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak counts from here
    Path({path!r}).write_text(str(memory.this_process()))
    begin(*words)
tracer.Tracer.begin = measured
"""
LOAD = "import ctypes, sys; [ctypes.CDLL(path) for path in sys.argv[1:]]; print(flush=True); input()"


def test_many_libraries(everything, tls, tmp_path):
    """With 50 libraries of different content, that programs begin to use, the tracer takes no more
    than what is set aside for it.
    """
    before = tmp_path / "before"
    libraries = [tls.libssl.with_name(f"lib{number}.so") for number in range(CONTENTS)]
    for number, library in enumerate(libraries):
        shutil.copy(tls.libssl, library)
        with library.open("ab") as file:
            file.write(b"%d" % number)

    def act(programs, capture):
        programs.start(sys.executable, "-c", LOAD, *libraries, stdin=subprocess.PIPE)
        wait_for(lambda: capture.log.read_text().count(" too\n") >= CONTENTS, "all to be watched")
        status = Path(f"/proc/{capture.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    peak, messages = everything(act, patch=FROM_THE_FORK.format(path=str(before)))
    assert messages[-1]["targets"] >= CONTENTS
    assert peak - int(before.read_text()) <= TRACER
