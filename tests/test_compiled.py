"""The wheel's hot path is compiled, and what it replaces is still there (`make compiled`)."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from compiled import MODULES

import pellucid
from tests.recordings.make import expected_of, recording_of

pytestmark = pytest.mark.compiled

OURS, OTHER = EXTENSION_SUFFIXES[0], ".cpython-300-another.so"

REPLAY = """
import sys
from pathlib import Path
from pellucid.replaying import replay
from pellucid.settings import Show
replay(Path(sys.argv[1]), Show(output=("json:" + sys.argv[2],)))
print(sys.modules["pellucid.parse.http2.parser"].__file__)
"""


@pytest.mark.parametrize("module", MODULES)
def test_what_is_compiled(module):
    """Each module of the list is an extension module, and its source lies beside it."""
    path = Path(importlib.import_module(f"pellucid.{module.replace('/', '.')}").__file__)
    assert path.name.endswith(OURS)
    assert path.with_name(path.name.removesuffix(OURS) + ".py").is_file()


def test_another_python(tmp_path):
    """Where the extension modules are for another Python, the sources run, and show the same."""
    package = tmp_path / "pellucid"
    shutil.copytree(Path(pellucid.__file__).parent, package)
    compiled = list(package.rglob(f"*{OURS}"))
    assert len(compiled) == len(MODULES)
    for path in compiled:
        path.rename(path.with_name(path.name.replace(OURS, OTHER)))
    shown = tmp_path / "events.ndjson"
    words = [sys.executable, "-c", REPLAY, recording_of("curl_nginx_http2"), shown]
    run = subprocess.run(
        words, env={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == str(package / "parse" / "http2" / "parser.py")
    assert shown.read_bytes() == expected_of("curl_nginx_http2").read_bytes()
