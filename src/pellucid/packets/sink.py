"""The pcapng file of a capture of packets.

    PACKETS (blocks in a row)  ----------------------------------------------------> the file, in one write a batch
    HELD (one block of a flow) --> Hold --keyed, or the kernel waits no longer-----> the file
    secret                     ----------------> Decryption Secrets Block ---------> the file, at once
    Interface, Interfaces      ----------------> Interface Description, Statistics-> the file

So secrets stand before the packets that need them: the kernel says that a flow is keyed after it has handed on the
last of its secrets, and both come through one ring.
"""

from __future__ import annotations

import os
import re
import struct
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from pellucid import pcapng
from pellucid.errors import FormatError
from pellucid.log import log
from pellucid.model import Clock, Envelope, Interface, Interfaces, Keyed, Kind, Message, Secret
from pellucid.packets.hold import PATIENCE_NS, Hold
from pellucid.packets.secrets import Secrets
from pellucid.sink.blocks import BlockSink

if TYPE_CHECKING:
    from pellucid.model import Context, Record
    from pellucid.sink import Output, SinkOptions

REMEMBERED = 2048
"""Connections whose packets were written without keys, which may still come."""

_FLOW = struct.Struct("<Q")
_TIME = struct.Struct("<II")
_TIME_AT = 12
"""Where an Enhanced Packet Block has its time (draft-ietf-opsawg-pcapng-03 section 4.3)."""

_HELLO = re.compile(rb"\x16\x03...\x01...\x03.(.{32})", re.DOTALL)
"""A TLS record with a ClientHello up to its random bytes (RFC 8446 sections 5.1 and 4.1.2)."""

_APPLICATION = f"Pellucid {version('pellucid')}"  # here, since the decoder may not read files


class Totals(NamedTuple):
    """What became of the packets that the kernel saw and the filter let pass."""

    wanted: int
    lost: int


class PacketSink(BlockSink):
    """Of what messages are made of it needs secrets only; the packets come to `take`, as they are to stand in the file."""

    format = "packets"

    def __init__(self, output: Output, options: SinkOptions, held: int) -> None:
        """Packets that wait take at most `held` bytes."""
        super().__init__(output, options)
        self._hold = Hold(held)
        self._interfaces: list[pcapng.Interface] = []
        self._counts: dict[int, tuple[int, int]] = {}
        self._told: dict[int, int] = {}
        """Packets of each interface that the file says are lost."""
        self._boot_to_wall = 0
        self._began = 0
        """When what this file counts began, in nanoseconds since 1970."""
        self._before: dict[int, tuple[int, int]] = {}
        """What earlier files of a rotation have counted."""
        self._secrets = Secrets()
        self._keyless: dict[bytes, int] = {}
        """Connections whose packets were written without keys, by the client's random: when their hello was sent."""
        self.late = 0
        """Connections whose keys came after packets that need them, or whose packets came too late behind their keys."""
        self._unheard = False
        """Whether one of the latter was told."""
        self.left_out: dict[str, int] | None = None
        """As in `Interfaces`."""

    # --- as a sink --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Append the head of a section, and what is known by now: interfaces and secrets."""
        self._put(pcapng.section_header(_APPLICATION, _system()))
        for interface in self._interfaces:
            self._put(pcapng.interface_description(interface))
        lines = self._secrets.lines()
        if lines:
            self._put(pcapng.decryption_secrets(lines))

    def write(self, message: Message) -> None:
        """Pass over it: a file of packets has no place for messages."""

    def flush(self) -> None:
        """Write what has come, in one piece; of that which has waited too long as well."""
        for flow, late in self._hold.overdue(time.monotonic_ns()):
            self._release(flow, keyed=False, late=late)
        super().flush()

    def finish(self) -> None:
        """Append how the interfaces did."""
        for interface in self._counts:
            self._put(self._statistics(interface))
        self._before = dict(self._counts)
        self._began = time.time_ns()
        super().finish()

    def close(self) -> None:
        """Append what still waits, and how the interfaces did; raises as `write` does."""
        for flow in self._hold.flows():
            self._release(flow, keyed=False)
        super().close()

    # --- what packets bring -----------------------------------------------------------------------------

    def take(self, envelope: Envelope) -> None:
        """Append blocks, or have one wait; the payload must stay as it is until the next flush."""
        payload = memoryview(envelope.payload)
        (flow,) = _FLOW.unpack_from(payload)
        blocks = payload[_FLOW.size :]
        if envelope.kind == Kind.HELD:
            self._hold.add(flow, bytes(blocks), time.monotonic_ns())
            return
        if flow:
            self._release(flow, keyed=False)
        self._make_room(len(blocks))
        self._put(blocks)

    def tell(self, value: Record | Context) -> None:
        """Take what else is to be known: of all records and contexts, those that packets have to do with."""
        match value:
            case Secret():
                self._secret(value)
            case Keyed():
                self._release(value.flow, keyed=True)
            case Interface():
                self._interface(value)
            case Interfaces():
                self._count(value)
            case Clock():
                self._boot_to_wall = value.wall - value.boot
                self._began = self._began or value.wall

    @property
    def totals(self) -> Totals:
        """Of all interfaces."""
        counts = self._counts.values()
        return Totals(sum(wanted for wanted, _ in counts), sum(lost for _, lost in counts))

    @property
    def keyless(self) -> int:
        """Connections, of those that came last, whose keys have not come at all."""
        return len(self._keyless)

    def _secret(self, secret: Secret) -> None:
        line = self._secrets.add(secret)
        if line is None:
            return
        self._put(pcapng.decryption_secrets(line))
        hello = self._keyless.pop(bytes(secret.random), None)
        if hello is not None:
            self._say_late(secret, secret.time + self._boot_to_wall - hello)

    def _say_late(self, secret: Secret, delay: int) -> None:
        self.late += 1
        if self.late == 1:
            log.warning(
                "keys of %s[%d] came %.1f s after its hello, behind packets that need them: that connection stays encrypted",
                secret.comm.split(b"\0", 1)[0].decode(errors="replace"),
                secret.pid,
                delay / 1e9,
            )

    def _say_unheard(self) -> None:
        self.late += 1
        if not self._unheard:
            log.warning(
                "packets of a connection waited %d s, though its keys were there: that it has them was lost, for want of"
                " room in the ring; packets that follow may stand before them, and stay encrypted",
                PATIENCE_NS // 10**9,
            )
        self._unheard = True

    def _interface(self, interface: Interface) -> None:
        if interface.id != len(self._interfaces):
            raise FormatError(
                f"interface {interface.id} ({interface.name}) comes after {len(self._interfaces)} others"
            )
        described = pcapng.Interface(
            interface.link_type,
            interface.name,
            description=interface.description,
            filter=interface.filter,
            os=_system(),
        )
        self._put(pcapng.interface_description(described))
        self._interfaces.append(described)

    def _count(self, interfaces: Interfaces) -> None:
        self.left_out = interfaces.left_out
        for interface, wanted, lost in interfaces.counts:
            self._counts[interface] = wanted, lost
            if lost > self._told.get(interface, 0):  # a file that has no end tells of it too
                self._put(self._statistics(interface))
                self._told[interface] = lost

    def _statistics(self, interface: int) -> bytes:
        now = time.time_ns()
        (wanted, lost), (wanted_before, lost_before) = (
            self._counts[interface],
            self._before.get(interface, (0, 0)),
        )
        return pcapng.interface_statistics(
            pcapng.Statistics(
                interface,
                now,
                began=self._began,
                ended=now,
                dropped=lost - lost_before,
                accepted=wanted - wanted_before,
            )
        )

    def _release(self, flow: int, *, keyed: bool, late: bool = False) -> None:
        """Write what waits of a flow; without `keyed` its secrets are not known to have come. With `late` nothing was heard
        of it for so long that the kernel has let it go, whose word for that was lost then.
        """
        blocks = self._hold.release(flow)
        hello = _HELLO.search(blocks[0]) if blocks and not keyed else None
        if hello and not self._secrets.some(hello[1]):
            high, low = _TIME.unpack_from(blocks[0], _TIME_AT)
            self._keyless[hello[1]] = high << 32 | low
            if len(self._keyless) > REMEMBERED:
                del self._keyless[next(iter(self._keyless))]
        if hello and late and self._secrets.all(hello[1]):
            self._say_unheard()
        for block in blocks:
            self._put(block)


def _system() -> str:
    """What packets came through, in the words of `uname -sr`."""
    name = os.uname()
    return f"{name.sysname} {name.release}"
