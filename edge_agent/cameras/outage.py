"""Telling our own network's failure from the devices': down is down, unknown is unknown."""

from __future__ import annotations

from collections.abc import Collection

FEWEST = 3
"""With fewer hosts alive, all of them failing at once may well be their own doing."""
ENOUGH = 20
"""So many hosts in a row that answered last time and now do not, and none that does, prove it."""


class OutageWatch:
    """Notices that every host fails at once.

    A witness is a host that answered at its last check. When witnesses fail one after the other
    and no host at all answers in between, the fault they share is the way to them.
    """

    def __init__(self) -> None:
        self._witnesses: set[str] = set()
        self._failed: set[str] = set()
        self.down = False

    def note(self, host: str, *, reached: bool) -> None:
        """Take in how one check of a host ended; a refusal also is an answer."""
        if reached:
            self._witnesses.add(host)
            self._witnesses |= self._failed - {host} if self.down else set()
            self._failed.clear()
            self.down = False
            return
        if host in self._witnesses:
            self._witnesses.discard(host)
            self._failed.add(host)
        alive = len(self._witnesses) + len(self._failed)
        # Two thirds, not all: on a small site the first to fail would else be asked a second
        # time, and judged, before the last one's turn comes.
        if len(self._failed) >= min(ENOUGH, max(FEWEST, -(-2 * alive // 3))):
            self.down = True

    def forget_except(self, hosts: Collection[str]) -> None:
        """Drop hosts that are no longer listed."""
        self._witnesses &= set(hosts)
        self._failed &= set(hosts)
