"""The remainder: devices of one message that were refused while others of it were taken in.

A refusal keeps the whole message, because a part of it cannot be cut out of every encoding. Its
detail begins with which of the message's devices it is about, so that a replay takes in those and
not a second time the others: ``devices 1,4-6 of the message: does not match '[a-z]+'``. They are
counted from 0 in the order of the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from device_profiles.decoded import Unread
from edge_agent.arrival import Arrival
from gateway_core.model import Refusal

_MARK = re.compile(r"devices (\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*) of the message: ")


def remainder(arrival: Arrival, left: Sequence[Unread], most: int) -> list[Refusal]:
    """Return a refusal for each reason why devices of a message were not taken in.

    Args:
        arrival: The message.
        left: Its devices that were not, at least one.
        most: Bytes of payload to keep.
    """
    reasons: dict[str, list[Unread]] = {}
    for one in left:
        reasons.setdefault(one.code, []).append(one)
    return [
        Refusal(
            arrival.source,
            arrival.address,
            arrival.payload[:most],
            code,
            f"devices {_ranges(one.part for one in some)} of the message: {some[0].detail}",
            arrival.received,
            arrival.content_format,
        )
        for code, some in reasons.items()
    ]


def parts_of(refusal: Refusal) -> frozenset[int] | None:
    """Return which devices of its message a refusal is about; None for all of it."""
    found = _MARK.match(refusal.detail)
    if found is None:
        return None
    parts: set[int] = set()
    for span in found[1].split(","):
        first, _, last = span.partition("-")
        parts.update(range(int(first), int(last or first) + 1))
    return frozenset(parts)


def _ranges(parts: Iterable[int]) -> str:
    spans: list[list[int]] = []
    for part in sorted(parts):
        if spans and spans[-1][1] == part - 1:
            spans[-1][1] = part
        else:
            spans.append([part, part])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
