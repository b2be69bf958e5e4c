"""Which shells are watched, and where their variables are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from pellucid.attach.images import Image, Key
from pellucid.attach.shells.find import examine, find_shells
from pellucid.attach.targets import by_symbols
from pellucid.errors import PellucidError
from pellucid.probes.shell.probe import BASH, ZSH

HERE = Path(shutil.which("bash") or "bash is missing")


class ByStat:
    """A view of files as stat(2) has them."""

    def mapped(self, pid: int | None = None) -> list[Image]:
        """Not asked for."""
        raise AssertionError(pid)

    def key(self, path: Path) -> Key:
        """Device and inode."""
        found = path.stat()
        return Key(found.st_dev, found.st_ino)


def test_installed_shells_are_found_once() -> None:
    """Without a name the installed bash is found, once, though several names lead to it."""
    found = [shell.path.stat().st_ino for shell in find_shells(BASH, ByStat(), (), None)]
    assert found.count(HERE.stat().st_ino) == 1


def test_one_file_under_two_names(tmp_path: Path) -> None:
    """A file that is named twice would tell each command twice: it is watched once."""
    link = tmp_path / "sh"
    link.symlink_to(HERE)
    (shell,) = find_shells(BASH, ByStat(), [HERE, link], None)
    assert shell.path.samefile(HERE)


def test_a_process_names_its_shell() -> None:
    """With a process its own executable is meant; one that is no shell is told by its name."""
    with pytest.raises(PellucidError, match=r"python.* does not export readline"):
        find_shells(BASH, ByStat(), (), os.getpid())


def test_shells_are_told_by_what_they_define() -> None:
    """bash is a bash under any name, and neither zsh nor another program is one."""
    images = [
        Image(Key(0, 0), Path(shutil.which(name) or name), name, ()) for name in ("bash", "zsh", "true")
    ]
    assert [bool(by_symbols(BASH.family, image)) for image in images] == [True, False, False]
    assert [bool(by_symbols(ZSH.family, image)) for image in images] == [False, True, False]


def test_variables_are_distances() -> None:
    """A variable is as far from the first executable segment as another reader of ELF files says."""
    with HERE.open("rb") as file:
        elf = ELFFile(file)
        start = min(each["p_vaddr"] for each in elf.iter_segments("PT_LOAD") if each["p_flags"] & 1)
        symbols = elf.get_section_by_name(".dynsym")
        told = {
            name: symbols.get_symbol_by_name(there)[0]["st_value"] for name, there in BASH.variables.items()
        }
    assert examine(BASH, HERE).variables == {name: value - start for name, value in told.items()}
