"""Whose handshake or CONNECT is next, when more come than a listener takes at a time. Pure.

A storm is delayed, not refused: refused clients come again at once, and the storm grows. Addresses
take turns, so whoever brings thousands waits for them and holds up nobody else. Of IPv6 the /64 is
what counts: whoever has one has all addresses of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

BURST_S = 0.1
"""So many seconds' worth of turns may be taken at once after a quiet time."""

T = TypeVar("T")


@lru_cache(maxsize=4096)
def party(address: str) -> str:
    """Return those who take turns as one: an IPv4 address, or an IPv6 /64.

    Link-local addresses are one party each: all of a network's devices share their /64.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address) or found.is_link_local:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return found.packed[:8].hex()


class Turns(Generic[T]):
    """Those who wait, first come first served in each party.

    Args:
        rate: Turns a second.
        now: The clock, in seconds.
        take: Takes a place for one of a party; False while it has none to give.
    """

    def __init__(
        self, rate: float, now: float, take: Callable[[str], bool] = lambda _party: True
    ) -> None:
        self._rate = rate
        self._take = take
        self._most = max(1.0, rate * BURST_S)
        self._credit = self._most
        self._at = now
        self._lines: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    def enter(self, address: str, who: T, now: float) -> bool:
        """Return True if it is its turn at once; else it waits for `due` to name it."""
        self._earn(now)
        group = party(address)
        if not self._lines and self._credit >= 1 and self._take(group):
            self._credit -= 1
            return True
        self._lines.setdefault(group, OrderedDict())[who] = None
        self._count += 1
        return False

    def leave(self, address: str, who: T) -> None:
        """Wait no more; nothing where it did not wait."""
        group = party(address)
        line = self._lines.get(group)
        if line is not None and who in line:
            del line[who]
            self._count -= 1
            if not line:
                del self._lines[group]

    def due(self, now: float) -> list[T]:
        """Return those whose turn has come."""
        self._earn(now)
        found = []
        passed = 0  # parties in a row that had no place
        while passed < len(self._lines) and self._credit >= 1:
            group, line = self._lines.popitem(last=False)
            if not self._take(group):
                self._lines[group] = line
                passed += 1
                continue
            passed = 0
            who, _ = line.popitem(last=False)
            if line:
                self._lines[group] = line
            self._credit -= 1
            self._count -= 1
            found.append(who)
        return found

    def _earn(self, now: float) -> None:
        self._credit = min(self._most, self._credit + max(0.0, now - self._at) * self._rate)
        self._at = now
