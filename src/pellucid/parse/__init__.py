"""Ordered bytes of connections in, messages out: the public face of the parse stage."""

from pellucid.parse.choose import Parse
from pellucid.parse.limits import Limits
from pellucid.parse.protocol import Ending, Held, Protocol, ProtocolError, Upgrade, Verdict

__all__ = ["Ending", "Held", "Limits", "Parse", "Protocol", "ProtocolError", "Upgrade", "Verdict"]
