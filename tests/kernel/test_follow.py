"""`--follow`: a process and whoever descends from it, from the first call on, and nobody else."""

from __future__ import annotations

import subprocess
from collections import Counter

from tests.kernel.running import PATIENCE, http
from tests.kernel.servers import Nginx
from tests.kernel.test_filters import heard
from tests.shell import only_line, pellucid

FORKS = 100

STORM = f"""
import os
def child(number):
    write(1, b"NAME child %d" % number)
    if os.fork() == 0:
        write(1, b"NAME grandchild %d" % number)
        os._exit(0)
    os._exit(0)
for number in range({FORKS}):
    os.fork() or child(number)
for number in range({FORKS}):
    os.wait()
"""


def said(messages):
    """How often each text was captured."""
    return Counter(message["data"] for message in messages if message["type"] == "data")


def test_first_writes_of_children(puppet, watch):
    """Of 100 children that write as soon as they are, and of theirs, every write is seen; of a stranger's none."""
    wanted, stranger = puppet(STORM.replace("NAME", "wanted")), puppet(STORM.replace("NAME", "strange"))
    run = watch("--pid", str(wanted.pid), "--follow")
    stranger.go_on()
    wanted.end()
    stranger.process.wait()
    messages = run.ended()

    kin = ("child", "grandchild")
    assert said(messages) == Counter(f"wanted {who} {number}" for who in kin for number in range(FORKS))
    assert len(heard(messages)) == 2 * FORKS


PROGRAM = "from puppet import *; write(1, b'another program')"
EXEC = f"""
import subprocess, sys
for _ in range(3):
    subprocess.run([sys.executable, "-c", {PROGRAM!r}], check=True)
"""


def test_other_programs(puppet, watch):
    """A child that runs another program, which loads the library by itself, is followed."""
    parent = puppet(EXEC)
    run = watch("--pid", str(parent.pid), "--follow")
    parent.end()

    assert said(run.ended()) == {"another program": 3}


OLD = """
import os
held, holds = os.pipe()
def when_it_is_closed(text):
    os.close(holds)
    os.read(held, 1)
    write(1, text)
if os.fork() == 0:
    if os.fork() == 0:
        when_it_is_closed(b"old grandchild")
        os._exit(0)
    print("made", flush=True)
    when_it_is_closed(b"old child")
    os._exit(0)
pause("parent")
if os.fork() == 0:
    if os.fork() == 0:
        when_it_is_closed(b"orphan")
        if os.fork() == 0:
            write(1, b"child of an orphan")
        os._exit(0)
    os._exit(0)
os.wait()
"""


def test_descendants_that_exist_and_orphans(puppet, watch):
    """Who descends at the start is followed; who loses its parents stays so, and the capture ends with the last."""
    parent = puppet(OLD)
    parent.go_on()
    assert {parent.said(), parent.said()} == {"parent", "made"}
    run = watch("--pid", str(parent.pid), "--follow")
    parent.end()  # and with it the pipe that all others wait for

    texts = ["old child", "old grandchild", "orphan", "child of an orphan"]
    assert said(run.ended()) == Counter(texts)
    assert "all its descendants have ended" in run.log.read_text()


def test_children_that_are_not_watched(puppet, watch):
    """Without `--follow` the log says at the start that there are children, for servers often work in these."""
    parent = puppet(OLD)
    parent.go_on()
    assert {parent.said(), parent.said()} == {"parent", "made"}
    run = watch("--pid", str(parent.pid))
    parent.end()
    run.ended()

    assert f"process {parent.pid} has 1 child, which is not watched: add --follow" in run.log.read_text()


def test_threads_are_no_processes(puppet, watch):
    """Threads of a followed process are followed, and their ends are not the end of the process."""
    program = puppet("""
import threading
for number in range(3):
    thread = threading.Thread(target=write, args=(number + 1, b"thread %d" % number))
    thread.start()
    thread.join()
write(9, b"and still there")
""")
    run = watch("--pid", str(program.pid), "--follow")
    program.end()

    assert said(run.ended()) == Counter(["thread 0", "thread 1", "thread 2", "and still there"])


CURLS = 30


def test_curl_of_a_shell(tls, programs, capture, tmp_path):
    """Each curl that a shell starts is seen with its only request, as nginx's log has it; another shell's is not."""
    (tmp_path / "nginx").mkdir()
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    loop = f"read go; for n in $(seq {CURLS}); do curl -sk -o /dev/null {nginx.url}/$0/$n & done; wait"
    wanted, other = (
        programs.start("sh", "-c", loop, name, stdin=subprocess.PIPE) for name in ("wanted", "other")
    )
    run = capture("--pid", str(wanted.pid), "--follow")
    for shell in (other, wanted):
        shell.communicate(b"go\n", PATIENCE)
    messages = run.ended()

    told = {(f"127.0.0.1:{line.port}", line.path) for line in nginx.stop() if line.path.startswith("/wanted")}
    assert len(told) == CURLS
    assert {(one["src"], one["request"]["url"]) for one in http(messages)} == told
    assert len(http(messages)) == CURLS
    assert messages[-1]["lost"] == {}


ROOM_FOR_THREE = """
from pellucid.attach.filters import Filter
size_maps = Filter.size_maps
Filter.size_maps = lambda self, bpf: (size_maps(self, bpf), bpf.map("followed").resize(3))
"""


def test_more_processes_than_can_be_followed(puppet, watch):
    """A child for which there is no room is said: its bytes are not seen, and not known."""
    parent = puppet("""
import os
held, holds = os.pipe()
for number in range(3):
    if os.fork() == 0:
        os.close(holds)
        os.read(held, 1)
        write(1, b"child %d" % number)
        os._exit(0)
""")
    run = watch("--pid", str(parent.pid), "--follow", patch=ROOM_FOR_THREE)
    parent.end()
    messages = run.ended()

    assert said(messages) == Counter(["child 0", "child 1"])
    assert messages[-1]["lost"] == {"unfollowed_forks": 1}


def test_errors(fake_ssl):
    """`--follow` without a process, or with one that is not there, is one line."""
    alone = pellucid("tls", "--libssl", fake_ssl, "--follow")
    assert only_line(alone, 2) == "--follow needs --pid: whose descendants are meant?"
    nobody = pellucid("tls", "--libssl", fake_ssl, "--follow", "--pid", str(2**22 + 1))
    assert only_line(nobody, 1) == f"there is no process {2**22 + 1}"
