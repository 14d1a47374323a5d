"""The lock-out guard: how often a login may be tried, and nonces that can be used again.

Cameras lock an account for half an hour after a few wrong logins, and some answer 401 when they
are merely busy. So: two refused logins in a row and the login is *stopped* until the credentials
change. A login that did work before is *paused* instead, each pause four times the one before,
and stopped after the last. One account of one device has one count, whatever channel asked; a
channel that alone is refused has its own. A device has two doors, RTSP and ONVIF, and on many makes
accounts of their own behind each: until the login works at one of them a refusal at either counts
at both, from then on only where it happened. The counts outlive a restart: a program that starts
again and again must not lock what it could not lock while it ran.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edge_agent.cameras.challenge import Challenge
from edge_agent.cameras.instant import Now
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.lockouts import (
    PREFIX,
    Kept,
    key_of,
    mark_of,
    read,
    steady_until,
    stored,
    wall_until,
)

MAX_REFUSED = 2
FIRST_PAUSE_S = 300.0
PAUSES = 4
LONGEST_PAUSE_S = FIRST_PAUSE_S * 4 ** (PAUSES - 1)

_Key = tuple[str, Credential, str]
"""Place, credential, and the feed or nothing for the account as a whole."""
Permit = Literal["free", "paused", "stopped"]
Door = Literal["rtsp", "onvif"]
_ONVIF = " onvif"
"""Stands for the feed in the key of the ONVIF count; no feed's id has a space."""


@dataclass(slots=True)
class _Count:
    refused: int = 0
    worked: bool = False
    pauses: int = 0
    until: float = 0.0

    def refuse(self, now: float) -> None:
        self.refused += 1
        if self.refused < MAX_REFUSED:
            return
        if self.worked and self.pauses < PAUSES:
            self.until = now + FIRST_PAUSE_S * 4**self.pauses
            self.pauses += 1
        else:
            self.worked = False
            self.until = math.inf


_WORKED = _Count(worked=True)
"""One for all accounts of which there is no more to say; never altered."""


@dataclass(slots=True)
class _Nonce:
    challenge: Challenge
    used: int = 0


class Logins:
    """What is known about each account of each device. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._counts: dict[_Key, _Count] = {}
        self._changed: dict[str, _Key | None] = {}
        self._nonces: dict[tuple[str, int, Credential], _Nonce] = {}
        self._single_use: set[tuple[str, int, Credential]] = set()
        self._one_time: set[tuple[str, int, Credential]] = set()

    def permit(self, feed: Feed, now: float, door: Door = "rtsp") -> Permit:
        """Whether the feed's credential may be tried."""
        for key, count in self._all(feed):
            if now >= count.until:
                continue
            if (key[2] == _ONVIF) == (door == "onvif"):
                return "stopped" if math.isinf(count.until) else "paused"
            if door == "onvif" and not math.isinf(count.until):
                return "paused"  # RTSP waits for the device's lock to end
        return "free"

    def accept(self, feed: Feed, door: Door = "rtsp") -> None:
        """The login worked."""
        for key, count in self._at(feed, door):
            if count != _WORKED:
                self._counts[key] = _WORKED
                self._changed[key_of(*key)] = key

    def refuse(self, feed: Feed, now: float, door: Door = "rtsp") -> bool:
        """The login was refused, in answer to a fresh challenge.

        Returns:
            Whether it worked there before, so that it may be the device's limit or lock.
        """
        here = self._at(feed, door)
        worked = any(count.worked for _, count in here)
        proven = any(count.worked for _, count in self._all(feed))
        for key, count in here if proven else self._all(feed):
            mine = self._counts[key] = replace(count)
            mine.refuse(now)
            self._changed[key_of(*key)] = key
        return worked

    def changes(self, now: Now) -> Iterator[tuple[str, bytes | None]]:
        """Yield the keys of the spool's state that changed since the last call; None deletes."""
        changed, self._changed = self._changed, {}
        for name, key in changed.items():
            count = self._counts.get(key) if key is not None else None
            if key is None or count is None:
                yield name, None
                continue
            until = wall_until(count.until, now)
            mark = mark_of(key[0], key[1])
            kept = Kept(mark, count.refused, count.worked, count.pauses, until)
            yield name, stored(kept)

    def recall(self, state: Mapping[str, bytes], feeds: Collection[Feed], now: Now) -> None:
        """Take up what `changes` told; what belongs to no feed, or another password, is dropped."""
        kept = {name: read(raw) for name, raw in state.items() if name.startswith(PREFIX)}
        self._changed.update(dict.fromkeys(kept))
        for feed in feeds:
            for key, _ in self._all(feed):
                found = kept.get(key_of(*key))
                if found is None or found.mark != mark_of(key[0], key[1]):
                    continue
                until = steady_until(found.until, now, LONGEST_PAUSE_S)
                self._counts[key] = _Count(found.refused, found.worked, found.pauses, until)
                self._changed.pop(key_of(*key), None)

    def nonce(self, host: str, port: int, credential: Credential) -> tuple[Challenge, int] | None:
        """Return a challenge to answer unasked and how often it was used, this use included."""
        nonce = self._nonces.get((host, port, credential))
        if nonce is None:
            return None
        nonce.used += 1
        return nonce.challenge, nonce.used

    def keep(self, host: str, port: int, credential: Credential, challenge: Challenge) -> None:
        """Remember a challenge whose answer was just accepted for the first time."""
        key = (host, port, credential)
        if challenge.scheme == "digest" and key not in self._single_use:
            self._nonces[key] = _Nonce(challenge, 1)

    def drop(self, host: str, port: int, credential: Credential, *, stale: bool) -> None:
        """Forget a nonce that was refused; unless it was stale, never reuse one there again."""
        key = (host, port, credential)
        self._nonces.pop(key, None)
        if stale:
            return
        if key in self._single_use:
            self._one_time.add(key)  # not even on the connection that it came on
        self._single_use.add(key)

    def may_share(self, host: str, port: int, credential: Credential) -> bool:
        """Whether a nonce may be used again on the connection that it came on."""
        return (host, port, credential) not in self._one_time

    def forget_except(self, feeds: Collection[Feed]) -> None:
        """Drop all that belongs to no listed feed's present credential."""
        accounts = {(feed.place, feed.credential) for feed in feeds}
        gone = [key for key in self._counts if (key[0], key[1]) not in accounts]
        for key in gone:
            del self._counts[key]
            self._changed[key_of(*key)] = None
        hosts = {(feed.host, feed.credential) for feed in feeds}
        self._nonces = {k: v for k, v in self._nonces.items() if (k[0], k[2]) in hosts}
        self._single_use = {k for k in self._single_use if (k[0], k[2]) in hosts}
        self._one_time = {k for k in self._one_time if (k[0], k[2]) in hosts}

    def _at(self, feed: Feed, door: Door) -> tuple[tuple[_Key, _Count], ...]:
        keys = self._all(feed)
        return keys[2:] if door == "onvif" else keys[:2]

    def _all(self, feed: Feed) -> tuple[tuple[_Key, _Count], ...]:
        """Return the counts of the account, of this channel, and of ONVIF."""
        if feed.credential is None:
            return ()
        place, credential, found = feed.place, feed.credential, []
        for part in ("", feed.id, _ONVIF):
            key = place, credential, part
            count = self._counts.get(key)
            if count is None:
                count = self._counts[key] = _Count()
            found.append((key, count))
        return tuple(found)
