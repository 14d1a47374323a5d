"""What the lock-out guard keeps over a restart: a key and a value of the spool's state. Pure.

A password is kept as sixteen bits of its digest: enough to notice that it was changed, too few to
guess it by.
"""

from __future__ import annotations

import math
from hashlib import blake2b

import msgspec

from edge_agent.cameras.instant import Now
from edge_agent.cameras.inventory import Credential
from gateway_core.clock import NS
from gateway_core.stored import check, sealed

PREFIX = "camera/login/"
FOR_EVER = -1


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """One count of one account.

    Attributes:
        mark: Of the password that it was counted for.
        refused: Logins refused in a row.
        worked: Whether the login ever worked.
        pauses: Pauses so far.
        until: No login before, in nanoseconds since 1970; 0 for none, `FOR_EVER`.
        crc: Of the rest.
    """

    mark: bytes
    refused: int
    worked: bool
    pauses: int
    until: int
    crc: int = 0


def key_of(place: str, credential: Credential, feed: str) -> str:
    """Return the key of a count; ``feed`` is empty for the account as a whole."""
    return f"{PREFIX}{place}/{_digest('', credential.username, 8)}/{feed}"


def mark_of(place: str, credential: Credential) -> bytes:
    """Return what changes with the password."""
    return bytes.fromhex(_digest(f"{place}\0{credential.username}", credential.password, 2))


def wall_until(until: float, now: Now) -> int:
    """Return the end of a pause, given on the monotonic clock, on the wall clock."""
    if math.isinf(until):
        return FOR_EVER
    return now.wall + int((until - now.steady) * NS) if until > now.steady else 0


def steady_until(until: int, now: Now, longest_s: float) -> float:
    """Return the end of a pause on the monotonic clock; a clock that was set back adds nothing."""
    if until == FOR_EVER:
        return math.inf
    return now.steady + min(longest_s, (until - now.wall) / NS) if until > now.wall else 0.0


def stored(kept: Kept) -> bytes:
    """Return a count as it is stored."""
    return sealed(msgspec.msgpack.encode(kept))


def read(raw: bytes) -> Kept | None:
    """Return a stored count; None for what cannot be read."""
    try:
        found = msgspec.msgpack.decode(raw, type=Kept)
        check(raw, found.crc)
    except ValueError:  # msgspec's errors are ValueErrors
        return None
    return found


def _digest(about: str, text: str, size: int) -> str:
    return blake2b(
        f"{about}\0{text}".encode(), digest_size=size, person=b"tidegate-login"
    ).hexdigest()
