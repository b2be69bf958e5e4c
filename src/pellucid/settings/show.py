"""How messages are shown: the settings of a live capture and of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pellucid.settings.setting import setting

_MIB = 1 << 20


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
    hex: bool = setting("--hex", default=False, help="Show payloads as hex dumps.")
    tsize: int = setting(
        "-t",
        "--tsize",
        default=0,
        metavar="BYTES",
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
        "--proto", default=(), multiple=True, metavar="FILE",
        help="Show gRPC messages by the names in this .proto file or descriptor set. Repeatable.",
    )  # fmt: skip
    quiet: bool = setting(
        "--quiet", default=False, help="Text: one line a message, without headers and bodies."
    )
    headers: bool = setting("--headers", default=False, help="Text: no bodies, only what they are.")
    body: bool = setting("--body", default=False, help="Text: bodies alone, as they were sent.")
    connections: bool = setting(
        "--connections", default=False, help="Show in text when connections open and close."
    )
    count: int | None = setting(
        "--count",
        default=None,
        metavar="N",
        least=1,
        help="End after N messages: HTTP exchanges, or pieces of other data.",
    )
    port: tuple[int, ...] = setting(
        "--port", default=(), multiple=True, metavar="PORT", least=1, most=65535,
        help="Show connections with this port at either end only. Repeatable.",
    )  # fmt: skip
    host: tuple[str, ...] = setting(
        "--host", default=(), multiple=True, metavar="HOST",
        help="Show connections with this address, network (10.0.0.0/8) or host at either end only. Repeatable.",
    )  # fmt: skip
    redact: bool = setting(
        "--redact", default=False,
        help="Mask credentials in every output: passwords, tokens, cookies, keys.",
    )  # fmt: skip
    redact_sql: bool = setting(
        "--redact-sql", default=False,
        help="Mask the values in SQL as well: parameters and string literals. Implies --redact.",
    )  # fmt: skip
    redact_rules: Path | None = setting(
        "--redact-rules", default=None, metavar="FILE",
        help="Mask as well what this TOML file lists: headers, keys, patterns. Implies --redact.",
    )  # fmt: skip
    debug: bool = setting("-d", "--debug", default=False, help="Log more.")
    logaddr: str | None = setting(
        "-l", "--logaddr", default=None, metavar="PLACE",
        help="The log goes to this file and not to stderr, or to tcp:// or ws:// as well. Without -o messages go there too.",
    )  # fmt: skip

    @property
    def masks(self) -> bool:
        """Whether credentials are masked."""
        return bool(self.redact or self.redact_sql or self.redact_rules)
