"""The settings of `pellucid tls`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pellucid.settings.capture import Capture
from pellucid.settings.setting import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pellucid.settings.setting import Mode

_MODES: Mapping[str, Mode] = {"key": "keylog", "pcapng": "pcap"}
"""Other names of two."""

_PACKETS: Mapping[Mode, str] = {"text": "say -m pcap", "keylog": "say -m pcap, which has secrets as well"}

DEFAULT_ESTABLISHED = 60.0
"""Seconds."""


@dataclass(frozen=True)
class Tls(Capture):
    """`pellucid tls`."""

    probe = "openssl"
    file_flag = "--libssl"

    libssl: tuple[Path, ...] = setting(
        "--libssl", default=(), multiple=True, metavar="FILE",
        help="Watch this library or program. Repeatable. [default: all there are]",
    )  # fmt: skip
    addr: str | None = setting(
        "--addr", default=None, metavar="NAME=ADDRESS,...",
        help="Where in the one --libssl its functions are, if it does not tell: SSL_read=0x1234,SSL_write=...",
    )  # fmt: skip
    model: str = setting(
        "-m", "--model", default="text", choices=("text", "key", "keylog", "pcap", "pcapng"),
        help="What to capture: `text` is plaintext, `keylog` (or `key`) the secrets of handshakes, `pcap` (or `pcapng`) "
        "packets with these secrets.",
    )  # fmt: skip
    keylogfile: str | None = setting(
        "-k", "--keylogfile", default=None, metavar="FILE", not_with={"text": "say -m keylog"},
        help="The same as -o keylog:FILE, with -m keylog.  [default, without -o: pellucid_openssl_key.log]",
    )  # fmt: skip
    established: float | None = setting(
        "--established", default=None, metavar="SECONDS", most=1 << 20,
        not_with={
            "text": "connections that are there already are shown anyway",
            "pcap": "what was sent before the capture cannot be decrypted",
        },
        help="With -m keylog: read the secrets of connections that are there already, as these are used in this time. "
        f"0: not at all.  [default: {DEFAULT_ESTABLISHED:g}]",
    )  # fmt: skip
    pcapfile: str | None = setting(
        "-w", "--pcapfile", default=None, metavar="FILE",
        not_with={**_PACKETS, "text": "say -m pcap, or -o pcapng:FILE for plaintext"},
        help="With -m pcap: write packets, and the secrets that decrypt them, to this file, or - for stdout.  "
        "[default: save.pcapng]",
    )  # fmt: skip
    ifname: tuple[str, ...] = setting(
        "-i", "--ifname", default=(), multiple=True, metavar="NAME,...", not_with=_PACKETS,
        help="With -m pcap: watch this network interface only. Repeatable. [default: all that are up]",
    )  # fmt: skip
    ssl_version: str | None = setting(
        "--ssl_version", default=None, metavar="TEXT", help="Accepted and not needed: no version is assumed."
    )

    @property
    def interfaces(self) -> tuple[str, ...]:
        """What `-i` names."""
        names = (name.strip() for each in self.ifname for name in each.split(","))
        return tuple(dict.fromkeys(filter(None, names)))

    @property
    def mode(self) -> Mode:
        """What `-m` says."""
        return _MODES.get(self.model) or cast("Mode", self.model)

    @property
    def how(self) -> str:
        """The flag."""
        return f"-m {self.model}"

    @property
    def packets(self) -> bool:
        """Whether packets are what is captured."""
        return self.mode == "pcap"

    @property
    def keys(self) -> bool:
        """Whether secrets of handshakes are what is captured."""
        return self.mode == "keylog"

    @property
    def files(self) -> tuple[Path, ...]:
        """What `--libssl` names."""
        return self.libssl

    @property
    def addresses(self) -> tuple[str, str] | None:
        """What `--addr` says."""
        return None if self.addr is None else ("--addr", self.addr)
