"""A gap certificate on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.output import console, print_pairs, print_table

_COLUMNS = ("缺口起 · from", "缺口止 · to", "原因 · reason", "确定 · certain", "count", "detail")


def print_gaps(found: Mapping[str, Any]) -> None:
    """Print what is missing of a device, and why, in two languages."""
    names = ("device", "edge", "seen_from", "since", "until", "readings", "expected_s", "basis")
    print_pairs({name: found[name] for name in names})
    console.print()
    if not found["gaps"]:
        known = found["expected_s"] is not None
        print("没有缺口 · no gap" if known else "读数太少，无法判断 · too few readings to tell")
    rows = [
        (gap["since"], gap["until"], each["reason"], sure(each), each["count"], each["detail"])
        for gap in found["gaps"]
        for each in gap["reasons"]
    ]
    if rows:
        columns = (
            "缺口起 · from",
            "缺口止 · to",
            "原因 · reason",
            "确定 · certain",
            "count",
            "detail",
        )
        print_table(columns, rows)
    others = [
        (each["since"], each["until"], each["reason"], each["count"], each["detail"])
        for each in found["elsewhere"]
    ]
    if others:
        console.print()
        print("时段内的其他情况 · also in this window")
        print_table(("from", "to", "reason", "count", "detail"), others)
    for note in found["notes"]:
        print(f"note: {note}")


def sure(evidence: Mapping[str, Any]) -> str:
    """Say whether it is known that the evidence concerns this device."""
    return "yes" if evidence["certain"] else "perhaps"
