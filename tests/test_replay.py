"""Recordings of every victim: a replay, on any machine and without root, shows what the live capture showed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.recordings.make import FOLDER, SCENES, expected_of, recording_of, show

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", SCENES)
def test_replay(name: str, tmp_path: Path) -> None:
    """The replay of a recording is, byte for byte, the JSON that the live capture wrote at the same time."""
    show(recording_of(name), tmp_path / "events.ndjson")
    assert (tmp_path / "events.ndjson").read_bytes() == expected_of(name).read_bytes()


def test_each_scene_is_recorded() -> None:
    """Every victim and scene has its recording and its expectation, and nothing else lies about."""
    kept = {path.name for path in FOLDER.iterdir() if path.suffix in {".pellucid", ".ndjson"}}
    assert kept == {path.name for name in SCENES for path in (recording_of(name), expected_of(name))}
