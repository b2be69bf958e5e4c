"""Paths that the kernel names part by part, last part first."""

from __future__ import annotations


def path_of(names: bytes) -> str | None:
    r"""`b"curl\0bin\0usr\0"` is `/usr/bin/curl`; None where there is no name.

    The kernel puts `...` in the place of what it did not follow (`add_path` in bpf/process.h).
    """
    parts = names.split(b"\0")[:-1]
    return "/" + b"/".join(reversed(parts)).decode(errors="backslashreplace") if parts else None
