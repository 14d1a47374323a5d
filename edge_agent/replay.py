"""Replay: payloads that no profile could read go through the pipeline again, after the mend.

What can be read now becomes records in the transaction that deletes the refusal; what cannot be
stays refused as it was. A replay therefore may be broken off and repeated at any point.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from edge_agent.arrival import Arrival
from edge_agent.pipeline import Pipeline
from edge_agent.refusals import KEPT_PAYLOAD
from edge_agent.remainder import parts_of
from gateway_core.model import Refusal
from gateway_core.spool import Spool

STEP = 500
CUT = frozenset({"too_large"})
"""Reasons whose payload was cut short: what is left must not be taken for the whole."""
KNOWN = frozenset({"duplicate"})
"""Reasons for which nothing is missing: such payloads are only tried when asked for by name."""


class Replayed(msgspec.Struct, frozen=True):
    """What a replay did.

    Attributes:
        tried: Refusals that went through the pipeline again.
        mended: Of those, how many became records.
        refused: Reason to count of those that stay refused.
        cut: How many were not tried, because only the beginning of a long payload is kept.
    """

    tried: int = 0
    mended: int = 0
    refused: dict[str, int] = {}
    cut: int = 0


async def replay(
    spool: Spool,
    pipeline: Pipeline,
    reason: str | None = None,
    since: int = 0,
    limit: int = 1_000_000,
    concerns: Callable[[Arrival], bool] = lambda _arrival: True,
) -> Replayed:
    """Try refused payloads again, oldest first.

    Args:
        spool: Which holds them.
        pipeline: With the mended profiles.
        reason: Only those refused with this code.
        since: Only those received at or after this, nanoseconds since 1970.
        limit: At most so many.
        concerns: Only those for which it is true.

    Raises:
        SpoolFull: What was mended so far is stored; call again for the rest.
    """
    pipeline.begin_replay()
    tried = mended = cut = after = 0
    refused: dict[str, int] = {}
    while tried < limit:
        page = await spool.refusals(min(STEP, limit - tried), after_id=after, reason=reason)
        if not page:
            break
        after = page[-1][0]
        known = KNOWN - {reason}
        asked = [(i, r) for i, r in page if r.received >= since and r.reason not in known]
        chosen = [(i, r) for i, r in asked if not _cut(r)]
        cut += sum(_cut(r) and concerns(_arrival(r)) for _, r in asked)
        for source in dict.fromkeys(refusal.source for _, refusal in chosen):
            those = [(i, _arrival(refusal)) for i, refusal in chosen if refusal.source == source]
            ids = [i for i, arrival in those if concerns(arrival)]
            arrivals = [arrival for _, arrival in those if concerns(arrival)]
            if not ids:
                continue
            for verdict in await pipeline.replay(arrivals, ids):
                tried += 1
                if verdict is None:
                    mended += 1
                else:
                    refused[verdict] = refused.get(verdict, 0) + 1
    return Replayed(tried, mended, refused, cut)


def _cut(refusal: Refusal) -> bool:
    return refusal.reason in CUT or len(refusal.payload) >= KEPT_PAYLOAD


def _arrival(refusal: Refusal) -> Arrival:
    return Arrival(
        refusal.source,
        refusal.address,
        refusal.payload,
        refusal.received,
        refusal.content_format,
        "coap" if refusal.source.partition(":")[0] == "coap" else "mqtt",
        only=parts_of(refusal),
    )
