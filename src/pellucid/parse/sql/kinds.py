"""What `kind` may be in the `query` messages of each protocol: the type checker holds the parsers to it (docs/sql.md explains them)."""

from __future__ import annotations

from typing import Literal, get_args

_Shared = Literal["connect", "query", "prepare", "execute", "error", "hidden"]

MySqlKind = Literal[
    _Shared, "init_db", "field_list", "create_db", "drop_db", "refresh", "shutdown", "statistics", "process_info",
    "process_kill", "debug", "ping", "change_user", "register_replica", "set_option", "reset_connection", "stmt_fetch",
    "stmt_reset", "stmt_close", "quit", "binlog_dump", "binlog_dump_gtid", "table_dump", "clone",
]  # fmt: skip
"""Those of one protocol alone are its own words (`enum_server_command`), in lower case."""

PostgresKind = Literal[
    _Shared, "copy", "replication", "function", "cancel", "terminate", "bind", "describe", "close", "sync"
]
"""The names of its messages (PostgreSQL manual, "Message Formats"), in lower case."""

Kind = MySqlKind | PostgresKind

MYSQL: tuple[MySqlKind, ...] = get_args(MySqlKind)
POSTGRES: tuple[PostgresKind, ...] = get_args(PostgresKind)
