"""The few errors that reach a user: one line that says what failed, on what, and what to do."""

from __future__ import annotations


class PellucidError(Exception):
    """Shown as one line without a traceback; the program ends with `exit_status`."""

    exit_status = 1


class UsageError(PellucidError):
    """The command line asks for something that cannot be; exit status 2."""

    exit_status = 2


class Unsupported(PellucidError):  # noqa: N818 - named by what it says
    """Something that this machine lacks: the name of the feature, and what to do to have it.

    The words are those of `attach/features.py`, which `pellucid doctor` shows too.
    """

    def __init__(self, feature: str, needs: str) -> None:
        super().__init__(f"this needs {feature}: {needs} (see pellucid doctor)")
        self.feature = feature
        self.needs = needs


class FormatError(PellucidError):
    """A recording or a BPF object is not what this version of Pellucid reads."""
