"""The live source: batches from the drained rings, and the context that the tracer sends, as they come."""

from __future__ import annotations

import os
import select
from collections import deque
from typing import TYPE_CHECKING

from pellucid.capture.envelope import pack, pack_context
from pellucid.channel import Finish, Logged, Opened, Ring, Settle, Tell
from pellucid.decode.btf import Btf
from pellucid.errors import FormatError
from pellucid.libbpf.drain import Drain
from pellucid.libbpf.packets import PacketDrain
from pellucid.model import Interface, Kind, Offsets, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.channel import Anything
    from pellucid.inbox import Inbox


class Live:
    """Iterate to get batches of envelopes, of up to `capacity` bytes, until the tracer ends the stream, or itself.

    A batch is empty where nothing came, but an output can go on that its reader had held up, and with `idle`, in seconds,
    whenever nothing has come for so long.
    """

    def __init__(self, channel: Inbox, capacity: int, idle: float | None = None) -> None:
        self._channel = channel
        self._capacity = capacity
        self._idle = None if idle is None else idle * 1000
        self._drains: dict[int, Drain] = {}
        self._finished = False
        self._heard: deque[tuple[Anything | None, list[int]]] = deque()
        self.tracer_gone = False
        """Set when the stream ended because the tracer did; the rings were drained all the same."""

    def __iter__(self) -> Iterator[bytes | memoryview]:
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        poll.register(self._channel.connections, select.POLLIN)
        while not self._finished:
            ready = dict(poll.poll(0 if self._channel.pending else self._idle))
            yield from self._drain()
            if not ready or self._channel.connections.fileno() in ready:
                yield b""
            if not self._heard and self._channel.readable():
                self._heard.append(self._channel.receive())
            while self._heard:
                yield from self._hear(*self._heard.popleft(), poll)
        yield pack(Kind.END)

    def _drain(self) -> Iterator[bytes | memoryview]:
        """What has been moved so far; more makes the drain's descriptor readable again."""
        for drain in self._drains.values():
            batch = drain.take()
            if len(batch):
                yield from self._introductions()
                yield batch

    def _settle(self) -> Iterator[bytes | memoryview]:
        """Everything that the rings hold now."""
        for drain in self._drains.values():
            for batch in drain.settle():
                yield from self._introductions()
                yield batch

    def _introductions(self) -> Iterator[bytes]:
        """The targets and interfaces that the records just taken may be of: they were told before there were any, and
        go first.
        """
        while self._channel.readable():
            message, fds = self._channel.receive()
            if isinstance(message, Tell) and isinstance(message.context, Target | Interface):
                yield pack_context(message.context)
                continue
            self._heard.append((message, fds))
            if message is None:
                return

    def _hear(
        self, message: Anything | None, fds: list[int], poll: select.poll
    ) -> Iterator[bytes | memoryview]:
        match message:
            case Tell():
                if isinstance(message.context, Offsets):  # it is about what came before it
                    yield from self._settle()
                yield pack_context(message.context)
            case Ring():
                yield pack(Kind.OBJECT, message.btf, message.object)
                drain = self._drain_of(message, fds[0])
                os.close(fds[0])
                self._drains[message.object] = drain
                poll.register(drain.ready_fd, select.POLLIN)
            case Opened() | Logged():
                yield b""
            case Settle():
                yield from self._settle()
            case Finish():
                self._finished = True
            case None:
                self.tracer_gone = self._finished = True
                yield from self._settle()
            case _:
                raise TypeError(f"the tracer never says {message}")

    def _drain_of(self, ring: Ring, fd: int) -> Drain:
        if not ring.packets:
            return Drain(fd, ring.size, ring.object, self._capacity)
        packet = Btf(ring.btf).struct("packet")
        if packet is None:
            raise FormatError("the BPF object has no struct packet")
        return PacketDrain(fd, ring.size, ring.object, self._capacity, packet.id)

    def close(self) -> None:
        """Stop draining."""
        for drain in self._drains.values():
            drain.close()
        self._drains.clear()
