"""Find probes, parsers and sinks: built-in ones come the same way as anybody else's, by entry point."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from pellucid.errors import PellucidError

PARSERS = "pellucid.parsers"
PROBES = "pellucid.probes"
SHELLS = "pellucid.shells"
SINKS = "pellucid.sinks"


def load(group: str) -> dict[str, Any]:
    """Everything installed in an entry-point group, by name, sorted; one that cannot be loaded is an error."""
    return {point.name: _load(point) for point in sorted(entry_points(group=group), key=lambda at: at.name)}


def _load(point: Any) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise PellucidError(
            f"cannot load {point.value} ({point.group} of {point.dist.name}): {error!r}"
        ) from error
