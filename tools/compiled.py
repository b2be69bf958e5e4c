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
    "parse/bodies/body",
    "parse/bodies/live",
    "parse/budget",
    "parse/choose",
    "parse/evict",
    "parse/http1/exchange",
    "parse/http1/fields",
    "parse/http1/framing",
    "parse/http1/head",
    "parse/http1/length",
    "parse/http1/pairing",
    "parse/http1/parser",
    "parse/http1/side",
    "parse/http2/control",
    "parse/http2/exchanges",
    "parse/http2/frames",
    "parse/http2/head",
    "parse/http2/hpack",
    "parse/http2/huffman",
    "parse/http2/parser",
    "parse/http2/seek",
    "parse/http2/side",
    "parse/http2/static_table",
    "parse/http2/streams",
    "parse/raw",
    "parse/readers",
    "parse/stream",
    "parse/template",
    "parse/text",
    "parse/times",
)
"""What every chunk of HTTP goes through, from the record to the message. Compiled, these take half the time, though they are
the same Python: types that mypy has checked become checks when the program runs, names that it has resolved become calls
in C. Left out on purpose: classes that others extend (`parse/protocol`, `parse/bodies/carried`), for plain Python could not
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
