"""Which of several profiles is a stranger's: on a network server's topic many can read a payload.

Known devices keep their profile; this decides only about a device that nobody listed and that
speaks for the first time. What the server says of its kind decides, else the profile of which the
message fills the most; a draw is refused, because a wrong choice would last.
"""

from __future__ import annotations

from collections.abc import Sequence

from device_profiles.decoded import Decoded
from device_profiles.route import Route
from gateway_core.errors import PayloadError

Candidate = tuple[Route, Decoded]
_MOST_NAMED = 4


def choose(candidates: Sequence[Candidate], payload: bytes) -> Candidate:
    """Return the candidate whose device this is.

    Args:
        candidates: The routes that can read the message, and what each of them read; at least one.
        payload: The message as it came.

    Raises:
        PayloadError: ``ambiguous_profile``: several fit equally well.
    """
    if len(candidates) == 1 or not any(_says_something(decoded) for _, decoded in candidates):
        return candidates[0]
    kind = _plain(candidates[0][0].kind(payload))
    named = [one for one in candidates if kind and _plain(one[0].profile.model) in kind]
    rated = [(_fit(one), one) for one in named or candidates]
    best = max(fit for fit, _ in rated)
    first, *others = [one for fit, one in rated if fit == best]
    if not others:
        return first
    names = [route.profile.id for route, _ in (first, *others)]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    raise PayloadError(
        "ambiguous_profile",
        f"{first[1].device} reads equally well with {', '.join(names[:_MOST_NAMED])}{more}; "
        "list it in devices.csv, or let the network server name its model",
    )


def _says_something(decoded: Decoded) -> bool:
    return bool(decoded.readings) or decoded.online is not None


def _fit(candidate: Candidate) -> float:
    """Return which part of the profile's fields the message has, less the values that were bad."""
    route, decoded = candidate
    seen = {name for point in decoded.readings for name in point.fields}
    bad = len(decoded.flags) + sum(len(point.flags) for point in decoded.readings)
    return (len(seen) - bad) / len(route.profile.fields)


def _plain(name: str | None) -> str:
    return "".join(filter(str.isalnum, name or "")).casefold()
