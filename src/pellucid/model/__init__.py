"""The values that the stages hand to each other; the only package that every stage may import.

    capture --Envelope--> decode --Record, Context--> join --Flow, Context--> parse --Message--> sink
      envelopes.py        records.py, context.py       flow.py               messages.py, http.py, query.py

All times between the kernel and `join` are nanoseconds of the boot clock; from `join` on they are
nanoseconds of wall-clock time since 1970 (UTC), and messages carry them as RFC 3339 text.
"""

from pellucid.model.context import Clock, Context, Drops, End, Offsets, Target
from pellucid.model.envelopes import Envelope, Kind
from pellucid.model.flow import Chunk, Close, Connection, Flow, Gap, Open, Program, Session, Totals
from pellucid.model.http import Grpc, Headers, Http, Inside, Request, Response, ServerSentEvent, WebSocket
from pellucid.model.messages import ConnectionEvent, Lost, Message, OnConnection, RawData, Summary, Text
from pellucid.model.query import Query, QueryError, QueryShape
from pellucid.model.records import (
    LOSS_REASONS,
    RECORDS,
    ROLES,
    Address,
    Closed,
    Comm,
    Data,
    Direction,
    Gone,
    Missed,
    Opened,
    Process,
    Record,
    Tail,
    u8,
    u16,
    u32,
    u64,
)

__all__ = [
    "LOSS_REASONS",
    "RECORDS",
    "ROLES",
    "Address",
    "Chunk",
    "Clock",
    "Close",
    "Closed",
    "Comm",
    "Connection",
    "ConnectionEvent",
    "Context",
    "Data",
    "Direction",
    "Drops",
    "End",
    "Envelope",
    "Flow",
    "Gap",
    "Gone",
    "Grpc",
    "Headers",
    "Http",
    "Inside",
    "Kind",
    "Lost",
    "Message",
    "Missed",
    "Offsets",
    "OnConnection",
    "Open",
    "Opened",
    "Process",
    "Program",
    "Query",
    "QueryError",
    "QueryShape",
    "RawData",
    "Record",
    "Request",
    "Response",
    "ServerSentEvent",
    "Session",
    "Summary",
    "Tail",
    "Target",
    "Text",
    "Totals",
    "WebSocket",
    "u8",
    "u16",
    "u32",
    "u64",
]
