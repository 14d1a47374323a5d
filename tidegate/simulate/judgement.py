"""Compare what simulators were promised with what the time-series store returns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway_core.clock import NS
from gateway_core.errors import GatewayError
from simulators.sensors.truth import Acknowledged, Verdict, judge, read_truth
from tidegate.simulate.store import Store

_MARGIN_NS = 60 * NS
"""Points of a device without a clock bear the time of receipt, after a message was sent."""


async def judge_truth(store: Store, truths: Sequence[Path], measurement: str) -> Verdict:
    """Return what became of every message in truth files, by asking the store.

    Args:
        store: Where to ask.
        truths: Files of `simulators.sensors.truth`.
        measurement: Where the readings went.

    Raises:
        GatewayError: A file cannot be read, or holds nothing, which would prove nothing.
        Unavailable: The store does not answer.
    """
    promised = promises(truths)
    if not promised:
        raise GatewayError("the truth files hold no acknowledged message, so nothing can be judged")
    first = min(each.sent_ns for each in promised)
    last = max(each.acked_ns for each in promised)
    found = await store.keys(measurement, first - NS, last + _MARGIN_NS)
    return judge(((each.device, each.seq) for each in promised), found)


def promises(truths: Sequence[Path]) -> list[Acknowledged]:
    """Return every line of truth files.

    Raises:
        GatewayError: One cannot be read.
    """
    found: list[Acknowledged] = []
    for path in truths:
        try:
            found.extend(read_truth(path))
        except (OSError, ValueError) as exc:
            raise GatewayError(f"{path}: {exc}") from exc
    return found
