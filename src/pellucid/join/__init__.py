"""From records to ordered bytes: one stream for each direction of each connection, with its holes."""

from pellucid.join.join import Join
from pellucid.join.select import Select

__all__ = ["Join", "Select"]
