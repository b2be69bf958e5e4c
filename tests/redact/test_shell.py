"""Credentials on command lines."""

from __future__ import annotations

import base64
import shlex
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model import Shell
from pellucid.redact import Redactor, Rules
from pellucid.redact.names import Names
from pellucid.redact.shell import masked_line, masked_words
from tests.sink.messages import command

NAMES = Names()

LINES = [
    ("mysql -u root -psecret shop", "mysql -u root -p*** shop"),
    ("mysql -p shop", "mysql -p shop"),
    (
        "sudo /usr/bin/mysqldump -p'a b' --all-databases | gzip",
        "sudo /usr/bin/mysqldump -p*** --all-databases | gzip",
    ),
    ("curl -u ada:secret https://e.com", "curl -u ada:*** https://e.com"),
    ("curl -fsSLu 'ada:se cret' https://e.com", "curl -fsSLu 'ada:***' https://e.com"),
    ("curl --user ada:secret --proxy-user=eve:pw -O x", "curl --user ada:*** --proxy-user=eve:*** -O x"),
    ("curl -u ada https://e.com:443", "curl -u ada https://e.com:443"),
    ("export TOKEN=abc A=b", "export TOKEN=*** A=b"),
    ("DB_PASS='a b' PGPASSWORD=x psql -h db", "DB_PASS=*** PGPASSWORD=*** psql -h db"),
    ("SSHPASS=x sshpass -p hunter2 ssh -p 22 host", "SSHPASS=*** sshpass -p *** ssh -p 22 host"),
    ("redis-cli -a 'x' ping; ls -a x", "redis-cli -a '***' ping; ls -a x"),
    ("tool --password 'a b' --user eve", "tool --password '***' --user eve"),
    ("tool --api-key=abc x", "tool --api-key=*** x"),
    ("keytool -storepass changeit -list", "keytool -storepass *** -list"),
    ("openssl rsa -in k -passin pass:x", "openssl rsa -in k -passin ***"),
    ("smbclient -U ada%pw //h/s", "smbclient -U ada%*** //h/s"),
    ("grep -p secret file; echo 'open", "grep -p secret file; echo 'open"),
    ("git push --bypass x && make pass", "git push --bypass x && make pass"),
    ("if x; then\n  mysql -psecret\nfi", "if x; then\n  mysql -p***\nfi"),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_lines(line: str, expected: str) -> None:
    """What an option or a variable made for a credential has is masked, and nothing else of the line."""
    assert masked_line(line, NAMES) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [pair for pair in LINES if not set(pair[0]) & set(";|&\n") and "open" not in pair[0]],
)
def test_words(line: str, expected: str) -> None:
    """The same in the words that the program gets."""
    assert masked_words(shlex.split(line), NAMES) == shlex.split(expected)


def test_messages() -> None:
    """In a message the line, what was typed and the words are masked, the rules for any text included; bytes too."""
    redact = Redactor(Rules())
    ran = command(
        line="mysql -psecret $x",
        typed="!m $x # Bearer abcdef",
        argv=["mysql", "-psecret", {"base64": "cGFzc3dvcmQ9eA=="}],
    )
    shown = redact(ran)
    assert isinstance(shown, Shell)
    assert (shown.line, shown.typed) == ("mysql -p*** $x", "!m $x # Bearer ***")
    assert shown.argv == ["mysql", "-p***", {"base64": "cGFzc3dvcmQ9Kioq"}]
    shown = redact(command(line=b"curl -u ada:\xe4 x", encoding="base64"))
    assert isinstance(shown, Shell)
    assert shown.line == b"curl -u ada:*** x"
    typed = base64.b64encode(b"curl -u ada:\xe4 !$").decode()
    shown = redact(command(line="x", typed={"base64": typed}))
    assert isinstance(shown, Shell)
    assert shown.typed == {"base64": base64.b64encode(b"curl -u ada:*** !$").decode()}
    plain = command(line="ls", argv=["ls"])
    assert redact(plain) == plain


@given(st.text(alphabet="ab -p'\"\\;|&=:%u\n$(", max_size=60))
def test_any_text(text: str) -> None:
    """Any text comes back, with nothing but masks in it that was not there."""
    hidden = masked_line(f"curl {text}", NAMES)
    assert hidden.startswith("curl")
    for piece in hidden.split("***"):
        assert piece in f"curl {text}"


@pytest.mark.parametrize("piece", ["'", '"\\"', "\\", "curl -u ", "-p'", '"', "$(\"'"])
def test_time(piece: str) -> None:
    """A line of 1 MiB takes time in proportion to it, whatever it consists of: four times as much, not more than 16 times as long."""

    def taken(size: int) -> float:
        text = piece * (size // len(piece))
        begun = time.process_time()
        masked_line(text, NAMES)
        return time.process_time() - begun

    taken(1 << 12)
    assert taken(1 << 20) < 16 * taken(1 << 18) + 0.1
