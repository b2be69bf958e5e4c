"""Messages of databases."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from pellucid.model.messages import Message, OnConnection


class QueryError(Struct, kw_only=True):
    """What the server refused with."""

    code: str
    """MySQL's error number, PostgreSQL's SQLSTATE."""
    message: str
    """The words to it."""
    sqlstate: str | UnsetType = UNSET
    """MySQL's second code (five characters)."""


class Query(OnConnection, kw_only=True):
    """One command to a database, with what became of it. `src` is the client, `dst` the server."""

    server: str
    """`mysql` (MariaDB too) or `postgres`."""
    user: str | None
    """Who logged in; null where the capture began later."""
    database: str | None
    """The database in use when the command was sent; null where it is not known, or none is."""
    kind: str
    """What was sent: `query` (text), `prepare`, `execute` (a prepared statement), or the protocol's own word for any
    other command, in lower case (`init_db`, `copy`, `function` ...)."""
    query: str | None
    """The text, whole up to `--max-body`; of an `execute` that of its statement; null where it is not known."""
    parameters: list[Any] | UnsetType = UNSET
    """Values bound to a prepared statement, in order; text where the protocol sends text, numbers where it sends
    numbers, null for NULL; bytes that cannot be read as their type are base64 in `{"base64": ...}`."""
    rows: int | None
    """Rows returned, or changed where none are returned; null where the server did not say."""
    duration_ms: float | None
    """First byte of the command to last byte of the answer."""
    truncated: bool = False
    """`query` or `parameters` are longer than what is shown."""
    failure: QueryError | None = None
    """Null where the server did not refuse."""
    error: str | None = None
    """What is wrong or missing in what was captured, in words."""


class QueryShape(Message, tag="shape", kw_only=True):
    """Queries that differ in their values only, at the end of a capture with `--fingerprint`."""

    server: str
    """As in `query`."""
    shape: str | None
    """The text with `?` for each value; null for all queries that came when there were 500 shapes already."""
    count: int
    """How many they are."""
    total_ms: float
    """Their durations together, as far as these are known: a query without an answer has none."""
    p50_ms: float | None
    """Half of them took no longer: of up to 100 the duration of one of them, of more to 4.4 %; null where no duration is known."""
    p99_ms: float | None
    """The same of 99 of 100."""
    rows: int
    """Rows together, where the server said."""
    errors: int
    """How many the server refused."""
