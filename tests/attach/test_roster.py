"""What the roster does with news of mappings, before anything is read."""

from pellucid.attach.images import Area
from pellucid.attach.roster import Roster
from pellucid.attach.watch import Mapping


class NothingOpened:
    """Stands for `Images`, where no path may be looked at."""

    def key(self, path):
        """Fail."""
        raise AssertionError(f"{path} was opened")


def test_a_name_that_proves_nothing_is_not_opened():
    """Of a mapping whose key the kernel does not vouch for, the name, which a container chooses, is left alone."""
    roster = Roster.__new__(Roster)  # without the kernel's help, which takes root
    roster._images = NothingOpened()
    overlay = Mapping(Area(1, 1, 0, 4096, device=40, inode=7, generation=0), "/dev/watchdog")
    assert not overlay.proven
    assert roster._by_name(overlay) is None
