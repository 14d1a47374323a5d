"""docs/reference/metrics.md: every metric that the source counts, sets, times or samples."""

# ruff: noqa: E501  # prose of a Markdown page

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field

from pages.metric_meanings import MEANINGS
from pages.source_calls import SourceCall, calls, name_of
from pages.table import table

HEAD = """# Metrics

Prometheus text at `/metrics` of the edge's admin listener and of the collector's API. Counters end in `_total`.
"""

TAIL = """## What to alert on

| expression | means |
|---|---|
| `tidegate_residual != 0` | the books do not balance: accepted is not delivered + buffered + quarantined + dropped; a fault of the program |
| `tidegate_spool_seconds_to_full < 3600` | an hour at the present rate until senders are no longer acknowledged |
| `tidegate_uplink_lag_seconds > 300` | the centre lacks what is older than five minutes |
| `increase(tidegate_quarantined_total[1h]) > 0` | a record that a sink will never take; `tidegate edge quarantine` or `tidegate collector quarantine` |
| `abs(tidegate_edge_clock_ahead_seconds) > 60` | an edge's clock and the collector's differ: everything of that site is dated wrong, or everything here |
| `tidegate_files_set_aside > 0` | a damaged file was set aside; `tidegate edge status` names it; docs/how-to/recover.md |
| `tidegate_source_connected == 0` | nothing can come in by this source |
"""

_KINDS = {"count": "counter", "set": "gauge", "time": "histogram"}
_PROGRAMS = {"edge_agent": "edge", "collector": "collector"}


@dataclass
class Metric:
    """One name: its kind, its labels, who exports it."""

    kind: str = "gauge"
    labels: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)


def page() -> str:
    """Return the page.

    Raises:
        SystemExit: A metric has no meaning in ``metric_meanings.py``, or a meaning has no metric.
    """
    found = collect()
    if wrong := sorted(set(found) ^ set(MEANINGS)):
        raise SystemExit(
            f"scripts/pages/metric_meanings.py does not agree with the source: {wrong}"
        )
    rows = (
        (
            f"`{name}{'_total' if m.kind == 'counter' else ''}{'{' + ','.join(sorted(m.labels)) + '}' if m.labels else ''}`",
            m.kind,
            " and ".join(sorted(m.programs, reverse=True)),
            MEANINGS[name],
        )
        for name, m in sorted(found.items())
    )
    return HEAD + "\n" + table(("metric", "kind", "of", "meaning"), rows) + "\n" + TAIL


def collect() -> dict[str, Metric]:
    """Return every metric of both programs, without ``_total``."""
    found: dict[str, Metric] = defaultdict(Metric)
    for each in calls("edge_agent", "collector"):
        called = name_of(each.call)
        if called not in {"Sample", *_KINDS} or not each.call.args:
            continue
        for name in _names(each):
            metric = found[name]
            metric.programs.add(_PROGRAMS[each.package])
            if called == "Sample":
                metric.labels |= _sample_labels(each)
                metric.kind = _sample_kind(each.call)
            else:
                metric.labels |= {key.arg for key in each.call.keywords if key.arg}
                metric.kind = _KINDS[called]
    return found


def _names(each: SourceCall) -> list[str]:
    """Return the constant name, or those that a loop over constants gives."""
    match each.call.args[0]:
        case ast.Constant(value=str(name)) if name.startswith("tidegate_"):
            return [name]
        case ast.JoinedStr(
            values=[ast.Constant(value=str(head)), ast.FormattedValue(value=ast.Name(id=loop))]
        ):
            return [head + word for word in _loop_words(each.inside, loop)]
    return []


def _loop_words(around: ast.AST, variable: str) -> list[str]:
    for node in ast.walk(around):
        match node:
            case ast.For(
                target=ast.Tuple(elts=[ast.Name(id=first), *_]), iter=ast.Tuple(elts=rows)
            ) if first == variable:
                return [
                    str(row.elts[0].value)
                    for row in rows
                    if isinstance(row, ast.Tuple) and isinstance(row.elts[0], ast.Constant)
                ]
    return []


def _sample_labels(each: SourceCall) -> set[str]:
    return _dict_keys(each.call.args[2], each.inside) if len(each.call.args) > 2 else set()


def _dict_keys(node: ast.AST, around: ast.AST) -> set[str]:
    match node:
        case ast.Dict(keys=keys, values=values):
            return {
                word
                for key, value in zip(keys, values, strict=True)
                for word in (
                    [str(key.value)] if isinstance(key, ast.Constant) else _dict_keys(value, around)
                )
            }
        case ast.Name(id=name):
            return {
                word
                for made in ast.walk(around)
                if isinstance(made, ast.Assign)
                and isinstance(made.targets[0], ast.Name)
                and made.targets[0].id == name
                for word in _dict_keys(made.value, around)
            }
    return set()


def _sample_kind(call: ast.Call) -> str:
    given = [arg.value for arg in call.args[3:4] if isinstance(arg, ast.Constant)]
    return str(given[0]) if given else "gauge"
