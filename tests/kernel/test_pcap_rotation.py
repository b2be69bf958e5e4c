"""A connection that crosses a rotation: what docs/pcap.md says of its files."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel.networks import alone
from tests.kernel.pcaps import end, started
from tests.kernel.private import private_tls
from tests.kernel.running import Programs
from tests.kernel.servers import Nginx
from tests.wireshark import fields

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel


def test_a_connection_across_a_rotation(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """Its second request is encrypted in the second file alone, and plain where mergecap has put both together."""
    tls = private_tls(tmp_path, certificate)
    programs = Programs(tls)
    save, both = tmp_path / "save.pcapng", tmp_path / "all.pcapng"
    with alone() as network, network.entered():
        try:
            nginx = Nginx(programs, tls, tmp_path / "nginx")
            run = started(tls, tmp_path, save, "-i", "lo", "--rotate-time", "1")
            programs.run(
                "curl", "-sk", "--http1.1", "--rate", "30/m", f"{nginx.url}/tea", f"{nginx.url}/milk"
            )
            end(run)
        finally:
            programs.end_all()
    earlier = sorted(tmp_path.glob("save-*.pcapng"))
    assert earlier
    subprocess.run(["mergecap", "-w", both, save, *earlier], check=True)
    requests = [fields(file, "http.request.uri", only="http.request") for file in (earlier[0], save, both)]
    assert requests == [[["/tea"]], [], [["/tea"], ["/milk"]]]
