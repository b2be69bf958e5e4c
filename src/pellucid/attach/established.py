"""Temporary probes on reads and writes, by which the secrets of connections that are older than the capture come.

They go from a file once every connection that its programs had was read, or after a stated time. How many these
were is known of their sockets; a socket need not carry TLS, so what is left is an upper bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from pellucid.attach.loader import find_sites
from pellucid.attach.sockets import connected_sockets
from pellucid.libbpf import BpfError, Link, Site, attach_uprobes, close_links
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pellucid.attach.facts import Fields
    from pellucid.attach.library import Library
    from pellucid.attach.targets import FoundTarget
    from pellucid.libbpf import BpfObject

PROGRAM = "connection_used"
"""Of keylog.bpf.c; to be made one for uprobe_multi links where these are there."""

_NEEDED = ("client_random", "version", "handshake", "cipher", "master_key")
_KEY, _COUNT = Struct("<I"), Struct("<Q")


@dataclass
class _Window:
    """A file whose older connections are looked for."""

    name: str
    links: list[Link]
    sockets: int
    """That its programs had, connected, when it began."""
    end: float
    """By the monotonic clock, in seconds."""


class OlderConnections:
    """The temporary probes of all files; until `close`. `pid` 0 watches every process."""

    def __init__(
        self, programs: BpfObject, library: Library, *, pid: int, multi: bool, seconds: float
    ) -> None:
        self._object = programs
        self._library = library
        self._pid = pid
        self._multi = multi
        self._seconds = seconds
        self._windows: dict[int, _Window] = {}
        """By the number of the target."""
        self._unread = 0
        self._asked = False

    def attach(self, target: FoundTarget, number: int, fields: Fields, pids: Iterable[int]) -> None:
        """Look for the connections that these processes have by now: `number` is the target's, whose secrets are
        logged already and whose `fields` the programs know. Where none is connected, no probe is needed.
        """
        if not self._seconds:
            return
        self._asked = True
        sockets = len(connected_sockets(pids))
        if not sockets:
            return
        missing = [name for name in _NEEDED if name not in fields]
        try:
            links = [] if missing else self._probe(target, number)
        except BpfError as error:
            missing, links = [str(error)], []
        if missing:
            self._unread += sockets
            log.warning(
                "%s: secrets of its %d older connections cannot be read: not known where it keeps %s",
                target.display,
                sockets,
                ", ".join(missing),
            )
            return
        self._windows[number] = _Window(target.display, links, sockets, time.monotonic() + self._seconds)

    def _probe(self, target: FoundTarget, number: int) -> list[Link]:
        sites = find_sites(target, self._library)
        if any(site.handle for site in sites):  # an inner function that has the object elsewhere
            sites = find_sites(target, self._library, entry_only=True)
        self._object.map("ends_read").update(_KEY.pack(number), _COUNT.pack(0))
        return attach_uprobes(
            self._object.program(PROGRAM),
            str(target.path),
            [Site(site.offset, number) for site in sites],
            pid=self._pid,
            at_return=False,
            multi=self._multi,
        )

    def renew(self) -> None:
        """To be called every second or so: remove the probes that have done their work, or whose time is over."""
        now = time.monotonic()
        self._end(
            [number for number, each in self._windows.items() if now >= each.end or self._left(number) == 0]
        )

    def _left(self, number: int) -> int:
        """Sockets of which no connection was read."""
        raw = self._object.map("ends_read").lookup(_KEY.pack(number))
        (read,) = _COUNT.unpack(raw) if raw else (0,)
        return max(self._windows[number].sockets - int(read), 0)

    def _end(self, numbers: Collection[int]) -> None:
        for number in numbers:
            left = self._left(number)
            window = self._windows.pop(number)
            close_links(window.links)
            self._object.map("ends_read").delete(_KEY.pack(number))
            self._unread += left
            log.info(
                "%s: of %d connections that were there before, %d have been read%s",
                window.name,
                window.sockets,
                window.sockets - left,
                f"; {left} were idle, or carry no TLS" if left else "",
            )

    def forget(self, numbers: Iterable[int]) -> None:
        """These files are left: their probes go as well."""
        self._end([number for number in numbers if number in self._windows])

    def finish(self) -> int | None:
        """Remove all of them; how many connections have not been read, at most. None where nobody has looked."""
        self._end([*self._windows])
        return self._unread if self._asked else None

    def close(self) -> None:
        """Remove all of them."""
        close_links([link for each in self._windows.values() for link in each.links])
        self._windows.clear()
