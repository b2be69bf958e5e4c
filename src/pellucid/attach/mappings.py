"""Probes of the features by which mapped files are known. Each returns what it found.

All raise PellucidError, with the kernel's reason, where the feature is not there.
"""

from __future__ import annotations

from pellucid.attach.images import Images
from pellucid.attach.watch import Watch


def iterator() -> str:
    """The files that are mapped now."""
    with Images() as images:
        files = {area.key for area in images.areas()}
    return f"{len(files)} files are in use"


def news() -> str:
    """Records of new mappings."""
    with Watch():
        return "the kernel tells of new mappings"
