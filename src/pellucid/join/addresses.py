"""Addresses as people write them."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address


def endpoint(family: int, address: bytes, port: int) -> str | None:
    """`192.0.2.1:443` or `[2001:db8::1]:443`; None where the family is not an internet family.

    `address` has 16 bytes in network order, of which IPv4 uses the first four. An IPv4 peer of an IPv6
    socket (RFC 4291 section 2.5.5.2) is shown as IPv4, as its other end sees it.
    """
    if family == socket.AF_INET:
        return f"{IPv4Address(address[:4])}:{port}"
    if family != socket.AF_INET6:
        return None
    v6 = IPv6Address(address)
    return f"{v6.ipv4_mapped}:{port}" if v6.ipv4_mapped else f"[{v6}]:{port}"
