"""The last stage: messages become bytes on a file descriptor, one output format a file."""

from pellucid.sink.base import Sink, SinkOptions
from pellucid.sink.output import Output, OutputClosed
from pellucid.sink.spec import STDOUT, SinkSpec, parse_spec

__all__ = ["STDOUT", "Output", "OutputClosed", "Sink", "SinkOptions", "SinkSpec", "parse_spec"]
