"""Who gets a place: connections counted in all and by address. Pure."""

from __future__ import annotations

from collections import Counter


class Admission:
    """The places of one listener.

    Args:
        most: Connections at a time.
        per_address: At a time from one address.
    """

    def __init__(self, most: int, per_address: int) -> None:
        self._most = most
        self._per_address = per_address
        self._held: Counter[str] = Counter()
        self._all = 0

    def __len__(self) -> int:
        """Connections now."""
        return self._all

    def enter(self, address: str) -> str:
        """Take a place; return why there is none, or an empty text."""
        if self._all >= self._most:
            return "full"
        if self._held[address] >= self._per_address:
            return "address_full"
        self._all += 1
        self._held[address] += 1
        return ""

    def leave(self, address: str) -> None:
        """Give a place back."""
        self._all -= 1
        self._held[address] -= 1
        if not self._held[address]:
            del self._held[address]
