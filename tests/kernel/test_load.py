"""What the kernel refuses, said in one line that names what to look at."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pellucid.libbpf import BpfError, BpfObject
from tests.libbpf.sources import bpf_object

REASONS = {
    "uses_what_may_be_null": r"map_value_or_null' ; sum->seen\+\+;",
    "keeps_a_record": r"(reference leak|[Uu]nreleased reference)",
    "reads_a_missing_field": r"(no_such_field|invalid func unknown)",
}


@pytest.mark.parametrize("name", REASONS)
def test_the_verifiers_reason(name, tmp_path):
    """The error has the verifier's reason and the line of C it is about, not its whole log."""
    refused = BpfObject(bpf_object("refused", tmp_path))
    for other in REASONS.keys() - {name}:
        refused.program(other).disable()
    with pytest.raises(BpfError, match=REASONS[name]) as caught:
        refused.load()
    refused.close()

    assert "refused.bpf.o" in str(caught.value)
    assert "lines omitted" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_a_map_that_cannot_be(tmp_path):
    """When it is a map that fails, the error names the map."""
    fill = BpfObject(bpf_object("fill", tmp_path))
    fill.map("holds").resize(0)
    with pytest.raises(BpfError, match=r"map 'holds'.*Invalid argument"):
        fill.load()
    fill.close()


def test_without_privileges(tmp_path):
    """A user without privileges is told what is missing."""
    program = (
        "import os, sys; from pathlib import Path; from pellucid.libbpf import BpfError, BpfObject\n"
        "opened = BpfObject(Path(sys.argv[1])); os.setresuid(65534, 65534, 65534)\n"
        "try: opened.load()\nexcept BpfError as error: print(error)"
    )
    path = bpf_object("fill", tmp_path)
    told = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True)

    assert told.stdout == "cannot load fill.bpf.o: not permitted; run as root (see pellucid doctor)\n"
    assert os.geteuid() == 0
