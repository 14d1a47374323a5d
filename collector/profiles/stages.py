"""When a roll-out goes on, and when it stops by itself: a pure function of what edges reported.

shadow -> canary -> rest -> done. An edge that cannot use the version, or whose refusal rate leaves
the band of the version before, ends it: before anything decoded with it that is ``stopped``, after
that ``rolled_back``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from collector.profiles.assignment import Stage
from device_profiles.plan import Report

MARGIN = 0.02
"""How much larger a share of refused messages may be than it was before."""
FEW = 3
"""Refusals that prove nothing yet."""
_Z = 2.0
"""Standard errors of doubt that count for the new version."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What decides about a roll-out.

    Attributes:
        stage: Where it is.
        since: When the stage began, nanoseconds since 1970.
        shadow_ns: How long the new version only compares.
        hold_ns: How long a stage is watched after its last edge applied the version.
        canary: Edges that go first.
        rest: The others that are known.
    """

    stage: Stage
    since: int
    shadow_ns: int
    hold_ns: int
    canary: frozenset[str]
    rest: frozenset[str]


@dataclass(frozen=True, slots=True)
class Move:
    """The next stage, and why."""

    stage: Stage
    reason: str


def leaves_band(messages: int, refused: int, messages_before: int, refused_before: int) -> bool:
    """Return whether so many refusals cannot be what the version before had.

    The lower end of Wilson's interval for the new share is held against the old share and a margin,
    so that ten of ten messages stop a roll-out and one of a hundred does not.
    """
    if refused < FEW or messages <= 0:
        return False
    before = refused_before / messages_before if messages_before else 0.0
    share, z2 = refused / messages, _Z * _Z
    spread = _Z * math.sqrt(share * (1 - share) / messages + z2 / (4 * messages * messages))
    low = (share + z2 / (2 * messages) - spread) / (1 + z2 / messages)
    return low > before + MARGIN


def trouble(report: Report) -> str | None:
    """Return why this report speaks against its version, or None."""
    if report.kind == "failed":
        return f"edge {report.edge} cannot use it: {report.detail or 'no reason given'}"
    if report.kind in ("running", "shadow") and leaves_band(
        report.messages, report.refused, report.messages_before, report.refused_before
    ):
        return (
            f"edge {report.edge} refuses {report.refused} of {report.messages} messages, before it "
            f"{report.refused_before} of {report.messages_before}"
        )
    return None


def next_stage(progress: Progress, reports: Iterable[tuple[int, Report]], now: int) -> Move | None:
    """Return what happens next, or None while nothing does.

    Args:
        progress: The roll-out.
        reports: Of its version, each with when it was received, since the roll-out was started.
        now: Nanoseconds since 1970.
    """
    said = sorted(reports, key=lambda each: each[0])
    bad = next((why for why in (trouble(report) for _, report in said) if why is not None), None)
    if progress.stage == "shadow":
        if bad is not None:
            return Move("stopped", bad)
        over = now >= progress.since + progress.shadow_ns
        return Move("canary", "compared long enough") if over else None
    if progress.stage not in ("canary", "rest"):
        return None
    if bad is not None:
        return Move("rolled_back", bad)
    everyone = progress.canary if progress.stage == "canary" else progress.canary | progress.rest
    applied: dict[str, int] = {}
    for received, report in said:
        if report.kind in ("applied", "running"):
            applied.setdefault(report.edge, received)
    if not everyone <= applied.keys():
        return None
    last = max((applied[edge] for edge in everyone), default=progress.since)
    if now < max(progress.since, last) + progress.hold_ns:
        return None
    reason = f"{len(everyone)} edge(s) decode with it"
    return Move("rest" if progress.stage == "canary" else "done", reason)
