"""Whether more leaves a site under one egress than under another."""

from __future__ import annotations

from collections.abc import Iterator

from device_profiles.egress import WITHHELD, Coarsen, Egress, Release

_CLASSES = ("public", "operational", "personal", "restricted")
_ALARMS = ("none", "code-only", "full")
_KINDS = ("none", "aggregate", "raw")


def loosened(before: Egress, after: Egress) -> Iterator[str]:
    """Yield in words everything that leaves under ``after`` and did not under ``before``.

    A field that ``before`` does not know is new data and is not spoken of.
    """
    if _CLASSES.index(after.data_class) < _CLASSES.index(before.data_class):
        yield f"class: {before.data_class} became {after.data_class}"
    if _ALARMS.index(after.alarms) > _ALARMS.index(before.alarms):
        yield f"alarms: {before.alarms} became {after.alarms}"
    for name, rule in after.rules.items():
        if name in before.rules:
            yield from (f"{name}: {how}" for how in _looser(before.rules[name], rule))


def _looser(before: Release, after: Release) -> Iterator[str]:
    if after == WITHHELD:
        return
    if _KINDS.index(after.kind) > _KINDS.index(before.kind):
        yield f"{before.kind} became {after.kind}"
        return
    if after.kind == "aggregate" and before.kind == "aggregate":
        if after.every_ns < before.every_ns:
            yield f"every {before.every} became {after.every}"
        more = sorted(set(after.fns) - set(before.fns))
        if more:
            yield f"{', '.join(more)} leaves too"
    if _exacter(before.coarsen, after.coarsen):
        yield "values leave more exactly"


def _exacter(before: Coarsen | None, after: Coarsen | None) -> bool:
    if before is None:
        return False
    if after is None:
        return True
    fewer = before.decimals is not None and (
        after.decimals is None or after.decimals > before.decimals
    )
    finer = before.step is not None and (after.step is None or after.step < before.step)
    return fewer or finer
