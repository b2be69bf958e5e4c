"""Every setting, once: its type, default, flags and help. The command line is made from these classes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

_MIB = 1 << 20
_LAST_UID = (1 << 32) - 2  # the one above means "no user" (chown(2))


def setting(*flags: str, default: Any, help: str, **more: Any) -> Any:
    """A dataclass field with its flags.

    `least` and `most` in `more` are a number's bounds (else 0 and none), `choices` are all its values; the
    rest goes to click (`metavar`, `multiple` ...).
    """
    metadata = {"flags": flags, "help": help, **more}
    return dataclasses.field(default=default, metadata=metadata)


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
    follow: bool = setting("--follow", default=False, help="With --pid: watch its descendants too.")
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
        "--record", default=None, metavar="FILE",
        help="Record everything for `pellucid replay`; without -o or --count only the summary is shown.",
    )  # fmt: skip
    record_limit: int = setting(
        "--record-limit",
        default=1024,
        metavar="MIB",
        least=1,
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
        "--sites", default="auto", choices=("auto", "entry"),
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
    def files(self) -> tuple[Path, ...]:
        """Files to watch; none where all that there are is meant."""
        return ()

    @property
    def addresses(self) -> tuple[str, str] | None:
        """A flag and its value, which says where the functions of the only one of `files` are."""
        return None


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
        "-k", "--keylogfile", default=None, metavar="FILE",
        help="The same as -o keylog:FILE, with -m keylog.  [default, without -o: pellucid_openssl_key.log]",
    )  # fmt: skip
    established: float = setting(
        "--established", default=60.0, metavar="SECONDS", most=1 << 20,
        help="With -m keylog: read the secrets of connections that are there already, as these are used in this time. "
        "0: not at all.",
    )  # fmt: skip
    pcapfile: str | None = setting(
        "-w", "--pcapfile", default=None, metavar="FILE",
        help="With -m pcap: write packets, and the secrets that decrypt them, to this file, or - for stdout.  "
        "[default: save.pcapng]",
    )  # fmt: skip
    ifname: tuple[str, ...] = setting(
        "-i", "--ifname", default=(), multiple=True, metavar="NAME,...",
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
    def packets(self) -> bool:
        """Whether packets are what is captured."""
        return self.model in {"pcap", "pcapng"}

    @property
    def keys(self) -> bool:
        """Whether secrets of handshakes are what is captured."""
        return self.model in {"key", "keylog"}

    @property
    def files(self) -> tuple[Path, ...]:
        """What `--libssl` names."""
        return self.libssl

    @property
    def addresses(self) -> tuple[str, str] | None:
        """What `--addr` says."""
        return None if self.addr is None else ("--addr", self.addr)


@dataclass(frozen=True)
class Sql(Capture):
    """A live capture of what database servers are asked."""

    user: tuple[str, ...] = setting(
        "--user", default=(), multiple=True, metavar="NAME",
        help="Show commands of this user of the database only. Repeatable.",
    )  # fmt: skip
    database: tuple[str, ...] = setting(
        "--database", default=(), multiple=True, metavar="NAME",
        help="Show commands in this database only. Repeatable.",
    )  # fmt: skip
    kind: tuple[str, ...] = setting(
        "--kind", default=(), multiple=True, metavar="KIND",
        help="Show commands of this kind only: query, execute, prepare, connect ... Repeatable.",
    )  # fmt: skip
    slower_than: float | None = setting(
        "--slower-than", default=None, metavar="MS", help="Show commands that took at least so long only."
    )
    fingerprint: bool = setting(
        "--fingerprint", default=False,
        help="At the end say how often queries that differ in their values only came, and what they took.",
    )  # fmt: skip
    funcname: str | None = setting(
        "-f", "--funcname", default=None, metavar="NAME=SYMBOL,...",
        help="How the one server that is named calls the functions that are probed, where it is not by their names.",
    )  # fmt: skip
    offset: str | None = setting(
        "--offset", default=None, metavar="NAME=ADDRESS,...",
        help="Where in the one server that is named the functions are, if it does not tell: vio_read=0x1234,vio_write=...",
    )  # fmt: skip

    @property
    def addresses(self) -> tuple[str, str] | None:
        """What `--offset` says."""
        return None if self.offset is None else ("--offset", self.offset)


@dataclass(frozen=True)
class Postgres(Sql):
    """`pellucid postgres`."""

    probe = "postgres"
    file_flag = "--postgres"
    parsers = frozenset({"postgres"})

    postgres: tuple[Path, ...] = setting(
        "-m", "--postgres", default=(), multiple=True, metavar="FILE",
        help="Watch this server program. Repeatable. [default: all that run]",
    )  # fmt: skip

    @property
    def files(self) -> tuple[Path, ...]:
        """What `--postgres` names."""
        return self.postgres


@dataclass(frozen=True)
class Mysqld(Sql):
    """`pellucid mysqld`."""

    probe = "mysqld"
    file_flag = "--mysqld"
    parsers = frozenset({"mysql"})

    mysqld: tuple[Path, ...] = setting(
        "-m", "--mysqld", default=(), multiple=True, metavar="FILE",
        help="Watch this server program. Repeatable. [default: all that run]",
    )  # fmt: skip

    @property
    def files(self) -> tuple[Path, ...]:
        """What `--mysqld` names."""
        return self.mysqld


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
