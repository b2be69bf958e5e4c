"""Options of programs that have a credential behind them, where their names do not tell: one table."""

from __future__ import annotations

import re
from enum import Enum


class How(Enum):
    """How an option has its value; but for the first two it is what stands behind a character, such as a user's name before it."""

    ATTACHED = ""
    """In the same word only: `-psecret`."""
    EITHER = " "
    """In the same word or as the next one."""
    ACCOUNT = ":"
    SHARE = "%"
    LIST = ","
    ORACLE = "/"


def _long(*names: str) -> str:
    """Options that are words of their own, or have `=` behind them."""
    return rf"(?:{'|'.join(names)})(?==|\Z)"


_AT_HOST = r"(?=[^-/:@][^/:@]*:[^/@]+@)"
"""`user:password@host` without a scheme."""

_LDAP = r"-[ACIKLMNQVWZcknuvx]*[wy]"

_TABLE: dict[str, dict[How, str]] = {
    "mysql mysqldump mysqlimport mysqlshow mysqlcheck mariadb mariadb-dump mariadb-import mariadb-show mariadb-check":
        {How.ATTACHED: "-[ABCEGHLNXbfgijnoqrstvw]*p|--passwo?r?(?==)"},
    "mysqladmin mariadb-admin":
        {How.ATTACHED: "-[Cbfisvw]*p", How.EITHER: _long("password", "old-password")},
    "mysqlsh": {How.ATTACHED: "-p", How.ACCOUNT: _AT_HOST},
    "ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldapmodrdn ldapcompare ldapexop": {How.EITHER: _LDAP},
    "ldappasswd": {How.EITHER: rf"{_LDAP}|-[as]"},
    "mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop": {How.EITHER: "-p"},
    "7z 7za 7zr 7zz rar unrar": {How.ATTACHED: "-h?p"},
    "zip unzip zipcloak": {How.EITHER: "-[A-Za-z]*?P"},
    "ipmitool sqlcmd bcp tsql": {How.EITHER: "-P"},
    "docker podman nerdctl buildah skopeo helm crane oras oc az twine cqlsh beeline rdesktop useradd usermod groupadd "
    "smbmap nxc netexec crackmapexec evil-winrm":
        {How.EITHER: "-p"},
    "sshpass": {How.EITHER: "-[ev]*p"},
    "ssh-keygen": {How.EITHER: "-[A-Za-z]?[NP]"},
    "smbclient rpcclient smbget net": {How.SHARE: f"-U|{_long('--user')}"},
    "curl": {
        How.ACCOUNT: f"-[A-Za-z#0-9]*?[uUE]|{_long('--user', '--proxy-user', '--cert', '--proxy-cert')}|{_AT_HOST}",
        How.EITHER: f"-[a-zA-Z#]*?b|{_long('--oauth2-bearer')}",
    },
    "wget": {How.ACCOUNT: _AT_HOST},
    "http https xh xhs": {How.ACCOUNT: f"-a|{_AT_HOST}"},
    "ab siege ctr": {How.ACCOUNT: "-[AuP]"},
    "lftp": {How.LIST: f"-u|{_long('--user')}"},
    "redis-cli valkey-cli": {How.EITHER: f"-a|{_long('--pass', 'auth', 'AUTH')}"},
    "openssl": {How.EITHER: _long("-k", "-K", "-passin", "-passout", "-pass", "-hmac", "-macopt")},
    "sqlplus sqlldr expdp impdp rman": {How.ORACLE: "(?=[^-/@][^/@]*/)"},
    "snmpget snmpset snmpwalk snmpbulkwalk snmpgetnext": {How.EITHER: "-[AXc]"},
    "nmcli": {How.EITHER: _long("password")},
    "xfreerdp xfreerdp3 wlfreerdp": {How.ATTACHED: "/p:"},
}  # fmt: skip
"""By program: its options, as patterns of how the word begins that has one; of one letter, others that have no value may
come before it. `-p` of docker is a port in other commands than `login`: that is masked too."""

Options = tuple[tuple[How, "re.Pattern[str]"], ...]

PROGRAMS: dict[str, Options] = {}
for _names, _options in _TABLE.items():
    PROGRAMS |= dict.fromkeys(
        _names.split(), tuple((how, re.compile(text)) for how, text in _options.items())
    )

BEHIND_SSHPASS = frozenset({"ssh", "scp", "sftp", "rsync"})
"""Where -p is a port."""
