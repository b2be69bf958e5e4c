"""The command `pellucid`, also as `python -m pellucid`."""

from __future__ import annotations

import os
import sys

from pellucid.errors import PellucidError

_CLOSED = ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY))
"""How each closed stream is opened: to write to stdout is then an error, and the log goes nowhere."""


def main() -> None:
    """Run the command line; one line where Pellucid itself is not complete, for then nothing can be imported."""
    open_closed_streams()
    try:
        from pellucid.cli import main as run  # noqa: PLC0415 - the import is what may fail
    except (ImportError, PellucidError) as error:
        sys.exit(f"pellucid: not completely installed: {error} (make setup builds it again)")
    run()


def open_closed_streams() -> None:
    """Take the numbers 0 to 2 where the caller has closed them (`>&-`), lest a file of ours gets one.

    What is written to a stream, by whatever library, would then be written into that file.
    """
    for fd, flags in _CLOSED:
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # the lowest free number, which is `fd`
    if sys.stderr is None:  # so it is where the interpreter found it closed
        sys.stderr = os.fdopen(2, "w", closefd=False)


if __name__ == "__main__":
    main()
