"""How many feeds of which area are in which condition, as metrics: few, whatever is planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collector.registry.figures import Figures, total
from gateway_core.meter import Sample

MOST = 50
"""How many areas have samples of their own; the smallest of more are one, ``other``."""


def area_samples(areas: Mapping[str, Figures]) -> Iterator[Sample]:
    """Yield one sample for each area and condition.

    Args:
        areas: Code to its figures in feeds.
    """
    by_size = sorted(areas, key=lambda code: (-sum(areas[code].held.values()), code))
    shown = {code: areas[code] for code in by_size[:MOST]}
    if len(by_size) > MOST:
        shown["other"] = total(areas[code] for code in by_size[MOST:])
    for code, figures in shown.items():
        for condition, feeds in figures.held.items():
            labels = {"area": code, "condition": condition}
            yield Sample("tidegate_feeds_in_area", feeds, labels)
