"""The command line's manners: one line for a mistake, the right status, colours only for people."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
from pathlib import Path

import pytest

from pellucid.capture.envelope import HEADER
from pellucid.capture.recording import MAGIC
from pellucid.sink.spec import PLACES
from tests.shell import COMMAND, PATIENCE, RECORDINGS, on_terminal, only_line, pellucid

DOCS = Path(__file__).parent.parent / "docs"
RECORDING = RECORDINGS / "curl_nginx.pellucid"
ENOUGH = 64 << 20
"""Bytes of a recording that nobody reads without reading all of it."""


@pytest.mark.parametrize(
    ("words", "culprit", "helper"),
    [
        (["tsl"], "tsl", "pellucid --help"),
        (["tls", "--hexx"], "--hexx", "pellucid tls --help"),
        (["targets", "443"], "443", "pellucid targets --help"),
        (["tls", "--pid"], "--pid", "--help"),
        (["replay"], "FILE", "pellucid replay --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_words_that_it_does_not_know(words: list[str], culprit: str, helper: str) -> None:
    """A command, flag or argument that does not exist gets one line that says where help is, and status 2."""
    line = only_line(pellucid(*words), 2)
    assert culprit in line
    assert line.endswith(f"{helper})")


@pytest.mark.parametrize("command", ["postgres", "mysqld", "bash"])
@pytest.mark.parametrize(("format", "holds"), [("har", "HTTP"), ("keylog", "secrets of TLS")])
def test_formats_that_would_stay_empty(command: str, format: str, holds: str) -> None:
    """A format of what a command never shows is refused, with one that has everything."""
    line = only_line(pellucid(command, "-o", f"{format}:x"), 2)
    assert (
        line
        == f"-o {format} does not go with {command}: it holds {holds}, of which none is captured; say -o json:FILE"
    )


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--pid", "nginx", "'nginx' is not a whole number"),
        ("--pid", "0", "0 is too small: at least 1"),
        ("--uid", "-1", "-1 is too small: at least 0"),
        ("--uid", "4294967295", "4294967295 is too large: at most 4294967294"),
        ("--count", "0", "0 is too small: at least 1"),
        ("--duration", "soon", "'soon' is not a number"),
        ("--duration", "nan", "nan is too small: at least 0.001"),
        ("--record-limit", "0", "0 is too small: at least 1"),
        ("--max-body", "1073741825", "1073741825 is too large: at most 1073741824"),
        ("--max-body", str(2**63 - 1), "is too large: at most 1073741824"),
        ("--mapsize", "1.5", "'1.5' is not a whole number"),
        ("--sites", "everywhere", "'everywhere' is not one of 'auto', 'entry'"),
        ("--model", "packets", "'packets' is not one of 'text', "),
    ],
)
def test_values_that_cannot_be(flag: str, value: str, expected: str) -> None:
    """A value out of range gets one line that names the flag, the value and what may be; status 2."""
    line = only_line(pellucid("tls", flag, value), 2)
    assert f"{flag}'" in line
    assert expected in line


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (
            ["xml"],
            "unknown output format 'xml' in 'xml': the formats are har, json, keylog, pcapng, protobuf, text",
        ),
        (["json:"], f"cannot write to '' in 'json:': {PLACES}"),
        (["json:tcp://a"], f"cannot write to 'tcp://a': {PLACES}"),
        (["json:tcp://a:1", "text:tcp://a:1"], "cannot write to tcp://a:1: another output is there already"),
        (["json:-", "text"], "cannot write to stdout: another output is there already"),
        (["json:x", "text:./x"], "cannot write to ./x: another output is there already"),
        ([f"json:{RECORDING}"], f"cannot write to {RECORDING}: the recording is there already"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_outputs_that_cannot_be(outputs: list[str], expected: str, tmp_path: Path) -> None:
    """A format or place that cannot be gets one line and status 2, before any file is touched."""
    before = RECORDING.read_bytes()
    flags = [word for output in outputs for word in ("-o", output)]
    assert only_line(pellucid("replay", RECORDING, *flags, cwd=tmp_path), 2) == expected
    assert RECORDING.read_bytes() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            ("-k", "x", "--rotate-size", "1"),
            "keylog does not rotate: leave out --rotate-size and --rotate-time",
        ),
        (("-k", "x.zst"), "keylog is appended to: it cannot be compressed, as x.zst would be"),
    ],
)
def test_what_a_key_log_cannot_be(flags: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    """A file that is appended to is one, and plain: refused before any is touched."""
    assert only_line(pellucid("tls", "-m", "keylog", *flags, cwd=tmp_path), 2) == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("tls", "-m", "keylog"), ("tls", "-m", "pcap"), ("replay", RECORDING)])
def test_a_key_log_onto_another_file(command: tuple[str, ...], tmp_path: Path) -> None:
    """A file that is no key log is refused before anything else, and keeps its bytes, its mode and its times."""
    notes = tmp_path / "notes"
    notes.write_text("buy milk")
    notes.chmod(0o644)
    before = notes.stat()
    line = only_line(pellucid(*command, "-o", f"keylog:{notes}", cwd=tmp_path), 1)
    assert line == (
        f"cannot write to {notes}: it holds something else than keylog lines, which would be appended to it; "
        "name another file"
    )
    after = notes.stat()
    assert notes.read_text() == "buy milk"
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_redacting_a_key_log(tmp_path: Path) -> None:
    """Nothing would be left of it: refused, for a replay too."""
    line = only_line(pellucid("replay", RECORDING, "--redact", "-o", "keylog:x", cwd=tmp_path), 2)
    assert line == "--redact masks credentials, and a key log holds nothing else: leave one of them out"


@pytest.mark.parametrize(
    ("recording", "format", "content"),
    [
        ("curl_nginx", "keylog", "secrets of TLS"),
        ("read_write", "har", "HTTP exchanges"),
        ("curl_nginx", "har", None),
        ("read_write", "json", None),
    ],
)
def test_a_recording_that_has_nothing_for_a_format(
    recording: str, format: str, content: str | None, tmp_path: Path
) -> None:
    """One line says what a recording does not hold and which file stays without it; what it holds is shown in silence."""
    path, place = RECORDINGS / f"{recording}.pellucid", tmp_path / "x"
    answer = pellucid("replay", path, "-o", f"{format}:{place}")
    line = f"WARNING {path} has no {content} to show: nothing is written to {place}\n"
    assert (answer.returncode, answer.stdout) == (0, "")
    assert answer.stderr[9:] == ("" if content is None else line)


def test_capturing_into_the_recording() -> None:
    """What is shown cannot go where the recording or the log goes, however it is spelled."""
    recording = only_line(pellucid("tls", "--record", "/tmp/both", "-o", "json:/tmp/../tmp/both"), 2)
    assert recording == "cannot write to /tmp/../tmp/both: the recording is there already"


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("missing/events", "No such file or directory"),
        (".", "Is a directory"),
        ("link", "it is a symbolic link, which is not followed; name the file itself"),
        ("/dev/full", "No space left on device"),
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("ws://127.0.0.1:1/events", "Connection refused"),
    ],
)
def test_outputs_that_cannot_be_written(place: str, reason: str, tmp_path: Path) -> None:
    """The line names the place and the reason; the status is 1."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    answer = pellucid("replay", RECORDING, "-o", f"json:{place}", cwd=tmp_path)
    assert only_line(answer, 1) == f"cannot write to {place}: {reason}"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("nothing", None, "cannot read nothing: No such file or directory"),
        (".", None, "cannot read .: Is a directory"),
        ("empty", b"", "empty: not a Pellucid recording"),
        ("page", b"<!doctype html>", "page: not a Pellucid recording"),
        (
            "newer",
            MAGIC[:13] + b"\x02\0\0",
            "newer: a recording of format 2; this version of Pellucid reads 1",
        ),
    ],
)
def test_files_that_are_no_recordings(
    name: str, content: bytes | None, expected: str, tmp_path: Path
) -> None:
    """What cannot be replayed gets one line with its name and the reason; the status is 1."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert only_line(pellucid("replay", name, cwd=tmp_path), 1) == expected


@pytest.mark.parametrize(
    ("flag", "file"), [("--record", "the recording"), ("--ready-file", "the ready file"), ("-l", "the log")]
)
def test_what_cannot_be_stdout(flag: str, file: str, tmp_path: Path) -> None:
    """A recording, a ready file and a log are files: `-` is refused."""
    line = only_line(pellucid("tls", flag, "-", cwd=tmp_path), 2)
    assert line == f"{file} needs a file: it cannot be stdout"


def test_a_recording_that_cannot_be_opened(tmp_path: Path) -> None:
    """It is no wrong usage: one line with the reason, and status 1."""
    folder = tmp_path / "loop"
    folder.symlink_to(folder)
    answer = pellucid("replay", folder)
    assert only_line(answer, 1) == f"cannot read {folder}: Too many levels of symbolic links"


def test_a_stdout_that_is_closed() -> None:
    """Without stdout (`>&-`) there is one line and status 1, and no file takes its place."""
    answer = closing(">&-", "replay", RECORDING)
    assert only_line(answer, 1) == "cannot write to stdout: it is closed"


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- >&- 2>&-"])
def test_other_streams_that_are_closed(closed: str, tmp_path: Path) -> None:
    """Without stdin, stderr or all of them an output to a file is the same, byte for byte."""
    cut = tmp_path / "cut"
    cut.write_bytes(RECORDING.read_bytes()[:-9])  # so that the log has something to say
    alone, file = pellucid("replay", cut, "-o", "json").stdout, tmp_path / "file"
    answer = closing(closed, "replay", cut, "-o", f"json:{file}")
    assert (answer.returncode, answer.stdout) == (0, "")
    assert file.read_text() == alone


def test_the_status_needs_no_stderr() -> None:
    """A failure that cannot be told is still one."""
    answer = closing("2>&-", "replay", "nothing")
    assert (answer.returncode, answer.stdout, answer.stderr) == (1, "", "")


def closing(streams: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it with some streams closed, as a shell says it."""
    command = ["sh", "-c", f'exec "$@" {streams}', "sh", *COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def test_nobody_reads_on_for_nobody(tmp_path: Path) -> None:
    """Once the reader of the only output has left (`| head`), the rest of the recording is not read."""
    pipe, endless = tmp_path / "pipe", RECORDING.read_bytes()[len(MAGIC) : -HEADER.size]
    os.mkfifo(pipe)
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen([*COMMAND, "replay", pipe], stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        with pytest.raises(BrokenPipeError):
            pipe.write_bytes(MAGIC + endless * (ENOUGH // len(endless)))
        assert (process.wait(PATIENCE), process.stderr.read() if process.stderr else b"") == (0, b"")


def test_several_outputs_at_once(tmp_path: Path) -> None:
    """Each output gets what it would get alone."""
    alone = pellucid("replay", RECORDING, "-o", "json"), pellucid("replay", RECORDING, "-o", "text")
    flags = ["-o", f"json:{tmp_path / 'a'}", "-o", f"text:{tmp_path / 'b'}", "-o", "json:-"]
    together = pellucid("replay", RECORDING, *flags)
    assert together.stdout == alone[0].stdout == (tmp_path / "a").read_text()
    assert (tmp_path / "b").read_text() == alone[1].stdout
    assert together.stdout


def test_one_output_that_fails_leaves_the_others(tmp_path: Path) -> None:
    """A full disk under one output ends the run, and what the other was given until then is in it."""
    answer = pellucid("replay", RECORDING, "-o", "json:/dev/full", "-o", f"json:{tmp_path / 'good'}")
    assert only_line(answer, 1) == "cannot write to /dev/full: No space left on device"
    assert (tmp_path / "good").read_text() == pellucid("replay", RECORDING, "-o", "json").stdout


@pytest.mark.parametrize(
    ("environment", "colours"),
    [({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)],
    ids=["empty", "set"],
)
def test_colours_on_a_terminal(environment: dict[str, str], colours: bool) -> None:
    """A terminal gets colours unless NO_COLOR is set and not empty (no-color.org)."""
    seen = on_terminal("replay", RECORDING, env=environment)
    assert "HTTP/1.1 200 OK" in seen
    assert ("\x1b[" in seen) is colours


def test_no_colours_elsewhere(tmp_path: Path) -> None:
    """A pipe and a file get the text alone."""
    shown = pellucid("replay", RECORDING, "-o", "text", "-o", f"text:{tmp_path / 'file'}").stdout
    assert "HTTP/1.1 200 OK" in shown
    assert "\x1b" not in shown
    assert (tmp_path / "file").read_text() == shown


def test_json_on_a_terminal_has_no_colours() -> None:
    """JSON is for programs, wherever it goes."""
    assert "\x1b" not in on_terminal("replay", RECORDING, "-o", "json", env={"NO_COLOR": ""})


def test_help_has_no_line_that_a_terminal_would_break() -> None:
    """In a terminal of 80 columns every help page fits, and no option shows a range or a raw type."""
    for words in ([], ["tls"], ["replay"]):
        answer = pellucid(*words, "--help", env={"COLUMNS": "80", "PATH": "/usr/bin"})
        assert answer.returncode == 0
        assert [line for line in answer.stdout.splitlines() if len(line) > 80] == []
        assert [word for word in ("x>=", "INTEGER", "FLOAT", "PATH") if word in answer.stdout] == []


def test_no_command_shows_the_commands() -> None:
    """`pellucid` alone is no success, but helps: the commands are on stderr, the status is 2."""
    answer = pellucid()
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "  replay  " in answer.stderr
    assert "  tls " in answer.stderr


def test_the_other_name_of_a_command() -> None:
    """`openssl` is `tls`, as in eCapture."""
    assert (
        pellucid("openssl", "--help").stdout.splitlines()[2:]
        == pellucid("tls", "--help").stdout.splitlines()[2:]
    )


def test_the_version() -> None:
    """`--version` tells what is installed."""
    answer = pellucid("--version")
    assert (answer.returncode, answer.stdout) == (0, "pellucid 0.1.0\n")


def test_the_log_in_a_file(tmp_path: Path) -> None:
    """With `-l` a warning is in the file and not on stderr."""
    cut, log = tmp_path / "cut", tmp_path / "log"
    cut.write_bytes(RECORDING.read_bytes()[:-9])
    answer = pellucid("replay", cut, "-l", log)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert f"WARNING {cut} was cut short" in log.read_text()
    assert "HTTP/1.1 200 OK" in answer.stdout


def test_events_where_the_log_goes(tmp_path: Path) -> None:
    """With `-l` and without another place messages are there too, as text, behind what the file holds; else not."""
    log = tmp_path / "log"
    log.write_text("of yesterday\n")
    shown = pellucid("replay", RECORDING, "-l", log).stdout
    assert log.read_text() == f"of yesterday\n{shown}"
    assert log.stat().st_mode & 0o777 == 0o600
    pellucid("replay", RECORDING, "-l", log, "-o", "json")
    assert log.read_text() == f"of yesterday\n{shown}"


@pytest.mark.parametrize(
    "flags", [["-p", "1", "--pid", "2"], ["-u", "0", "-u", "33"], ["--memory", "200"] * 2]
)
def test_what_can_only_be_one(flags):
    """A flag that means one thing is not taken from several: the others would be passed over in silence."""
    done = pellucid("tls", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert "given 2 times, and only one can be meant" in done.stderr


@pytest.mark.parametrize(("command", "other"), [("mysqld", "copy"), ("postgres", "init_db")])
def test_a_kind_of_command_that_there_is_not(command: str, other: str) -> None:
    """A kind that no command of this server has is refused, and the line names those that there are: all of docs/sql.md."""
    line = only_line(pellucid(command, "--kind", "query", "--kind", other), 2)
    assert f"'{other}' is not one of 'connect', 'query', 'prepare', 'execute', " in line
    page = (DOCS / "sql.md").read_text()
    kinds = line.partition(" is not one of ")[2].partition(" (see")[0].split(", ")
    assert [kind for kind in kinds if f"`{kind[1:-1]}`" not in page] == []


def test_a_flag_for_text_that_nobody_would_see(tmp_path: Path) -> None:
    """A flag about text is refused where all outputs are something else, before any file is touched."""
    line = only_line(pellucid("replay", RECORDING, "--hex", "-o", "json:x", cwd=tmp_path), 2)
    assert line == "--hex is about text, and no output is in text: say -o text:FILE as well"
    assert not list(tmp_path.iterdir())


def test_two_views() -> None:
    """Each of --quiet, --headers and --body is a view of its own: two of them are refused in one line, status 2."""
    line = only_line(pellucid("replay", "--quiet", "--body", RECORDING), 2)
    assert line == "--quiet and --body exclude each other: each is a view of its own"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["postgres", "--offset", "secure_read=0x1"], "--offset needs exactly one --postgres"),
        (["mysqld", "--offset", "vio_read=0x1"], "--offset needs exactly one --mysqld"),
        (["mysqld", "-m", "/bin/true", "--offset", "vio_read"], "is not of the form vio_read=0x1234"),
        (["mysqld", "-m", "/bin/true", "--offset", "a=1", "-f", "b=c"], "--funcname and --offset exclude"),
        (["postgres", "-f", "secure_read=x"], "--funcname needs exactly one --postgres"),
        (["postgres", "--slower-than", "long"], "'long' is not a number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_of_servers_that_cannot_be(words: list[str], expected: str) -> None:
    """What cannot be meant by the flags of postgres and mysqld gets one line, and status 2."""
    assert expected in only_line(pellucid(*words), 2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--redact"],
            "pcapng has every byte as it was, which --redact cannot mask: leave out one of them",
        ),
        (
            ["--redact-sql"],
            "pcapng has every byte as it was, which --redact cannot mask: leave out one of them",
        ),
        (["-o", "pcapng:tcp://127.0.0.1:1"], "cannot write pcapng to tcp://127.0.0.1:1: say a file or -"),
    ],
)
def test_where_pcapng_cannot_be(words: list[str], expected: str, tmp_path: Path) -> None:
    """Bytes as they were are not masked, and no connection takes a format that begins with something: wrong usage."""
    answer = pellucid("replay", RECORDING, "-o", "pcapng:out.pcapng", *words, cwd=tmp_path)
    assert only_line(answer, 2) == expected
    assert not list(tmp_path.iterdir())


def test_pcapng_of_a_shell() -> None:
    """What is typed into a shell has no connection that could be shown as one: wrong usage."""
    line = only_line(pellucid("bash", "-o", "pcapng"), 2)
    assert line == "-o pcapng does not go with bash: what is typed into a shell has no connection"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-w a.pcapng", "--pcapfile does not go with -m text: say -m pcap, or -o pcapng:FILE for plaintext"),
        ("-m pcap --record r", "--record does not go with -m pcap: the file of -w is the recording"),
        (
            "-m pcapng --redact",
            "--redact does not go with -m pcapng: packets keep every byte as it was, which nothing can mask",
        ),
        (
            "-m pcap --port 443",
            "--port does not go with -m pcap: say a filter, as in: tcp port 443 and host 10.0.0.1",
        ),
        (
            "tcp port 443",
            "the filter 'tcp port 443' is for packets: say -m pcap, or with -m text --port and --host",
        ),
        ("-i lo", "--ifname does not go with -m text: say -m pcap"),
        (
            "-m pcap --count 2",
            "--count does not go with -m pcap: packets are no messages; --duration ends a capture of them",
        ),
        (
            "-m pcap -o pcapng",
            (
                "-o pcapng does not go with -m pcap: it holds plaintext, of which none is captured; say -m text, "
                "or -w FILE for packets"
            ),
        ),
        (
            "-m pcap -o text:-",
            (
                "-o text does not go with -m pcap: of packets it would show nothing but the secrets that decrypt them; "
                "-k FILE keeps these, -o json:FILE says whose they are"
            ),
        ),
        ("-m pcap -w - -o json", "cannot write to stdout: another output is there already"),
        ("-m pcap -w tcp://127.0.0.1:1", "cannot write packets to tcp://127.0.0.1:1: say a file or -"),
    ],
)
def test_packets_that_cannot_be(words: str, expected: str, tmp_path: Path) -> None:
    """Flags that exclude each other are wrong usage, before anything is opened."""
    assert only_line(pellucid("tls", *shlex.split(words), cwd=tmp_path), 2) == expected
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "format", "way"),
    [
        (["tls", "-m", "pcap", "-w", "-"], "packets", "pipe it (| wireshark -k -i -), or say a file"),
        (["replay", RECORDING, "-o", "pcapng:-"], "pcapng", "pipe it (| wireshark -k -i -), or say a file"),
        (
            ["replay", RECORDING, "-o", "protobuf"],
            "protobuf",
            "say a file, or pipe it to a program that reads it",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bytes_of_others_are_not_for_a_terminal(words: list[str | Path], format: str, way: str) -> None:
    """A format that is no text would have what was captured command the terminal: wrong usage, and nothing is shown."""
    ours, theirs = pty.openpty()
    command = [*COMMAND, *map(str, words)]
    answer = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
    )
    os.close(theirs)
    with pytest.raises(OSError, match="Input/output error"):  # there was nothing
        os.read(ours, 1)
    os.close(ours)
    assert answer.returncode == 2
    assert answer.stderr == f"pellucid: {format} is not for a terminal: {way}\n"
