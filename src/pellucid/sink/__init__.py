"""The last stage: messages become bytes on a file descriptor, one output format a file."""

from pellucid.sink.base import Sink, SinkOptions, Tap
from pellucid.sink.output import Missed, Output, OutputClosed, Rotation
from pellucid.sink.spec import STDOUT, ZSTD, Endpoint, SinkSpec, parse_spec

__all__ = [
    "STDOUT",
    "ZSTD",
    "Endpoint",
    "Missed",
    "Output",
    "OutputClosed",
    "Rotation",
    "Sink",
    "SinkOptions",
    "SinkSpec",
    "Tap",
    "parse_spec",
]
