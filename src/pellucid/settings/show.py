"""How messages are shown: the settings of a live capture and of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.settings.setting import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pellucid.settings.setting import Mode

_MIB = 1 << 20

_NO_PAYLOAD: Mapping[Mode, str] = {
    "keylog": "a secret is one line, without headers and payload",
    "pcap": "packets are written as they are, and not shown",
}
_NO_CONNECTION: Mapping[Mode, str] = {
    "keylog": "a secret has no address; --pid, --uid, --comm, --cgroup_path and --container say whose are meant",
    "pcap": "say a filter, as in: tcp port 443 and host 10.0.0.1",
    "shell": "what is typed into a shell has no connection",
}
_NO_GRPC: Mapping[Mode, str] = {
    **_NO_PAYLOAD, "shell": "shells do not speak gRPC", "sql": "databases do not speak gRPC",
}  # fmt: skip
_NOT_MASKED: Mapping[Mode, str] = {
    "keylog": "it masks credentials, and nothing else is captured",
    "pcap": "packets keep every byte as it was, which nothing can mask",
}


@dataclass(frozen=True)
class Show:
    """How messages are shown: the same for a live capture and a replay."""

    output: tuple[str, ...] = setting(
        "-o", "--output", default=(), multiple=True, metavar="FORMAT:PLACE",
        help="Where messages go: text, json, har, pcapng, keylog or protobuf, to a file, - (stdout), tcp://HOST:PORT or ws://HOST:PORT. "
        "A file whose name ends in .zst is compressed. Repeatable. [default: text:-]",
    )  # fmt: skip
    rotate_size: float = setting(
        "--rotate-size", "--eventroratesize", default=0.0, metavar="MIB", most=1 << 40,
        help="Go on in a new file before one is larger than this; the older get the time into their names. 0: never.",
    )  # fmt: skip
    rotate_time: float = setting(
        "--rotate-time", "--eventroratetime", default=0.0, metavar="SECONDS", most=1 << 40,
        help="Go on in a new file with the first message after this time. 0: never.",
    )  # fmt: skip
    rotate_keep: int = setting(
        "--rotate-keep",
        default=0,
        metavar="N",
        help="Keep only the N newest of the older files. [default: all]",
    )
    hex: bool = setting(
        "--hex", default=False, not_with=_NO_PAYLOAD, for_text=True, help="Show payloads as hex dumps."
    )
    tsize: int = setting(
        "-t",
        "--tsize",
        default=0,
        metavar="BYTES",
        not_with=_NO_PAYLOAD,
        for_text=True,
        help="Cut each payload shown in text to this size.  [default: show all]",
    )
    max_body: int = setting(
        "--max-body", default=_MIB, metavar="BYTES", most=1 << 30,
        help="Bytes kept of each HTTP body; the rest is counted and hashed.",
    )  # fmt: skip
    memory: int | None = setting(
        "--memory", default=None, metavar="MIB", least=1, most=1 << 20,
        help="Both processes together take at most so much, without the ring; bodies are cut before they do.  "
        "[default: 120, or what --max-body needs]",
    )  # fmt: skip
    proto: tuple[Path, ...] = setting(
        "--proto", default=(), multiple=True, metavar="FILE", not_with=_NO_GRPC,
        help="Show gRPC messages by the names in this .proto file or descriptor set. Repeatable.",
    )  # fmt: skip
    quiet: bool = setting(
        "--quiet", default=False, not_with=_NO_PAYLOAD, for_text=True,
        help="Text: one line a message, without headers and bodies.",
    )  # fmt: skip
    headers: bool = setting(
        "--headers", default=False, not_with=_NO_PAYLOAD, for_text=True,
        help="Text: no bodies, only what they are.",
    )  # fmt: skip
    body: bool = setting(
        "--body", default=False, not_with=_NO_PAYLOAD, for_text=True,
        help="Text: bodies alone, as they were sent.",
    )  # fmt: skip
    connections: bool = setting(
        "--connections", default=False, not_with={**_NO_PAYLOAD, "shell": _NO_CONNECTION["shell"]}, for_text=True,
        help="Show in text when connections open and close.",
    )  # fmt: skip
    count: int | None = setting(
        "--count",
        default=None,
        metavar="N",
        least=1,
        not_with={"pcap": "packets are no messages; --duration ends a capture of them"},
        help="End after N messages: HTTP exchanges, or pieces of other data.",
    )
    port: tuple[int, ...] = setting(
        "--port", default=(), multiple=True, metavar="PORT", least=1, most=65535, not_with=_NO_CONNECTION,
        help="Show connections with this port at either end only. Repeatable.",
    )  # fmt: skip
    host: tuple[str, ...] = setting(
        "--host", default=(), multiple=True, metavar="HOST", not_with=_NO_CONNECTION,
        help="Show connections with this address, network (10.0.0.0/8) or host at either end only. Repeatable.",
    )  # fmt: skip
    redact: bool = setting(
        "--redact", default=False, not_with=_NOT_MASKED,
        help="Mask credentials in every output: passwords, tokens, cookies, keys.",
    )  # fmt: skip
    redact_sql: bool = setting(
        "--redact-sql", default=False, not_with=_NOT_MASKED,
        help="Mask the values in SQL as well: parameters, string literals, unclaimed bytes whole. Implies --redact.",
    )  # fmt: skip
    redact_rules: Path | None = setting(
        "--redact-rules", default=None, metavar="FILE", not_with=_NOT_MASKED,
        help="Mask as well what this TOML file lists: headers, keys, patterns. Implies --redact.",
    )  # fmt: skip
    debug: bool = setting("-d", "--debug", default=False, help="Log more.")
    logaddr: str | None = setting(
        "-l", "--logaddr", default=None, metavar="PLACE",
        help="The log goes to this file and not to stderr, or to tcp:// or ws:// as well. Without -o messages go there too.",
    )  # fmt: skip

    @property
    def mode(self) -> Mode:
        """What messages are made of."""
        return "replay"

    @property
    def how(self) -> str:
        """How the command line says that."""
        return "replay"

    @property
    def masks(self) -> bool:
        """Whether credentials are masked."""
        return bool(self.redact or self.redact_sql or self.redact_rules)
