"""A page that never arrives costs only the record that needs it."""

from __future__ import annotations

import pytest

from tests.kernel.puppets import build_program, numbered
from tests.kernel.streams import shown

SIZE, PIECE, PAGE = 100_000, 16384, 4096


@pytest.mark.parametrize("hole", [0, 2 * PIECE + PAGE, SIZE // PAGE * PAGE])
def test_only_its_own_record(hole, programs, watch, fake_ssl, tmp_path):
    """With userfaultfd holding back one page, the 16 KiB around it are said to be lost; all else arrives."""
    program = build_program("missing_page", tmp_path, fake_ssl)
    run = watch()
    programs.run(program, SIZE, hole, env={"LD_LIBRARY_PATH": str(fake_ssl.parent)})
    messages = run.stop()

    lost_at = hole // PIECE * PIECE
    lost_size = min(PIECE, SIZE - lost_at)
    (lost,) = (message for message in messages if message["type"] == "lost")
    assert (lost["direction"], lost["offset"], lost["size"]) == ("write", lost_at, lost_size)
    assert lost["reason"] == "unreadable"
    assert messages[-1]["lost"] == {"unreadable": lost_size}

    whole = numbered(SIZE) + b"after\n"
    found = {
        m["offset"]: shown(m, "data") for m in messages if m["type"] == "data" and m["conn"] == lost["conn"]
    }
    expected = {at: whole[at : min(at + PIECE, SIZE)] for at in range(0, SIZE, PIECE) if at != lost_at}
    assert found == {**expected, SIZE: b"after\n"}

    others = sorted(shown(m, "data") for m in messages if m["type"] == "data" and m["conn"] != lost["conn"])
    assert others == sorted(b"thread %d line %d\n" % (t, i) for t in (1, 2, 3) for i in range(101))
