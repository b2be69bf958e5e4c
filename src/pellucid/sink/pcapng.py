"""pcapng of the plaintext, for Wireshark: each connection as synthetic TCP, where packets themselves cannot be had."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar

from pellucid.model import Chunk, Close, Gap, Totals
from pellucid.pcapng import (
    RAW_IP,
    Interface,
    Packet,
    Statistics,
    enhanced_packet,
    interface_description,
    interface_statistics,
    section_header,
)
from pellucid.sink.base import Tap
from pellucid.sink.blocks import BlockSink
from pellucid.sink.synthetic import Conversation, documentation_ends, real_ends, split
from pellucid.sink.totals import lost_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pellucid.model import Connection, Flow
    from pellucid.settings import Mode
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.output import Output
    from pellucid.sink.synthetic import Ends, Synthetic

INTERFACE = "pellucid: plaintext, synthetic TCP"
_BLOCK = 64
"""Bytes of a packet's block beside the packet and its comments."""

_APPLICATION = f"Pellucid {version('pellucid')}"  # here, since the decoder may not read files
_HEAD = section_header(_APPLICATION) + interface_description(
    Interface(RAW_IP, INTERFACE, "what programs passed to their TLS library; no packet was ever like this")
)


class _Known:
    """A connection in this file."""

    __slots__ = ("about", "conversation", "ends", "introduced")

    def __init__(self, conversation: Conversation, ends: Ends, about: str) -> None:
        self.conversation = conversation
        self.ends = ends
        self.about = about
        self.introduced = False
        """Whether a packet of the file has said what `about` says."""


class PcapngSink(BlockSink, Tap):
    """A packet for each piece of plaintext; who it is of stands at the first packet of each connection."""

    format = "pcapng"
    not_with: ClassVar[Mapping[Mode, str]] = {
        "keylog": "it holds plaintext, of which none is captured; say -m text, or -m pcap for packets",
        "pcap": "it holds plaintext, of which none is captured; say -m text, or -w FILE for packets",
        "shell": "what is typed into a shell has no connection",
    }

    def __init__(self, output: Output, options: SinkOptions) -> None:
        super().__init__(output, options)
        self._known: dict[int, _Known] = {}
        self._in_use: set[Ends] = set()

    def begin(self) -> None:
        """Append the section's header and its interface; connections that go on say once more who they are."""
        self._put(_HEAD)
        for known in self._known.values():
            known.introduced = False

    def tap(self, flow: Flow) -> None:
        """Append the packets that a piece of the flow becomes."""
        match flow:
            case Chunk() if flow.data:
                known = self._known.get(flow.connection.id) or self._begin(flow, flow.data)
                self._packets(known, flow.time, known.conversation.data(flow.direction, flow.data))
            case Gap():
                known = self._known.get(flow.connection.id) or self._begin(flow, b"")
                lost = f"{flow.size} bytes are missing here: {flow.reason}"
                self._packets(known, flow.time, [known.conversation.gap(flow.direction, flow.size)], lost)
            case Close():
                self._end(flow)
            case Totals():
                self._put(_statistics(flow))

    def _begin(self, flow: Chunk | Gap, first: bytes) -> _Known:
        connection = flow.connection
        real = real_ends(connection, first)
        ends = documentation_ends(connection, first) if real is None or real in self._in_use else real
        known = _Known(Conversation(connection, ends), ends, _about(connection, ends, real))
        self._known[connection.id] = known
        self._in_use.add(ends)
        if not connection.mid:
            self._packets(known, flow.time, known.conversation.open())
        return known

    def _end(self, close: Close) -> None:
        known = self._known.get(close.connection.id)
        if known:
            self._packets(known, close.time, known.conversation.close())
            del self._known[close.connection.id]
            self._in_use.discard(known.ends)

    def _packets(self, known: _Known, time: int, packets: Iterable[Synthetic], *comments: str) -> None:
        for outbound, data in packets:
            self._make_room(len(data) + _BLOCK)  # another file may begin, in which nobody is introduced yet
            about = () if known.introduced else (known.about,)
            block = Packet(0, time, data, outbound=outbound, comments=(*about, *comments))
            self._put(enhanced_packet(block))
            known.introduced = True


def _about(connection: Connection, ends: Ends, real: Ends | None) -> str:
    """Who it is, and what of the packets is not as it was."""
    client, server = split(connection)
    program = connection.program
    words = [
        f"{connection.comm}[{connection.pid}] {connection.role or 'of unknown role'}, {connection.library},",
        f"conn {connection.id}, uid {connection.uid}, executable {program.executable or 'unknown'}",
        *([f"container {program.container}"] if program.container else []),
        f"| {client or 'unknown'} -> {server or 'unknown'}",
        *filter(None, connection.session),
        "| plaintext, synthetic TCP",
    ]
    if connection.mid:
        words.append("| older than the capture: its beginning is missing")
    if real is None:
        words.append("| addresses are not known: these are for documentation (RFC 3849)")
    elif ends != real:
        words.append(
            "| the other end is in this file as well: these addresses are for documentation (RFC 3849)"
        )
    elif server and not server.endswith(f":{ends.server.port}"):
        words.append(f"| port {server.rpartition(':')[2]} is written as {ends.server.port}")
    return " ".join(words)


def _statistics(totals: Totals) -> bytes:
    lost = [f"{lost_size(reason, size)} ({reason})" for reason, size in totals.lost.items()]
    return interface_statistics(
        Statistics(
            0,
            totals.time,
            began=totals.time - round(totals.seconds * 1e9),
            ended=totals.time,
            comments=(f"lost: {', '.join(lost) or 'nothing'}",),
        )
    )
