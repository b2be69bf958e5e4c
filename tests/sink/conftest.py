"""A way to see what a sink writes to a real descriptor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pellucid.sink import Output, Sink, SinkOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.model import Message


@pytest.fixture(scope="session")
def render() -> Callable[..., str]:
    """Return a function that writes messages through a sink and returns what its descriptor got."""

    def written(sink_class: type[Sink], *messages: Message, **options: Any) -> str:
        fd = os.memfd_create("sink")
        with os.fdopen(os.dup(fd), "rb") as file:
            sink = sink_class(Output(fd, "memory"), SinkOptions(**options))
            sink.begin()
            for message in messages:
                sink.write(message)
            sink.close()
            file.seek(0)
            return file.read().decode()

    return written
