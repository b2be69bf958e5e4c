"""The last stage: messages become bytes on a file descriptor, one output format a file."""

from pellucid.sink.base import Sink, SinkOptions
from pellucid.sink.output import Output, OutputClosed
from pellucid.sink.spec import SinkSpec, parse_spec

__all__ = ["Output", "OutputClosed", "Sink", "SinkOptions", "SinkSpec", "parse_spec"]
