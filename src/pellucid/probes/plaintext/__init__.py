"""The kernel half that all libraries with plain read and write calls share: plaintext.bpf.c."""

from pathlib import Path

from pellucid.errors import PellucidError


def _find(name: str) -> Path:
    """The object beside this file; an editable install keeps built files in a second folder."""
    for folder in __path__:
        path = Path(folder, name)
        if path.exists():
            return path
    raise PellucidError(f"{name} was not built: run make setup")


OBJECT = _find("plaintext.bpf.o")
