"""Commands of MySQL's protocol by their numbers (`enum_server_command`), those left out that the parser takes one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pellucid.parse.mysql.answer import Style

if TYPE_CHECKING:
    from pellucid.parse.sql.kinds import MySqlKind

STREAMS: dict[int, MySqlKind] = {
    0x12: "binlog_dump",
    0x13: "table_dump",
    0x1E: "binlog_dump_gtid",
    0x20: "clone",
}
"""Commands that are followed by a stream of something else."""


class Plain(NamedTuple):
    """A command whose bytes are text, or not shown."""

    kind: MySqlKind
    style: Style
    text: bool = False


PLAIN = {
    0x02: Plain("init_db", Style.OK, text=True),
    0x04: Plain("field_list", Style.FIELDS, text=True),
    0x05: Plain("create_db", Style.OK, text=True),
    0x06: Plain("drop_db", Style.OK, text=True),
    0x07: Plain("refresh", Style.OK),
    0x08: Plain("shutdown", Style.OK),
    0x09: Plain("statistics", Style.ONE),
    0x0A: Plain("process_info", Style.RESULT),
    0x0C: Plain("process_kill", Style.OK),
    0x0D: Plain("debug", Style.OK),
    0x0E: Plain("ping", Style.OK),
    0x15: Plain("register_replica", Style.OK),  # it holds a password
    0x1B: Plain("set_option", Style.OK),
    0x1F: Plain("reset_connection", Style.OK),
}
"""By number (`enum_server_command`)."""
