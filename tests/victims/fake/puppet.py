"""The calls of fake_ssl.c, for programs of a few lines: `python -c 'from puppet import *; ...'`.

A handle is any number but 0, for the library never looks at what it points to.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "clear", "connected", "free", "library", "new", "numbered", "pause", "read", "sendfile", "set_fd", "share", "write",
    "write_and_leave", "write_ex",
]  # fmt: skip

library = ctypes.CDLL(os.environ["FAKE_SSL"])
_Callback = ctypes.CFUNCTYPE(None)
_POINTER, _INT = ctypes.c_void_p, ctypes.c_int
for name, arguments in {
    "SSL_new": [_POINTER],
    "SSL_free": [_POINTER],
    "SSL_up_ref": [_POINTER],
    "SSL_clear": [_POINTER],
    "SSL_set_fd": [_POINTER, _INT],
    "SSL_write_ex": [_POINTER, ctypes.c_char_p, ctypes.c_size_t, _POINTER],
    "SSL_sendfile": [_POINTER, _INT, ctypes.c_long, ctypes.c_size_t, _INT],
    "SSL_read": [_POINTER, ctypes.c_char_p, _INT],
    "SSL_write": [_POINTER, ctypes.c_char_p, _INT],
    "write_and_leave": [_POINTER, ctypes.c_char_p, _INT],
}.items():
    getattr(library, name).argtypes = arguments
library.SSL_new.restype = _POINTER

new, free, clear, set_fd = library.SSL_new, library.SSL_free, library.SSL_clear, library.SSL_set_fd
share = library.SSL_up_ref


def write(handle: int, data: bytes, inside: Callable[[], Any] | None = None) -> None:
    """Write `data`; meanwhile `inside` is called (by one thread of a program at a time)."""
    _call(library.SSL_write, handle, data, inside)


def read(handle: int, data: bytes, inside: Callable[[], Any] | None = None) -> None:
    """Read `data`; as `write`."""
    _call(library.SSL_read, handle, data, inside)


def write_ex(handle: int, data: bytes, count: int) -> None:
    """Write `data`, of which the library then says that it was `count` bytes (at least as many)."""
    library.SSL_write_ex(handle, data, len(data), ctypes.byref(ctypes.c_size_t(count)))


def sendfile(handle: int, size: int) -> None:
    """Send that many bytes of a file, by the kernel."""
    library.SSL_sendfile(handle, 0, 0, size, 0)


def write_and_leave(handle: int, data: bytes) -> None:
    """Begin to write `data`, and leave the call by longjmp."""
    library.write_and_leave(handle, data, len(data))


def _call(function: Any, handle: int, data: bytes, inside: Callable[[], Any] | None) -> None:
    if inside is None:
        function(handle, data, len(data))
        return
    slot = ctypes.c_void_p.in_dll(library, "inside")

    def once() -> None:
        slot.value = None  # the calls that `inside` makes have nothing inside
        inside()

    callback = _Callback(once)
    slot.value = ctypes.cast(callback, ctypes.c_void_p).value
    function(handle, data, len(data))


def numbered(size: int) -> bytes:
    """`size` bytes in lines of 16, each with its own number: any piece of it says where it belongs."""
    return b"".join(b"%015d\n" % line for line in range(-(-size // 16)))[:size]


def pause(word: object = "ready") -> None:
    """Say something to the test and wait for its answer."""
    print(word, flush=True)  # noqa: T201 - this is how a puppet speaks
    if not sys.stdin.readline():
        sys.exit(0)


def connected(address: str) -> tuple[socket.socket, socket.socket]:
    """Both ends of a new TCP connection to an address of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        sock = socket.socket(family)
        sock.connect((address, listener.getsockname()[1]))
        return sock, listener.accept()[0]
