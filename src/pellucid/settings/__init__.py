"""Every setting, once: its type, default, flags and help. The command line is made from these classes."""

from pellucid.settings.capture import Capture
from pellucid.settings.meaning import check_for_text, check_meaning
from pellucid.settings.setting import Mode
from pellucid.settings.shells import Bash, Shell, Zsh
from pellucid.settings.show import Show
from pellucid.settings.sql import Mysqld, Postgres, Sql
from pellucid.settings.tls import DEFAULT_ESTABLISHED, Tls

__all__ = [
    "DEFAULT_ESTABLISHED", "Bash", "Capture", "Mode", "Mysqld", "Postgres", "Shell", "Show", "Sql", "Tls", "Zsh",
    "check_for_text", "check_meaning",
]  # fmt: skip
