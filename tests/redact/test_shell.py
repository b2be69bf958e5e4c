"""Credentials on command lines."""

from __future__ import annotations

import base64
import shlex
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.join.runs import _quoted
from pellucid.model import Shell
from pellucid.redact import Redactor, Rules
from pellucid.redact.shell import masked_line, masked_words
from tests.sink.messages import command

RULES = Rules()

LINES = [
    ("mysql -u root -psecret shop", "mysql -u root -p*** shop"),
    ("mysql -p shop", "mysql -p shop"),
    (
        "sudo /usr/bin/mysqldump -p'a b' --all-databases | gzip",
        "sudo /usr/bin/mysqldump -p'***' --all-databases | gzip",
    ),
    ("curl -u ada:secret https://e.com", "curl -u ada:*** https://e.com"),
    ("curl -fsSLu 'ada:se cret' https://e.com", "curl -fsSLu 'ada:***' https://e.com"),
    ("curl --user ada:secret --proxy-user=eve:pw -O x", "curl --user ada:*** --proxy-user=eve:*** -O x"),
    ("curl -u ada https://e.com:443", "curl -u ada https://e.com:443"),
    ("export TOKEN=abc A=b", "export TOKEN=*** A=b"),
    ("DB_PASS='a b' PGPASSWORD=x psql -h db", "DB_PASS='***' PGPASSWORD=*** psql -h db"),
    ("SSHPASS=x sshpass -p hunter2 ssh -p 22 host", "SSHPASS=*** sshpass -p *** ssh -p 22 host"),
    ("redis-cli -a 'x' ping; ls -a x", "redis-cli -a '***' ping; ls -a x"),
    ("tool --password 'a b' --user eve", "tool --password '***' --user eve"),
    ("tool --api-key=abc x", "tool --api-key=*** x"),
    ("keytool -storepass changeit -list", "keytool -storepass *** -list"),
    ("openssl rsa -in k -passin pass:x", "openssl rsa -in k -passin ***"),
    ("smbclient -U ada%pw //h/s", "smbclient -U ada%*** //h/s"),
    ("grep -p secret file; echo 'open", "grep -p secret file; echo 'open"),
    ("git push --bypass x && make pass", "git push --bypass x && make pass"),
    ("mysql '-ps3cr3t!XYZ'", "mysql '-p***'"),
    ("export 'DB_PASS=x y!hunter2'", "export 'DB_PASS=***'"),
    ('mysql "-psecret"', 'mysql "-p***"'),
    ("\\mysql -psecret", "\\mysql -p***"),
    ("'mysql' -pse\"c r\"et", "'mysql' -p***"),
    ("my\"sq\"l '-p'secret x", "my\"sq\"l '-p'*** x"),
    ('mysql "-pse"cret x', 'mysql "-p***" x'),
    ("bash -c 'mysql -psecret'", "bash -c 'mysql -p***'"),
    ("sudo sh -c \"mysql -p'a b' x\"", "sudo sh -c \"mysql -p'***' x\""),
    ("sh -c 'mysql -p'\\''a b'\\'' x'", "sh -c 'mysql -p'\\''***'\\'' x'"),
    ('ssh h "mysql -psecret db"', 'ssh h "mysql -p*** db"'),
    ("ssh h mysql -psecret", "ssh h mysql -p***"),
    ("su - db -c 'bash -c \"mysql -psecret\"'", "su - db -c 'bash -c \"mysql -p***\"'"),
    ("alias m='mysql -psecret'", "alias m='mysql -p***'"),
    ("ldapsearch -xw pw -D cn=a", "ldapsearch -xw *** -D cn=a"),
    ("curl --oauth2-bearer T u", "curl --oauth2-bearer *** u"),
    ("curl ada:pw@e.com", "curl ada:***"),
    ("mysqladmin -u root password hunter2", "mysqladmin -u root password ***"),
    ("aws configure set aws_secret_access_key wJal", "aws configure set aws_secret_access_key ***"),
    ("lftp -u eve,pw host", "lftp -u eve,*** host"),
    ("sqlplus scott/tiger@db", "sqlplus scott/***"),
    ("mysql -h net -psecret", "mysql -h net -p***"),
    ("htpasswd -cb file user pw", "htpasswd -cb file user ***"),
    ("htpasswd -nbBC 10 user pw", "htpasswd -nbBC 10 user ***"),
    ("htpasswd -B file user", "htpasswd -B file user"),
    ("helm upgrade --set 'auth.password=a b' x", "helm upgrade --set 'auth.password=***' x"),
    ("terraform apply -var='db_password=a b'", "terraform apply -var='db_password=***'"),
    ("java -Ddb.pass=pw -jar x", "java -Ddb.pass=*** -jar x"),
    ("mysql.exe --passw=pw", "mysql.exe --passw=***"),
    ("su -c'mysql -psecret' db", "su -c'mysql -p***' db"),
    ("CREDS[password]=x env", "CREDS[password]=*** env"),
    ("mysql -pa\u00a0b", "mysql -p***"),
    ("if x; then\n  mysql -psecret\nfi", "if x; then\n  mysql -p***\nfi"),
]


TYPED = [
    ("mysql -u ada \\\n  --password \\\n  s3cr3t", "mysql -u ada \\\n  --password \\\n  ***"),
    ("curl --user \\\nada:pw x", "curl --user \\\nada:*** x"),
    ("redis-cli -a \\\n pw", "redis-cli -a \\\n ***"),
    ("openssl rsa -passin \\\n pass:pw", "openssl rsa -passin \\\n ***"),
    ("mysql \\\n-psecret", "mysql \\\n-p***"),
    ("mysqldump 2>&1 -psecret", "mysqldump 2>&1 -p***"),
    ("curl x &>/dev/null -u ada:pw", "curl x &>/dev/null -u ada:***"),
    ("curl -u 2>/dev/null ada:pw", "curl -u 2>/dev/null ada:***"),
    ("mysql >out <in -psecret", "mysql >out <in -p***"),
    ("mysql <(x) -psecret", "mysql <(x) -p***"),
    ("mysql -h $(cat h; x) -psecret", "mysql -h $(cat h; x) -p***"),
    ("mysql -h `cat h` -psecret", "mysql -h `cat h` -p***"),
    ("$(which mysql) -psecret", "$(which mysql) -p***"),
    ("PASSWORD+=(x 'y z')\nls x", "PASSWORD+=(*** '***')\nls x"),
    ("DB_PASS=(\n a\n b\n)", "DB_PASS=(\n ***\n ***\n)"),
    ("mysql -p$'a\\'b c' x", "mysql -p$'***' x"),
    ("{ # don't\nmysql -p'a b' x; }", "{ # don't\nmysql -p'***' x; }"),
    ("case x in a) mysql -psecret;; esac", "case x in a) mysql -p***;; esac"),
    ("bash <<< 'mysql -psecret'", "bash <<< 'mysql -p***'"),
    ("sudo -S true <<< 'a b'", "sudo -S true <<< '***'"),
    ("chpasswd <<< root:pw; cat <<< x", "chpasswd <<< ***; cat <<< x"),
    ("mysql -p$(echo pw | tr a b) x", "mysql -p***(*** *** | *** *** ***) x"),
    ("mysql -p`echo pw` x", "mysql -p`*** ***` x"),
    ("DB_PASS=${A:-b c} ls", "DB_PASS=*** ls"),
    ("docker login --pass-stdin host <<< pw", "docker login --pass-stdin host <<< ***"),
    ("PGPASSWORD=\"$(cat 'a b')\" psql", 'PGPASSWORD="***" psql'),
]
"""Of which the program sees something else, or nothing."""


@pytest.mark.parametrize(("line", "expected"), TYPED)
def test_what_only_a_line_has(line: str, expected: str) -> None:
    """Lines that go on, redirections, commands within others and lists: a command's words are one command's all the same."""
    shown = Redactor(Rules())(command(line=line))
    assert isinstance(shown, Shell)
    assert masked_line(line, RULES) == shown.line == expected


PROGRAM_WORDS = [
    "mysql",
    "curl",
    "-p",
    "-psecret",
    "-u",
    "a:b",
    "--password",
    "bash",
    "-c",
    "mysql -p'x y' z",
    "DB_PASS=",
    "set",
]


@given(
    st.lists(
        st.sampled_from(PROGRAM_WORDS) | st.text("ab -p'\"\\;|&=:%u\n$(`)#<>3[", max_size=12), max_size=6
    ),
)
def test_line_and_words_are_masked_alike(words: list[str]) -> None:
    """What is masked in a command's words is masked in the line that is made of them, and nothing else: its quotes stay in pairs."""
    line = b" ".join(_quoted(word.encode()) for word in words).decode()
    assert shlex.split(masked_line(line, RULES)) == masked_words(words, RULES)


SECRET = "hunter2"
WITH_SECRET = [
    "-phunter2", "a:hunter2", '{"password": "hunter2"}', "password: it's hunter2", "X-Auth: a 'hunter2' b", "mysql -p'x hunter2' z",
    "DB_PASS=a 'b' hunter2", "https://u:hunter2@h/?token=hunter2", "<password>hunter2</password>", "IDENTIFIED BY 'hunter2'", "hunter2",
]  # fmt: skip


@given(st.lists(st.sampled_from([*WITH_SECRET, *PROGRAM_WORDS, "it's", "#", "\\"]), min_size=1, max_size=6))
def test_a_line_shows_no_more_than_its_words(words: list[str]) -> None:
    """In a message the line that is made of a command's words shows a secret no more often than the words, whichever rule masks these."""
    line = b" ".join(_quoted(word.encode()) for word in words).decode()
    shown = Redactor(Rules())(command(line=line, argv=words))
    assert isinstance(shown, Shell)
    assert isinstance(shown.argv, list)
    assert str(shown.line).count(SECRET) <= sum(word.count(SECRET) for word in shown.argv)


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_lines(line: str, expected: str) -> None:
    """What an option or a variable made for a credential has is masked, and nothing else of the line."""
    assert masked_line(line, RULES) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [pair for pair in LINES if not set(pair[0]) & set(";|&\n") and "open" not in pair[0]],
)
def test_words(line: str, expected: str) -> None:
    """The same in the words that the program gets."""
    assert masked_words(shlex.split(line), RULES) == shlex.split(expected)


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
    shown = redact(command(argv=["mysql", {"base64": "LXBz5GNyZXQ="}], script="Bearer abcdef"))
    assert isinstance(shown, Shell)
    assert shown.argv == ["mysql", {"base64": "LXAqKio="}]
    assert shown.script == "Bearer ***"
    plain = command(line="ls", argv=["ls"])
    assert redact(plain) == plain


@given(st.text(alphabet="ab -p'\"\\;|&=:%u\n$(", max_size=60))
def test_any_text(text: str) -> None:
    """Any text comes back, with nothing but masks in it that was not there."""
    hidden = masked_line(f"curl {text}", RULES)
    assert hidden.startswith("curl")
    for piece in hidden.split("***"):
        assert piece in f"curl {text}"


@pytest.mark.parametrize(
    "piece",
    ["'", '"\\"', "\\", "curl -u ", '"', "$(\"'", "# '", "`", "a=(", "'\\''", "a\"'", "$'", "a[", "a:"],
)
def test_time(piece: str) -> None:
    """A line takes time in proportion to it, whatever it consists of: four times as much, less than 16 times as long."""

    def taken(size: int) -> float:
        text = piece * (size // len(piece))
        begun = time.process_time()
        masked_line(text, RULES)
        masked_words([text], RULES)
        return time.process_time() - begun

    taken(1 << 12)
    assert taken(1 << 18) < 16 * taken(1 << 16) + 0.1
