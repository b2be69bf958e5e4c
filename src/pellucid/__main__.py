"""The command `pellucid`, also as `python -m pellucid`."""

from __future__ import annotations

import sys

from pellucid.errors import PellucidError


def main() -> None:
    """Run the command line; one line where Pellucid itself is not complete, for then nothing can be imported."""
    try:
        from pellucid.cli import main as run  # noqa: PLC0415 - the import is what may fail
    except (ImportError, PellucidError) as error:
        sys.exit(f"pellucid: not completely installed: {error} (make setup builds it again)")
    run()


if __name__ == "__main__":
    main()
