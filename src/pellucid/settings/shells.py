"""The settings of `pellucid bash` and `zsh`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.settings.capture import Capture
from pellucid.settings.setting import setting

if TYPE_CHECKING:
    from pellucid.settings.setting import Mode


@dataclass(frozen=True)
class Shell(Capture):
    """A live capture of what is typed into shells."""

    errnumber: int | None = setting(
        "-e", "--errnumber", default=None, metavar="N", most=255,
        help="Show commands that ended with this exit status only, and those whose end was lost.",
    )  # fmt: skip
    commands: bool = setting(
        "--commands", default=False,
        help="Show each command that a shell runs too, in scripts, pipes and -c as well: its words after expansion.",
    )  # fmt: skip

    @property
    def mode(self) -> Mode:
        """Shells."""
        return "shell"


@dataclass(frozen=True)
class Bash(Shell):
    """`pellucid bash`."""

    probe = "bash"
    file_flag = "--bash"
    parsers = frozenset()

    bash: tuple[Path, ...] = setting(
        "--bash", default=(), multiple=True, metavar="FILE",
        help="Watch this bash. Repeatable. [default: all that are installed or run]",
    )  # fmt: skip
    readlineso: Path | None = setting(
        "--readlineso", default=None, metavar="FILE",
        help="Accepted and not needed: what bash calls in libreadline.so is found in bash.",
    )  # fmt: skip

    @property
    def files(self) -> tuple[Path, ...]:
        """What `--bash` names."""
        return self.bash


@dataclass(frozen=True)
class Zsh(Shell):
    """`pellucid zsh`."""

    probe = "zsh"
    file_flag = "--zsh"
    parsers = frozenset()

    zsh: tuple[Path, ...] = setting(
        "--zsh", default=(), multiple=True, metavar="FILE",
        help="Watch this zsh. Repeatable. [default: all that are installed or run]",
    )  # fmt: skip

    @property
    def files(self) -> tuple[Path, ...]:
        """What `--zsh` names."""
        return self.zsh
