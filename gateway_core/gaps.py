"""Gap certificates: what is missing of one device in a window, and why, as far as that is known.

Pure. A stretch without readings is a *gap* when it is longer than the device's readings are apart.
Evidence (losses, refusals, silence, a backlog) explains the part of a gap that it covers; what
nothing covers is ``unknown``, which is a reason too: nobody here claims to know what a device did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Literal

import msgspec

from gateway_core.instant import to_rfc3339
from gateway_core.intervals import Intervals

Reason = Literal[
    "never_sent",
    "refused",
    "evicted",
    "thinned",
    "damaged",
    "withheld",
    "rejected",
    "not_arrived",
    "unknown",
]
Basis = Literal["declared", "observed", "unknown"]

FACTOR = 3.0
"""Readings this many times farther apart than they usually are have a gap between them."""
_FEWEST = 5
_TIMES = {"since", "until", "time"}


class Evidence(msgspec.Struct, frozen=True):
    """Something known that explains a stretch without readings.

    Attributes:
        reason: Of what was looked for: see docs/reference/gaps.md.
        since: Nanoseconds since 1970.
        until: Inclusive.
        certain: Whether it is known to concern this device; a loss names a whole site's records.
        count: How many records or messages it is about; None where that is not known.
        detail: For people.
    """

    reason: Reason
    since: int
    until: int
    certain: bool
    count: int | None = None
    detail: str = ""


class Gap(msgspec.Struct, frozen=True):
    """A stretch without readings.

    Attributes:
        since: Time of the last reading before it, or the window's start.
        until: Time of the first reading after it, or the window's end.
        reasons: What explains it, at least one; ``unknown`` covers what nothing certain does.
    """

    since: int
    until: int
    reasons: list[Evidence]


class Certificate(msgspec.Struct, frozen=True):
    """What is missing of one device in a window; made blank, and filled in by `certify`.

    Attributes:
        device: Its id.
        edge: Whose device.
        seen_from: ``edge`` or ``centre``: whose data was looked at.
        since: The window, nanoseconds since 1970.
        until: Its end, exclusive.
        time: When this was looked up.
        readings: How many readings there are.
        expected_s: How far apart they are taken to be at most; None where that is not known.
        basis: Whether the profile declares that, it was observed, or is not known.
        gaps: Ascending.
        elsewhere: Evidence in the window that no gap needs, such as single refused messages.
        notes: What limits what is said here.
    """

    device: str
    edge: str
    seen_from: Literal["edge", "centre"]
    since: int
    until: int
    time: int
    readings: int = 0
    expected_s: float | None = None
    basis: Basis = "unknown"
    gaps: list[Gap] = []
    elsewhere: list[Evidence] = []
    notes: list[str] = []


def marks_told(marks: Iterable[str]) -> list[str]:
    """Return a note about the time marks of readings; none without any.

    Args:
        marks: One entry for each reading that has some, as `gateway_core.time_marks.mark_of` says.
    """
    counts = Counter(marks)
    if not counts:
        return []
    told = ", ".join(f"{mark} {count}" for mark, count in sorted(counts.items()))
    return [f"the edge's clock, or the device's, was not right for some readings: {told}"]


def shown(certificate: Certificate) -> dict[str, Any]:
    """Return a certificate as people and programs get it: its times are RFC 3339."""
    return _with_times(msgspec.to_builtins(certificate))  # type: ignore[no-any-return]


def _with_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_times(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: to_rfc3339(each) if name in _TIMES else _with_times(each)
        for name, each in value.items()
    }


def expected_ns(times: Sequence[int], declared: int | None) -> tuple[int | None, Basis]:
    """Return how far apart readings are at most, and how that is known.

    Args:
        times: Of the readings, ascending, each once.
        declared: What its profile says about that; None: nothing.
    """
    if declared is not None:
        return declared, "declared"
    if len(times) < _FEWEST:
        return None, "unknown"
    return round(FACTOR * median(b - a for a, b in pairwise(times))), "observed"


def stretches(
    times: Sequence[int], since: int, until: int, longest: int | None
) -> list[tuple[int, int]]:
    """Return the stretches without readings that are longer than ``longest``, ascending."""
    edges = [since, *times, until]
    if longest is None:
        return [(since, until)] if not times and since < until else []
    return [(a, b) for a, b in pairwise(edges) if b - a > longest]


def certify(
    certificate: Certificate, times: Iterable[int], declared: int | None, found: Sequence[Evidence]
) -> Certificate:
    """Return the certificate with its gaps.

    Args:
        certificate: What is known without them.
        times: Of the device's readings, in any order.
        declared: See `expected_ns`.
        found: All evidence; what lies outside the window is left out.
    """
    known = sorted({at for at in times if certificate.since <= at < certificate.until})
    longest, basis = expected_ns(known, declared)
    inside = [e for e in found if e.since < certificate.until and e.until >= certificate.since]
    gaps = [
        Gap(a, b, _reasons(a, b, inside, longest or 0))
        for a, b in stretches(known, certificate.since, certificate.until, longest)
    ]
    used = [e for e in inside if any(e.since < gap.until and e.until > gap.since for gap in gaps)]
    return msgspec.structs.replace(
        certificate,
        readings=len(known),
        expected_s=None if longest is None else longest / 1e9,
        basis=basis,
        gaps=gaps,
        elsewhere=[e for e in inside if e not in used],
    )


def _reasons(since: int, until: int, found: Sequence[Evidence], reach: int) -> list[Evidence]:
    """Return what explains a gap; what is certain explains the time of one reading around it."""
    reasons = [e for e in found if e.since < until and e.until > since]
    covered = Intervals(
        (max(e.since - reach, since), min(e.until + reach, until)) for e in reasons if e.certain
    )
    left = [(a, b) for a, b in covered.missing(since, until) if b - a > reach]
    return reasons + [Evidence("unknown", a, b, certain=False) for a, b in left]
