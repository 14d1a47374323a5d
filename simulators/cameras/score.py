"""How a patrol fared, computed from the truth about a fleet and the verdicts on it. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway_core.clock import NS

LAG_S = 90.0
"""A verdict may stand for what was true so long ago; older evidence is none."""
LASTING_S = 150.0
"""A change that was undone sooner need not be seen."""
_SAME = {"degraded": "online"}
"""A picture or clock fault says that the stream is well, and is found on a slower beat."""

Moment = tuple[int, str]
"""Since when, in nanoseconds since 1970, and which state."""


@dataclass(slots=True)
class Score:
    """What came of it.

    Attributes:
        changes: Changes of the truth that lasted, by the state that they led to.
        delays_s: Seconds until each of them was a verdict, by that state, in ascending order.
        missed: Lasting changes that never became a verdict.
        false_offline: Verdicts "offline" about feeds that were not, nor had been for `LAG_S`.
        never_judged: Feeds without any verdict.
        locked: Accounts that wrong logins locked.
        offline_verdicts: Verdicts "offline" in all.
    """

    changes: Counter[str] = field(default_factory=Counter)
    delays_s: dict[str, list[float]] = field(default_factory=dict)
    missed: list[tuple[str, int, str]] = field(default_factory=list)
    false_offline: list[tuple[str, int]] = field(default_factory=list)
    never_judged: int = 0
    locked: int = 0
    offline_verdicts: int = 0

    def delay_s(self, share: float, *states: str) -> float | None:
        """Return the delay that this share of changes to the given states kept below."""
        delays = sorted(
            delay
            for state, found in self.delays_s.items()
            if state in states or not states
            for delay in found
        )
        return delays[min(len(delays) - 1, int(share * len(delays)))] if delays else None


def score(
    truth: Iterable[Mapping[str, Any]], verdicts: Mapping[str, list[Moment]], until: int
) -> Score:
    """Compare the truth with the verdicts.

    Args:
        truth: Lines of the truth file.
        verdicts: Of each feed, in the order of their time.
        until: When the last verdicts were taken; what happened shortly before is left out.
    """
    found = Score()
    moments: dict[str, list[Moment]] = {}
    for line in truth:
        if "feed" in line:
            moments.setdefault(line["feed"], []).append((line["time"], _plain(line["state"])))
        found.locked += line.get("event") == "login_locked"
    for feed, meant in moments.items():
        judged = [(time, _plain(state)) for time, state in verdicts.get(feed, [])]
        found.never_judged += not any(state != "unknown" for _, state in judged)
        _look_for_false(found, feed, meant, judged)
        _measure(found, feed, meant, judged, until)
    for delays in found.delays_s.values():
        delays.sort()
    return found


def _look_for_false(found: Score, feed: str, meant: list[Moment], judged: list[Moment]) -> None:
    for time, state in judged:
        if state != "offline":
            continue
        found.offline_verdicts += 1
        since = max(0, bisect_right(meant, (time - int(LAG_S * NS), "~")) - 1)
        lately = [each for at, each in meant[since:] if at <= time]
        if "offline" not in lately:
            found.false_offline.append((feed, time))


def _measure(
    found: Score, feed: str, meant: list[Moment], judged: list[Moment], until: int
) -> None:
    for (_, before), (changed, state), following in zip(
        meant, meant[1:], [*meant[2:], (until, "")], strict=False
    ):
        at_the_time = bisect_right(judged, (changed, "~")) - 1
        known = judged[at_the_time][1] if at_the_time >= 0 else "unknown"
        if state in {before, known} or following[0] - changed < LASTING_S * NS:
            continue
        seen = next((t for t, said in judged if t >= changed and said == state), None)
        found.changes[state] += 1
        if seen is None or seen > following[0]:
            found.missed.append((feed, changed, state))
        else:
            found.delays_s.setdefault(state, []).append((seen - changed) / NS)


def _plain(state: str) -> str:
    return _SAME.get(state, state)
