"""Host names looked up; a name that suddenly points into this machine or its cloud is not believed.

Whoever holds the name of a camera could else point us at services that only we can reach (DNS
rebinding). An address that people wrote into the feeds file is theirs to choose.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from edge_agent.cameras.address import is_address

MOST_ADDRESSES = 4
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")


async def look_up(host: str, port: int, deadline_s: float) -> list[str]:
    """Return the addresses of a host, at most `MOST_ADDRESSES`; an address stands for itself.

    Raises:
        OSError: There is none, there was no answer in time, or none of them is `believable`.
        UnicodeError: The name cannot be encoded.
    """
    if is_address(host):
        return [host]
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(deadline_s):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(info[4][0]) for info in found]
    believed = [each for each in addresses if believable(host, each)]
    if not believed:
        raise OSError(f"{host} resolves to {addresses[0]}; write the address if that is meant")
    return believed[:MOST_ADDRESSES]


def believable(host: str, address: str) -> bool:
    """Whether a camera's name may have this address.

    Args:
        host: In the spelling of `address.normal_host`.
        address: What it resolves to; only ``localhost`` may be the machine itself.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = _embedded(ip)
        if embedded is not None:
            ip = embedded
    return not (ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast)


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if ip in _NAT64 or ip in _LOCAL_NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if 1 < int(ip) < 1 << 32:  # the old "IPv4-compatible" form, ::127.0.0.1
        return ipaddress.IPv4Address(int(ip))
    return ip.sixtofour
