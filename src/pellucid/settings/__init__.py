"""Every setting, once: its type, default, flags and help. The command line is made from these classes."""

from pellucid.settings.capture import Capture
from pellucid.settings.shells import Bash, Shell, Zsh
from pellucid.settings.show import Show
from pellucid.settings.sql import Mysqld, Postgres, Sql
from pellucid.settings.tls import Tls

__all__ = ["Bash", "Capture", "Mysqld", "Postgres", "Shell", "Show", "Sql", "Tls", "Zsh"]
