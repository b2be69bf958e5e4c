"""Filter words of tcpdump, compiled by libpcap: it is loaded only when there are any (pcap-filter(7))."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from pellucid.attach.packets.classic import Classic, Translated
from pellucid.errors import PellucidError, UsageError
from pellucid.log import log
from pellucid.pcapng import ETHERNET, RAW_IP

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIBRARY = "libpcap.so.0.8"
_DATA_LINK = {ETHERNET: 1, RAW_IP: 12}
"""DLT_EN10MB and DLT_RAW of pcap/dlt.h."""
_WHOLE = 1 << 18
_ANY_NETMASK = 0xFFFFFFFF  # PCAP_NETMASK_UNKNOWN


class _Instruction(ctypes.Structure):
    """`struct bpf_insn` of pcap/bpf.h."""

    _fields_ = (
        ("code", ctypes.c_ushort),
        ("jt", ctypes.c_ubyte),
        ("jf", ctypes.c_ubyte),
        ("k", ctypes.c_uint32),
    )


class _Code(ctypes.Structure):
    """`struct bpf_program` of pcap/bpf.h."""

    _fields_ = (("size", ctypes.c_uint), ("instructions", ctypes.POINTER(_Instruction)))


def compile_filter(words: Sequence[str], link_type: int) -> list[Classic]:
    """The program for packets of this link type (as pcapng has it).

    Raises `UsageError` with libpcap's reason, and `PellucidError` where there is no libpcap.
    """
    pcap = _libpcap()
    text = " ".join(words)
    handle, code = ctypes.c_void_p(pcap.pcap_open_dead(_DATA_LINK[link_type], _WHOLE)), _Code()
    try:
        if pcap.pcap_compile(
            handle, ctypes.byref(code), text.encode(errors="surrogateescape"), 1, _ANY_NETMASK
        ):
            reason = pcap.pcap_geterr(handle).decode(errors="replace")
            raise UsageError(f"the filter {text!r} does not compile: {reason}")
        found = [code.instructions[i] for i in range(code.size)]
        program = [Classic(each.code, each.jt, each.jf, each.k) for each in found]
        pcap.pcap_freecode(ctypes.byref(code))
    finally:
        pcap.pcap_close(handle)
    return program


def compile_filters(words: Sequence[str]) -> dict[int, Translated]:
    """By link type, the program for its packets, ready for the kernel; a filter that only Ethernet has words for is there for
    Ethernet alone.

    Nothing without words. Raises as `compile_filter` does, and UsageError for one that cannot run in the kernel.
    """
    if not words:
        return {}
    filters = {ETHERNET: Translated(compile_filter(words, ETHERNET), link_layer=True)}
    try:
        without_link_layer = compile_filter(words, RAW_IP)
    except UsageError as error:
        log.debug("on interfaces without a link layer nothing is captured: %s", error)
    else:
        filters[RAW_IP] = Translated(without_link_layer, link_layer=False)
    return filters


def _libpcap() -> ctypes.CDLL:
    try:
        pcap = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise PellucidError(
            f"filter words need libpcap, and {_LIBRARY} is not there: install libpcap0.8 (libpcap on other distributions)"
        ) from None
    pcap.pcap_open_dead.restype = ctypes.c_void_p
    pcap.pcap_geterr.restype = ctypes.c_char_p
    return pcap
