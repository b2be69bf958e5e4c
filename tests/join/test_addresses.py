"""How addresses are written."""

from __future__ import annotations

import socket

from pellucid.join.addresses import endpoint


def v6(text):
    return socket.inet_pton(socket.AF_INET6, text)


def test_ipv4():
    """Four bytes of the sixteen, dotted."""
    assert endpoint(socket.AF_INET, bytes([192, 0, 2, 1]) + b"\xff" * 12, 443) == "192.0.2.1:443"


def test_ipv6_is_in_brackets():
    """Compressed as in RFC 5952, with the port outside the brackets."""
    assert endpoint(socket.AF_INET6, v6("2001:db8::1"), 8443) == "[2001:db8::1]:8443"


def test_an_ipv4_peer_of_an_ipv6_socket():
    """It is written as its other end writes it."""
    assert endpoint(socket.AF_INET6, v6("::ffff:192.0.2.7"), 80) == "192.0.2.7:80"


def test_unknown_is_none():
    """No family, no address: never 0.0.0.0."""
    assert endpoint(0, bytes(16), 0) is None
    assert endpoint(socket.AF_UNIX, bytes(16), 0) is None
