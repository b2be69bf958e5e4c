"""Which connections `--port` and `--host` mean: by the ports and addresses of their two ends."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from pellucid.errors import PellucidError

Network = IPv4Network | IPv6Network

_MAPPED = 96
"""Bits before the IPv4 address in an IPv4-mapped one (RFC 4291 section 2.5.5.2)."""


class Ends(NamedTuple):
    """What one end of a connection must be; where both ports and hosts are given, an end for each."""

    ports: frozenset[int]
    """Empty: any."""
    hosts: tuple[Network, ...]
    """Empty: any. IPv4-mapped ones are IPv4."""

    def want(self, *ends: str) -> bool:
        """Whether a connection with these ends, `address:port` with IPv6 in brackets, is meant."""
        split = [end.rsplit(":", 1) for end in ends]
        if self.ports and not any(int(port) in self.ports for _, port in split):
            return False
        addresses = [ip_address(address.strip("[]")) for address, _ in split]
        return not self.hosts or any(address in host for address in addresses for host in self.hosts)


def ends(ports: tuple[int, ...], hosts: tuple[str, ...]) -> Ends | None:
    """What the flags mean, None without any; `hosts` are addresses or networks (`resolved`)."""
    if not ports and not hosts:
        return None
    return Ends(frozenset(ports), tuple(_network(host) for host in hosts))


def resolved(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Names replaced by all their addresses as of now; PellucidError for one that has none."""
    return tuple(address for host in hosts for address in ([host] if _is_network(host) else _addresses(host)))


def _is_network(host: str) -> bool:
    try:
        _network(host)
    except ValueError:
        return False
    return True


def _network(host: str) -> Network:
    """An address, or a network such as `10.0.0.0/8`, whose host bits do not matter."""
    network = ip_network(host, strict=False)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if isinstance(mapped, IPv4Address) and network.prefixlen >= _MAPPED:
        return IPv4Network((mapped, network.prefixlen - _MAPPED))
    return network


def _addresses(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label of a name is empty or too long
        reason = error.strerror if isinstance(error, OSError) else "it is no host name"
        raise PellucidError(f"--host {name} has no address: {reason}") from error
    # A scope (`%eth0`) is the socket's own, not part of the address.
    return sorted({str(address[0]).partition("%")[0] for *_, address in found})
