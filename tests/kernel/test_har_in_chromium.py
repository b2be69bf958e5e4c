"""HAR files in the network panel of Chromium: `make targets-big` downloads it, and imports what was captured."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.kernel.chromium import Page
from tests.kernel.running import wait_for
from tests.kernel.servers import Nginx
from tests.sink.test_har import HANDSHAKE, Har, http, request, websocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

pytestmark = pytest.mark.big

PANEL = "devtools://devtools/bundled/devtools_app.html?panel=network"
ROW = "element.tagName === 'TR' && element.classList.contains('data-grid-data-grid-node')"
OK = "element.querySelector('.status-column').textContent === '200OK'"
SUMMARY = "element.classList.contains('network-summary-bar')"
REQUESTS = 53


@pytest.fixture
def panel(programs: Programs, tmp_path: Path) -> Iterator[Page]:
    """An empty network panel."""
    page = Page(programs, tmp_path, PANEL)
    yield page
    (tmp_path / "panel.png").write_bytes(page.picture())
    page.close()


def test_a_capture_in_the_panel(
    panel: Page, tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """The panel imports the file of a capture that still runs, with as many rows as curl has made requests, twice."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    path, lines = tmp_path / "out.har", tmp_path / "out.ndjson"
    capture("-o", f"har:{path}", "-o", f"json:{lines}")
    programs.run("curl", "-sk", *[f"{nginx.url}/{number}" for number in range(REQUESTS)])
    wait_for(lambda: lines.read_text().count('"type":"http"') == 2 * REQUESTS, "all exchanges")

    panel.choose_file(path)
    (summary,) = panel.wait_for(f"{SUMMARY} && element.textContent.includes('{2 * REQUESTS} requests')")
    assert summary.startswith(f"{2 * REQUESTS} requests")
    shown = Counter(text.partition("127.0.0.1")[0] for text in panel.elements(f"{ROW} && {OK}"))
    assert shown.total() > 10
    assert shown <= Counter({str(number): 2 for number in range(REQUESTS)})


def test_websocket_messages_in_the_panel(panel: Page, tmp_path: Path) -> None:
    """Chromium shows a WebSocket's messages with direction, text and time, and binary ones with their length."""
    har = Har(tmp_path / "log.har")
    messages = (websocket("hi there"), websocket(b"\x00\xff\x01", opcode="binary", direction="read"))
    har.write(HANDSHAKE, *messages, http(conn=8, response=None), http(conn=9, request=request("/x")))

    panel.choose_file(har.path)
    panel.wait_for(f"{SUMMARY} && element.textContent.startsWith('3 requests')")
    panel.click(f"{ROW} && element.textContent.startsWith('chat')")
    panel.click("element.id === 'tab-web-socket-frames'")
    sent = panel.wait_for(f"{ROW} && element.classList.contains('resource-chunk-view-row-send')")
    received = panel.elements(f"{ROW} && element.classList.contains('resource-chunk-view-row-receive')")
    assert [text.partition("02:57:42.123")[0] for text in sent] == ["hi there8"]
    assert [text.partition("02:57:42.123")[0] for text in received] == ["Binary message3\xa0B"]
