"""Ordered bytes of connections in, messages out: the public face of the parse stage."""

from pellucid.parse.choose import Parse
from pellucid.parse.limits import Limits
from pellucid.parse.protocol import Ending, Held, Protocol, ProtocolError, Verdict

__all__ = ["Ending", "Held", "Limits", "Parse", "Protocol", "ProtocolError", "Verdict"]
