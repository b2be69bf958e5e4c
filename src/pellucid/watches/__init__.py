"""What each command has watched: which object it loads, where it attaches, what it tells of while it runs."""

from pellucid.watches.base import About, Watch
from pellucid.watches.keys import Keys
from pellucid.watches.packets import Packets
from pellucid.watches.plaintext import Plaintext
from pellucid.watches.shells import Shells

__all__ = ["About", "Keys", "Packets", "Plaintext", "Shells", "Watch"]
