"""Profile versions, roll-outs, reports and uses as people see them: times as RFC 3339."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from device_profiles.plan import Report
from gateway_core.instant import to_rfc3339

Row = dict[str, Any]

_NS_IN_S = 1_000_000_000


def shown_version(row: Row) -> dict[str, Any]:
    """Return a version."""
    plain = ("version", "state", "sha256", "size", "measurement", "title", "results")
    shown = {"id": row["profile"]} | {name: row[name] for name in plain}
    shown["questions"] = [{"question": name, "about": about} for name, about in row["questions"]]
    shown |= {"key": row["vendor_key"] or None, "decided_by": row["decided_by"]}
    shown |= {"reason": row["reason"], "successor": row["successor"]}
    return shown | timed(row, ("submitted", "decided"))


def shown_rollout(row: Row) -> dict[str, Any]:
    """Return a roll-out."""
    plain = ("number", "version", "stage", "canary", "actor", "reason")
    shown = {"profile": row["profile"]} | {name: row[name] for name in plain}
    shown["edges"] = "all" if row["everywhere"] else row["edges"]
    shown |= {"shadow_s": row["shadow_ns"] / _NS_IN_S, "hold_s": row["hold_ns"] / _NS_IN_S}
    return shown | timed(row, ("started", "since"))


def shown_report(row: Row) -> dict[str, Any]:
    """Return a report, with everything that it counted, nothing left out for being none."""
    report = msgspec.convert(row["said"], Report)
    said = msgspec.structs.asdict(report)
    del said["time_ns"]
    said["differences"] = [msgspec.structs.asdict(each) for each in report.differences]
    return said | timed(row, ("time", "received"))


def shown_use(row: Row) -> dict[str, Any]:
    """Return when an edge began with a version."""
    return {**row} | timed(row, ("time",))


def timed(row: Row, names: Sequence[str]) -> dict[str, Any]:
    """Return these times of a row as text; None stays None."""
    return {name: None if row[name] is None else to_rfc3339(row[name]) for name in names}
