"""Temporary probes on reads and writes, by which the secrets of connections that are older than the capture come.

They go from a file once every connection that its programs had was read, or after a stated time. How many these
were is known of their sockets; a socket need not carry TLS, so what is left is an upper bound.
"""

from __future__ import annotations

import time
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.loader import find_fields, find_sites
from pellucid.attach.sockets import connected_sockets
from pellucid.errors import PellucidError
from pellucid.libbpf import Link, Site, attach_uprobes, close_links
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from pellucid.attach.facts import Fields
    from pellucid.attach.images import Images, Key
    from pellucid.attach.library import Library
    from pellucid.attach.targets import FoundTarget
    from pellucid.libbpf import BpfObject

PROGRAM = "connection_used"
"""Of keylog.bpf.c."""

_NEEDED = ("client_random", "version", "handshake", "cipher", "master_key")
_KEY, _COUNT = Struct("<I"), Struct("<q")


class _Window(NamedTuple):
    """A file whose older connections are waited for."""

    name: str
    links: list[Link]
    sockets: int
    """That its programs had, connected, when it began."""
    end: float
    """By the monotonic clock, in seconds."""


class OlderConnections:
    """The temporary probes of all files; until `finish`.

    They wait for `seconds` each. `describe` tells the loaded `programs` where a target's objects keep things. `images`
    must outlive it. With `pid` only that process is meant.
    """

    def __init__(
        self,
        programs: BpfObject,
        describe: Callable[[int, Fields], None],
        library: Library,
        images: Images,
        seconds: float,
        *,
        pid: int | None,
        multi: bool,
    ) -> None:
        self._programs = programs
        self._program = programs.program(PROGRAM)
        self._lefts = programs.map("ends_left")
        self._describe = describe
        self._library = library
        self._images = images
        self._seconds = seconds
        self._pid = pid
        self._multi = multi
        self._windows: dict[int, _Window] = {}
        """By the number of the target."""
        self._unread = 0

    def wait_for(self, target: FoundTarget, number: int) -> None:
        """Wait for the connections that this target's programs have by now; its new ones are logged already.

        Where none of its programs is connected, it needs no probe.
        """
        sockets = 0
        try:
            sockets = len(connected_sockets(self._programs, self._users(target.key)))
            if not sockets:
                return
            links = self._probe(target, number, sockets)
        except PellucidError as error:
            self._unread += sockets
            log.warning("%s: no secrets of its older connections can be read: %s", target.display, error)
        else:
            end = time.monotonic() + self._seconds
            self._windows[number] = _Window(target.display, links, sockets, end)

    def _users(self, key: Key) -> set[int]:
        """The processes that map a file."""
        pids = {area.pid for area in self._images.areas() if area.key == key}
        return pids if self._pid is None else pids & {self._pid}

    def _probe(self, target: FoundTarget, number: int, sockets: int) -> list[Link]:
        fields = find_fields(target)
        missing = [name for name in _NEEDED if name not in fields]
        if missing:
            raise PellucidError(f"its code does not tell where it keeps {', '.join(missing)}")
        self._describe(number, fields)
        sites = find_sites(target, self._library)
        if any(site.handle for site in sites):  # an inner function that has the object elsewhere
            sites = find_sites(target, self._library, entry_only=True)
        self._lefts.update(_KEY.pack(number), _COUNT.pack(sockets))
        try:
            return attach_uprobes(
                self._program,
                str(target.path),
                [Site(site.offset, number) for site in sites],
                pid=self._pid or 0,
                at_return=False,
                multi=self._multi,
            )
        except PellucidError:
            self._lefts.delete(_KEY.pack(number))
            raise

    def renew(self) -> None:
        """To be called every second or so: remove the probes that have done their work, or whose time is over."""
        now = time.monotonic()
        self._end(
            [number for number, each in self._windows.items() if now >= each.end or not self._left(number)]
        )

    def _left(self, number: int) -> int:
        """Sockets of which no connection was read."""
        raw = self._lefts.lookup(_KEY.pack(number))
        return max(int(_COUNT.unpack(raw)[0]), 0) if raw else self._windows[number].sockets

    def _end(self, numbers: Collection[int]) -> None:
        close_links([link for number in numbers for link in self._windows[number].links])
        for number in numbers:
            left = self._left(number)
            window = self._windows.pop(number)
            self._lefts.delete(_KEY.pack(number))
            self._unread += left
            log.info(
                "%s: of %d connections that were there before, %d have been read%s",
                window.name,
                window.sockets,
                window.sockets - left,
                f"; {left} were idle, or carry no TLS" if left else "",
            )

    def leave(self, numbers: Iterable[int]) -> None:
        """Wait for those of these targets no longer."""
        self._end([number for number in numbers if number in self._windows])

    def finish(self) -> None:
        """Wait no longer."""
        self._end([*self._windows])

    @property
    def unread(self) -> int:
        """How many connections have not been read, at most; those that are still waited for among them."""
        return self._unread + sum(self._left(number) for number in self._windows)
