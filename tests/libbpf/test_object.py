"""BPF objects before they are loaded, which needs no privilege, and the errors of loading in few words."""

from __future__ import annotations

import pytest

from pellucid.decode.btf import Btf
from pellucid.libbpf import BpfError, BpfObject
from pellucid.libbpf.object import explain
from tests.libbpf.sources import bpf_object

NULL_POINTER = """\
libbpf: prog 'uses_what_may_be_null': BPF program load failed: Permission denied
libbpf: prog 'uses_what_may_be_null': -- BEGIN PROG LOAD LOG --
0: R1=ctx() R10=fp0
; u32 key = PT_REGS_PARM1(ctx); @ refused.bpf.c:13
0: (79) r1 = *(u64 *)(r1 +112)        ; R1=scalar()
4: (18) r1 = 0xffff88810430cc00       ; R1=map_ptr(map=totals,ks=4,vs=48)
6: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=totals,ks=4,vs=48)
; sum->seen++; @ refused.bpf.c:16
7: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
libbpf: prog 'uses_what_may_be_null': failed to load: -13
libbpf: failed to load object '/tmp/kl/refused.bpf.o'
"""
"""As libbpf 1.1 gives it on Linux 6.18; a few lines in the middle are left out."""

NO_SUCH_MAP = """\
libbpf: Error in bpf_create_map_xattr(ring):Invalid argument(-22). Retrying without BTF.
libbpf: map 'ring': failed to create: Invalid argument(-22)
libbpf: failed to load object '/tmp/kl/fill.bpf.o'
"""


@pytest.fixture(scope="module")
def fill(tmp_path_factory):
    """An opened object."""
    opened = BpfObject(bpf_object("fill", tmp_path_factory.mktemp("bpf")))
    yield opened
    opened.close()


def test_the_reason_and_the_source_line():
    """From a verifier's log: what it refuses, the source line that this is about, and how much is not shown."""
    reason = "R0 invalid mem access 'map_value_or_null' ; sum->seen++; @ refused.bpf.c:16 (12 lines omitted)"

    assert explain(NULL_POINTER) == reason


def test_without_a_verifiers_log():
    """Where it was not the verifier, the last message that says more than that loading failed."""
    assert explain(NO_SUCH_MAP) == "libbpf: map 'ring': failed to create: Invalid argument(-22)"
    assert explain("libbpf: failed to load object 'x'\n") == "libbpf: failed to load object 'x'"


def test_nothing_to_explain():
    """An empty log gives words too."""
    assert explain("") == explain("\n \n") == "no reason given"


def test_types(fill):
    """The object's BTF has its structs, read without loading it."""
    assert fill.btf()[:2] == b"\x9f\xeb"  # BTF_MAGIC of linux/btf.h, little endian
    names = [member.name for member in Btf(fill.btf()).struct("totals").members]
    assert names == ["seen", "lost", "untracked", "unfollowed"]


def test_maps_before_loading(fill):
    """Size and initial content of maps can be read and set."""
    ring = fill.map("ring")
    ring.resize(1 << 16)
    mark = Btf(fill.btf()).variables(".rodata")["wake_mark"]
    area = fill.map(".rodata").initial()
    value = bytes(area[mark.offset : mark.offset + mark.size])

    assert ring.max_entries == 1 << 16
    assert int.from_bytes(value, "little") == 1 << 20
    assert fill.map("totals").value_size == 64


@pytest.mark.parametrize("kind", ["map", "program"])
def test_a_name_that_is_not_there(kind, fill):
    """The error names the object, the kind and the name."""
    with pytest.raises(BpfError, match=rf"fill\.bpf\.o has no {kind} nonsense"):
        getattr(fill, kind)("nonsense")


def test_a_file_that_is_not_there(tmp_path):
    """The error says which file, why, and what to do."""
    with pytest.raises(BpfError, match=r"missing\.bpf\.o.*No such file.*make bpf"):
        BpfObject(tmp_path / "missing.bpf.o")


def test_a_file_that_is_no_object(tmp_path):
    """Anything but ELF is refused with its reason."""
    path = tmp_path / "text.bpf.o"
    path.write_text("not an object")
    with pytest.raises(BpfError, match=r"text\.bpf\.o.*ELF"):
        BpfObject(path)
