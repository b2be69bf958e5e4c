"""Settings: each has a flag, a help text and a default, and the command line hands over exactly these."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pellucid.cli import from_settings
from pellucid.errors import UsageError
from pellucid.settings import Bash, Mysqld, Postgres, Show, Tls, Zsh, check_for_text, check_meaning

FIELDS = dataclasses.fields(Tls)


def parsed(*words: str) -> Tls:
    """The settings that a command line means."""
    got: list[Tls] = []

    @click.command()
    @from_settings(Tls)
    def command(settings: Tls) -> None:
        got.append(settings)

    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return got[0]


def test_no_flag_is_the_defaults() -> None:
    """An empty command line means the defaults of the class, each of its own type."""
    assert parsed() == Tls()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "json", "-o", "text:x"], {"output": ("json", "text:x")}),
        (["--hex", "-d", "--connections"], {"hex": True, "debug": True, "connections": True}),
        (["-p", "4711", "-u", "0"], {"pid": 4711, "uid": 0}),
        (["--duration", "2.5", "--count", "7"], {"duration": 2.5, "count": 7}),
        (["--libssl", "a/b"], {"libssl": (Path("a/b"),)}),
        (["--libssl", "a", "--libssl", "b"], {"libssl": (Path("a"), Path("b"))}),
        (
            ["-b", "1", "-m", "text", "--ssl_version", "openssl 3.0.12"],
            {"btf": "1", "ssl_version": "openssl 3.0.12"},
        ),
        (["-t", "100", "--mapsize", "2048"], {"tsize": 100, "mapsize": 2048}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_set_what_they_name(words: list[str], expected: dict[str, object]) -> None:
    """Each flag changes its own setting, with the right type, and no other."""
    assert parsed(*words) == dataclasses.replace(Tls(), **expected)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_each_setting_is_explained(field: dataclasses.Field[object]) -> None:
    """A help text is a sentence; the long flag is the setting's name or eCapture's."""
    assert field.metadata["help"].split("  [")[0][-1] in ".]"
    assert any(flag.startswith("--") for flag in field.metadata["flags"])


def test_no_flag_has_two_meanings() -> None:
    """A flag belongs to one setting."""
    flags = Counter(flag for field in FIELDS for flag in field.metadata["flags"])
    assert [flag for flag, times in flags.items() if times > 1] == []
    assert not {"-h", "--help", "-v", "--version"} & set(flags)


def test_a_replay_shows_as_a_capture_does() -> None:
    """Every setting of how to show is one of a capture too."""
    assert {field.name for field in dataclasses.fields(Show)} < {field.name for field in FIELDS}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (Tls(keylogfile="k"), "--keylogfile does not go with -m text: say -m keylog"),
        (Tls(established=5.0), "--established does not go with -m text: connections that are there already are shown"),
        (Tls(model="pcap", established=0.0), "--established does not go with -m pcap: what was sent before the capture"),
        (Tls(model="key", redact=True), "--redact does not go with -m key: it masks credentials, and nothing else"),
        (Tls(model="keylog", port=(443,)), "--port does not go with -m keylog: a secret has no address; --pid, --uid"),
        (Tls(model="keylog", ifname=("lo",)), "--ifname does not go with -m keylog: say -m pcap"),
        (Tls(model="keylog", quiet=True), "--quiet does not go with -m keylog: a secret is one line"),
        (Tls(model="pcapng", hex=True), "--hex does not go with -m pcapng: packets are written as they are"),
        (Tls(model="pcap", tsize=9), "--tsize does not go with -m pcap"),
        (Tls(model="pcap", proto=(Path("x"),)), "--proto does not go with -m pcap"),
        (Tls(model="pcap", sites="entry"), "--sites does not go with -m pcap"),
        (Bash(connections=True), "--connections does not go with bash: what is typed into a shell has no connection"),
        (Zsh(host=("a",)), "--host does not go with zsh"),
        (Bash(proto=(Path("x"),)), "--proto does not go with bash: shells do not speak gRPC"),
        (Zsh(sites="entry"), "--sites does not go with zsh"),
        (Mysqld(proto=(Path("x"),)), "--proto does not go with mysqld: databases do not speak gRPC"),
        (Tls(follow=True), "--follow needs --pid: whose descendants are meant?"),
        (Postgres(record_limit=1), "--record-limit needs --record: it is about the recording"),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)  # fmt: skip
def test_flags_that_would_do_nothing(settings: Show, line: str) -> None:
    """A flag that has no meaning with what is captured is refused: with its name, the way of capturing, and the reason."""
    with pytest.raises(UsageError) as error:
        check_meaning(settings)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    "settings",
    [
        *(Tls(model=model) for model in ("text", "key", "keylog", "pcap", "pcapng")),
        *(make() for make in (Bash, Zsh, Mysqld, Postgres, Show)),
        Tls(hex=True, port=(1,), proto=(Path("x"),), sites="entry", redact=True, pid=1, follow=True),
        Tls(model="keylog", established=5.0, keylogfile="k", record=Path("r"), record_limit=1, count=1),
        Tls(model="pcap", ifname=("lo",), pcapfile="-", keylogfile="k"),
        Bash(hex=True, quiet=True, tsize=9, redact=True, count=1),
        Postgres(connections=True, port=(1,), redact_sql=True, sites="entry"),
        Show(hex=True, port=(1,), proto=(Path("x"),), redact=True),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_flags_that_do_something(settings: Show) -> None:
    """Nothing that has a meaning is refused, and no default is."""
    check_meaning(settings)


@pytest.mark.parametrize("flag", ["hex", "quiet", "headers", "body", "connections"])
def test_flags_about_text(flag: str) -> None:
    """What text shows needs an output in text."""
    with pytest.raises(
        UsageError, match=f"--{flag} is about text, and no output is in text: say -o text:FILE"
    ):
        check_for_text(Tls(**{flag: True}))
