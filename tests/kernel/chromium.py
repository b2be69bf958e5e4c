"""Headless Chromium, driven as a person would: pages opened, files chosen, rows clicked, and what is there then read.

It speaks the DevTools protocol over two pipes (--remote-debugging-pipe): JSON objects with a zero byte after each.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

from tests.kernel import packages
from tests.kernel.running import wait_for

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.kernel.running import Programs

PACKAGES = ("chromium", "chromium-common", "libopenh264-7", "libdouble-conversion3", "libharfbuzz-subset0",
            "libpulse0", "libflac12", "libsndfile1", "libxnvctrl0", "libminizip1", "libopenjp2-7", "libasyncns0",
            "libvorbisenc2", "libvorbis0a", "libogg0", "libopus0", "libmpg123-0", "libmp3lame0")  # fmt: skip
"""With libraries that only desktops have."""

# The shell puts our ends of the pipes where Chromium expects them.
_PIPES = 'exec 3<&"$0" 4>&"$1"; shift; exec "$@"'

# Panels are made of shadow trees, which querySelectorAll does not enter.
_ALL = """(() => {
    const found = [];
    const visit = root => root.querySelectorAll('*').forEach(element => {
        found.push(element);
        if (element.shadowRoot) visit(element.shadowRoot);
    });
    visit(document);
    return found;
})()"""


def program() -> tuple[Path, dict[str, str]]:
    """Chromium's executable and the environment that it runs in; downloaded where it is not there yet."""
    folder = packages.debian(*PACKAGES)
    libraries = folder / "usr/lib/x86_64-linux-gnu"
    env = {**os.environ, "LD_LIBRARY_PATH": f"{libraries}:{libraries / 'pulseaudio'}"}
    return folder / "usr/lib/chromium/chromium", env


class Page:
    """One page of a Chromium of its own, with a new profile below `folder`."""

    def __init__(self, programs: Programs, folder: Path, url: str) -> None:
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        self._read = b""
        self._calls = 0
        self._session: str | None = None
        self._process = self._start(programs, folder, (theirs_in, theirs_out))
        os.close(theirs_in)
        os.close(theirs_out)
        target = self._call("Target.createTarget", url=url)["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def _start(self, programs: Programs, folder: Path, pipes: tuple[int, int]) -> subprocess.Popen[bytes]:
        executable, env = program()
        flags = (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--window-size=1400,900",
        )
        words = ("--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank")
        shell = ("bash", "-c", _PIPES, *map(str, pipes), executable)
        return programs.start(*shell, *flags, *words, pass_fds=pipes, env=env)

    def close(self) -> None:
        """End the browser with its processes."""
        self._session = None
        self._call("Browser.close")
        os.close(self._to)
        os.close(self._from)
        self._process.wait(10)

    def elements(self, condition: str, value: str = "element.textContent") -> list[Any]:
        """`value` of all elements that fulfil a condition on `element`, both in JavaScript."""
        script = f"{_ALL}.filter(element => {condition}).map(element => {value})"
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        values = answer["result"]["value"]
        assert isinstance(values, list)
        return values

    def wait_for(self, condition: str, value: str = "element.textContent") -> list[Any]:
        """The same, once there are any."""
        found = wait_for(lambda: self.elements(condition, value), f"an element with {condition}")
        assert isinstance(found, list)
        return found

    def choose_file(self, path: Path) -> None:
        """Choose a file where the page asks for one."""
        chooser = "element.tagName === 'INPUT' && element.type === 'file'"
        self.wait_for(chooser)
        script = f"{_ALL}.find(element => {chooser})"
        found = self._call("Runtime.evaluate", expression=script)["result"]["objectId"]
        self._call("DOM.setFileInputFiles", files=[str(path)], objectId=found)

    def click(self, condition: str) -> None:
        """Click on the left end of the first element that fulfils a condition."""
        corner = "(({x, y, height}) => [x + 10, y + height / 2])(element.getBoundingClientRect())"
        x, y = self.wait_for(condition, corner)[0]
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self) -> bytes:
        """What it looks like: a PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot")["data"])

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._calls:
            pass  # events, which nobody asked for
        assert "error" not in answer, answer
        result = answer["result"]
        assert isinstance(result, dict)
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            piece = os.read(self._from, 65536)
            assert piece, "Chromium ended"
            self._read += piece
        message, _, self._read = self._read.partition(b"\0")
        parsed = json.loads(message)
        assert isinstance(parsed, dict)
        return parsed
