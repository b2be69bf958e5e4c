"""The settings of every live capture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pellucid.settings.setting import setting
from pellucid.settings.show import Show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pellucid.settings.setting import Mode

_LAST_UID = (1 << 32) - 2  # the one above means "no user" (chown(2))

_ONE_PLACE: Mapping[Mode, str] = {
    "keylog": "a secret is seen in one place only",
    "pcap": "a secret is seen in one place only",
    "shell": "what shells call is probed where it begins, always",
}


@dataclass(frozen=True)
class Capture(Show):
    """A live capture: of whom, and for how long. What is captured is each command's own."""

    probe: ClassVar[str]
    """The name of the family of libraries that is watched."""
    file_flag: ClassVar[str]
    """The flag that names `files`."""
    parsers: ClassVar[frozenset[str] | None] = None
    """The names of the protocols that are looked for; None: all."""

    pid: int | None = setting(
        "-p", "--pid", default=None, metavar="PID", least=1, help="Watch this process only."
    )
    follow: bool = setting(
        "--follow", default=False, needs=("pid", "whose descendants are meant?"),
        help="With --pid: watch its descendants too.",
    )  # fmt: skip
    uid: int | None = setting(
        "-u",
        "--uid",
        default=None,
        metavar="UID",
        most=_LAST_UID,
        help="Watch this user's programs only (a number).",
    )
    cgroup_path: Path | None = setting(
        "--cgroup_path", default=None, metavar="DIR",
        help="Watch programs in this cgroup (v2) and those below it only.",
    )  # fmt: skip
    container: str | None = setting(
        "--container", default=None, metavar="ID",
        help="Watch this container only: its id, or enough of its beginning to be the only one.",
    )  # fmt: skip
    comm: tuple[str, ...] = setting(
        "--comm", default=(), multiple=True, metavar="NAME",
        help="Watch threads, or processes, of exactly this name (15 bytes at most) only. Repeatable.",
    )  # fmt: skip
    duration: float | None = setting(
        "--duration", default=None, metavar="SECONDS", least=0.001, help="End after this time."
    )
    record: Path | None = setting(
        "--record", default=None, metavar="FILE", not_with={"pcap": "the file of -w is the recording"},
        help="Record everything for `pellucid replay`; without -o or --count only the summary is shown.",
    )  # fmt: skip
    record_limit: int = setting(
        "--record-limit",
        default=1024,
        metavar="MIB",
        least=1,
        needs=("record", "it is about the recording"),
        help="Size at which the recording ends; the capture goes on.",
    )
    ready_file: Path | None = setting(
        "--ready-file", default=None, metavar="FILE", help="Create this file once the probes are in place."
    )
    mapsize: int = setting(
        "--mapsize", default=1024, metavar="KIB",
        help="Ring size for each CPU; in all between 32 and 256 MiB.",
    )  # fmt: skip
    sites: str = setting(
        "--sites", default="auto", choices=("auto", "entry"), not_with=_ONE_PLACE,
        help="`entry`: probe the public functions only. It costs more and may see less.",
    )  # fmt: skip
    btf: str = setting(
        "-b",
        "--btf",
        default="0",
        choices=("0", "1"),
        help="Build of the kernel part: CO-RE, which both mean.",
    )
    eventaddr: str | None = setting(
        "--eventaddr", default=None, metavar="PLACE", help="The same as -o text:PLACE."
    )

    @property
    def how(self) -> str:
        """The name of the command."""
        return self.probe

    @property
    def files(self) -> tuple[Path, ...]:
        """Files to watch; none where all that there are is meant."""
        return ()

    @property
    def addresses(self) -> tuple[str, str] | None:
        """A flag and its value, which says where the functions of the only one of `files` are."""
        return None
