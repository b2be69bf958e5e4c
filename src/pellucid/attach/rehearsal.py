"""Probes that do what a capture does: find libssl, load the object, attach, for this process only.

Each returns what it found, and raises PellucidError where it cannot be done.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pellucid import plugins
from pellucid.attach.filters import Filter
from pellucid.attach.loader import Tracing, find_sites, ring_bytes
from pellucid.attach.targets import find_targets
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


def _sites() -> list[tuple[FoundTarget, list[Site]]]:
    return [(target, find_sites(target, _library())) for target in find_targets(_library(), None, None)]


def libssl() -> str:
    """The files that `pellucid tls` watches when it is told none."""
    return ", ".join(target.display for target in find_targets(_library(), None, None))


def inner_functions() -> str:
    """Whether each call's inner function was found in each file."""
    for target, sites in _sites():
        for site in sites:
            if site.reason:
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
            tracing.attach(target, number, library, sites)
    return (
        f"probes were put on libssl for this process, and removed ({len(found)} file{'s'[: len(found) != 1]})"
    )
