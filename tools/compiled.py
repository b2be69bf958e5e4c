"""Compile the hot path with mypyc: `tools/compiled.py SRC OUT` (CMakeLists.txt does, for wheels).

`SRC` is the folder that has the package; extension modules are put into `OUT` in its layout, to lie beside the sources.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup

MODULES = (
    "join/join",
    "parse/body",
    "parse/budget",
    "parse/choose",
    "parse/evict",
    "parse/hpack",
    "parse/hpack_huffman",
    "parse/hpack_static",
    "parse/http1",
    "parse/http1_exchange",
    "parse/http1_fields",
    "parse/http1_framing",
    "parse/http1_head",
    "parse/http1_side",
    "parse/http2",
    "parse/http2_control",
    "parse/http2_exchanges",
    "parse/http2_frames",
    "parse/http2_head",
    "parse/http2_seek",
    "parse/http2_side",
    "parse/http2_streams",
    "parse/live",
    "parse/raw",
    "parse/stream",
    "parse/template",
    "parse/text",
    "parse/times",
)
"""What every chunk of HTTP goes through, from the record to the message. Compiled, these take half the time, though they are
the same Python: types that mypy has checked become checks when the program runs, names that it has resolved become calls
in C. Left out on purpose: classes that others extend (`parse/protocol`, `parse/carried`), for plain Python could not
extend them any more; what is written in C anyway (the messages are msgspec's); and what runs once a connection.
"""

GROUP = "pellucid"
"""All of them are in one library, `pellucid__mypyc`, and call each other without Python between; the extension modules only name
its parts. It lies beside the package and not in it: mypyc reckons the modules' `__file__` from there."""


def compile_modules(src: Path, out: Path) -> None:
    """Put an extension module for each of `MODULES` into `out`. Exits with mypy's messages where one has a wrong type."""
    work = out.parent / "mypyc"
    options = [f"--cache-dir={work / 'cache'}", "--config-file=", "--ignore-missing-imports"]
    os.chdir(src)  # the modules' names, and the file names in tracebacks, are relative to it
    files = [f"pellucid/{module}.py" for module in MODULES]
    extensions = mypycify([*options, *files], group_name=GROUP, target_dir=str(work), debug_level="0")
    folders = [f"--build-lib={out}", f"--build-temp={work}"]
    setup(
        name="pellucid", packages=[], ext_modules=extensions, script_args=["--quiet", "build_ext", *folders]
    )


if __name__ == "__main__":
    compile_modules(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
