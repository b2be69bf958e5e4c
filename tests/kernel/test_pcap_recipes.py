"""The recipes of docs/pcap.md, run as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.kernel.networks import alone
from tests.kernel.pcaps import end, started
from tests.kernel.private import private_tls
from tests.kernel.running import Programs
from tests.kernel.servers import Nginx
from tests.shell import RECORDINGS, pellucid

pytestmark = pytest.mark.kernel

PAGE = Path(__file__).parent.parent.parent / "docs" / "pcap.md"
RECIPES = [
    line.split("  # ")[0]
    for block in re.findall(r"```sh\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Path:
    """Where save.pcapng and plain.pcapng are: of curl and nginx."""
    folder = tmp_path_factory.mktemp("recipes")
    tls = private_tls(folder, certificate)
    programs = Programs(tls)
    with alone() as network, network.entered():
        try:
            nginx = Nginx(programs, tls, folder / "nginx", http2=True)
            run = started(tls, folder, folder / "save.pcapng", "-i", "lo", "-k", str(folder / "keys.log"))
            for version in ("--http1.1", "--http2"):
                programs.run("curl", "-sk", version, f"{nginx.url}/tea")
            end(run)
        finally:
            programs.end_all()
    recording = RECORDINGS / "curl_nginx.pellucid"
    assert pellucid("replay", recording, "-o", f"pcapng:{folder}/plain.pcapng").returncode == 0
    return folder


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_has_an_answer(recipe: str, folder: Path) -> None:
    """As it stands on the page it runs without complaint, and prints or writes something."""
    before = set(folder.rglob("*"))
    done = subprocess.run(["bash", "-c", recipe], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or set(folder.rglob("*")) > before
