"""Probes that do what a capture does: find libssl, load the object, attach, for this process only.

Each returns what it found, and raises PellucidError where it cannot be done.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pellucid import plugins
from pellucid.attach.filters import Filter
from pellucid.attach.ldcache import CACHE
from pellucid.attach.loaded import ring_bytes
from pellucid.attach.loader import Tracing, find_points, find_sites
from pellucid.attach.maps import Maps
from pellucid.attach.targets import installed_targets
from pellucid.errors import PellucidError
from pellucid.probes.plaintext import OBJECT
from pellucid.settings import Tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.attach.library import Library
    from pellucid.attach.sites import Site
    from pellucid.attach.targets import FoundTarget


def _library() -> Library:
    library: Library = plugins.load(plugins.PROBES)["openssl"]
    return library


def _installed() -> list[FoundTarget]:
    """What the dynamic linker would load."""
    return [target for _, target in installed_targets(_library(), Maps())]  # may be asked without root


def _sites() -> list[tuple[FoundTarget, list[Site]]]:
    return [(target, find_sites(target, _library())) for target in _installed()]


def libssl() -> str:
    """The installed files that `pellucid tls` watches when it is told none. PellucidError where there are none."""
    found = _installed()
    if not found:
        raise PellucidError(f"the dynamic linker's cache ({CACHE}) has no {_library().title}")
    return ", ".join(target.display for target in found)


def inner_functions() -> str:
    """Whether each call's inner function was found, in one file at least: `pellucid targets` has each."""
    found = _sites()
    bare = [(target, site) for target, sites in found for site in sites if site.reason]
    if len({target.key for target, _ in bare}) == len(found):
        target, site = bare[0]
        raise PellucidError(f"{target.display}: {site.symbol} itself is probed: {site.reason}")
    return "found: what all public calls share"


@contextmanager
def _loaded() -> Iterator[Tracing]:
    tracing = Tracing(OBJECT, ring_bytes(Tls().mapsize), Filter(pid=os.getpid()))
    try:
        yield tracing
    finally:
        tracing.close()


def load() -> str:
    """Whether the kernel takes the programs."""
    with _loaded():
        return f"{OBJECT.name} loads, and the verifier agrees"


def attach() -> str:
    """Whether probes can be put where a capture puts them; they see no process but this one."""
    found, library = _sites(), _library()
    with _loaded() as tracing:
        tracing.attach_tracepoints()
        for number, (target, sites) in enumerate(found, start=1):
            tracing.attach(target, number, find_points(target, library, sites))
    if not found:
        return "no library is installed on which it could be tried"
    return (
        f"probes were put on libssl for this process, and removed ({len(found)} file{'s'[: len(found) != 1]})"
    )
