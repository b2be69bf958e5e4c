"""The live source: batches from the drained rings, and the context that the tracer sends, as they come."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from pellucid.capture.envelope import pack, pack_context
from pellucid.channel import Channel, Finish, Ring, Settle, Tell
from pellucid.libbpf.drain import Drain
from pellucid.model import Kind, Offsets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.channel import Anything


class Live:
    """Iterate to get batches of envelopes, of up to `capacity` bytes, until the tracer ends the stream, or itself."""

    def __init__(self, channel: Channel, capacity: int) -> None:
        self._channel = channel
        self._capacity = capacity
        self._drains: dict[int, Drain] = {}
        self._finished = False
        self.tracer_gone = False
        """Set when the stream ended because the tracer did; the rings were drained all the same."""

    def __iter__(self) -> Iterator[bytes | memoryview]:
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        while not self._finished:
            ready = {fd for fd, _ in poll.poll()}
            yield from self._drain()
            if self._channel.fileno() in ready:
                message, fds = self._channel.receive()
                yield from self._hear(message, fds, poll)
        yield pack(Kind.END)

    def _drain(self) -> Iterator[memoryview]:
        """What has been moved so far; more makes the drain's descriptor readable again."""
        for drain in self._drains.values():
            batch = drain.take()
            if len(batch):
                yield batch

    def _settle(self) -> Iterator[memoryview]:
        """Everything that the rings hold now."""
        for drain in self._drains.values():
            yield from drain.settle()

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
                drain = Drain(fds[0], message.size, message.object, self._capacity)
                os.close(fds[0])
                self._drains[message.object] = drain
                poll.register(drain.ready_fd, select.POLLIN)
            case Settle():
                yield from self._settle()
            case Finish():
                self._finished = True
            case None:
                self.tracer_gone = self._finished = True
                yield from self._settle()
            case _:
                raise TypeError(f"the tracer never says {message}")

    def close(self) -> None:
        """Stop draining."""
        for drain in self._drains.values():
            drain.close()
        self._drains.clear()
