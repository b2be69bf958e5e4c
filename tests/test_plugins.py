"""Plug-ins: what is built in and what others install come the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pellucid import plugins
from pellucid.errors import PellucidError
from pellucid.parse.http1.parser import Http1
from pellucid.probes.openssl.probe import PROBE
from pellucid.sink.json import JsonSink
from pellucid.sink.text import TextSink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """`install(module, code, entry_points)`: what pip leaves behind of a third party's package."""

    def put(module: str, code: str, entry_points: str) -> None:
        (tmp_path / f"{module}.py").write_text(code)
        metadata = tmp_path / f"{module}-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(tmp_path)

    return put


def test_what_is_built_in() -> None:
    """Probe, parser and sinks of Pellucid itself are entry points."""
    probes = plugins.load(plugins.PROBES)
    assert list(probes) == ["mysqld", "openssl", "postgres"]
    assert probes["openssl"] is PROBE
    assert plugins.load(plugins.PARSERS)["http1"] is Http1
    sinks = plugins.load(plugins.SINKS)
    assert (sinks["json"], sinks["text"]) == (JsonSink, TextSink)


def test_a_third_partys_sink(install: Callable[[str, str, str], None]) -> None:
    """An installed package adds a format without a change here; all are sorted by name."""
    install("their_sink", "class Xml: pass", "[pellucid.sinks]\nmarkup = their_sink:Xml\n")
    found = plugins.load(plugins.SINKS)
    assert list(found) == ["har", "json", "keylog", "markup", "pcapng", "protobuf", "text"]
    assert found["markup"].__name__ == "Xml"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("raise OSError('no')", "OSError('no')"),
        ("", "has no attribute 'Xml'"),
    ],
    ids=["imports what is not there", "fails", "lacks the class"],
)
def test_one_that_cannot_be_loaded(code: str, reason: str, install: Callable[[str, str, str], None]) -> None:
    """It is one error that names the object, the group, the package and the reason."""
    module = f"broken{abs(hash(code))}"  # a module is imported once in a process
    install(module, code, f"[pellucid.sinks]\nmarkup = {module}:Xml\n")
    with pytest.raises(PellucidError) as caught:
        plugins.load(plugins.SINKS)
    assert str(caught.value).startswith(f"cannot load {module}:Xml (pellucid.sinks of {module}): ")
    assert reason in str(caught.value)
