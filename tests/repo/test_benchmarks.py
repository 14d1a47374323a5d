"""Benchmarks start, their medians and ratios are right, and the page shows the run that was kept."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from benchmarks import growth_page
from benchmarks.line import Figure, median, shown
from benchmarks.run import KEPT, PAGE, page

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py")))
def test_a_benchmark_can_be_imported(name: str) -> None:
    importlib.import_module("benchmarks" if name == "__init__" else f"benchmarks.{name}")


def test_the_page_is_that_of_the_kept_run() -> None:
    assert PAGE.read_text() == page(json.loads(KEPT.read_text()))


def test_what_is_said_of_growth_is_what_was_kept_and_every_picture_is_there() -> None:
    found = json.loads(growth_page.KEPT.read_text())
    assert growth_page.PAGE.read_text() == growth_page.page(found)
    for picture in growth_page.PICTURES:
        assert growth_page.image(picture).read_bytes()[:4] == b"\x89PNG"
        assert len(found[picture.along.name]) > 1


def test_less_time_and_more_a_second_are_better() -> None:
    assert Figure("a", 2.0, "us", 3.0, "b", 10.0).ratio == 5.0
    assert Figure("a", 200.0, "/s", 300.0, "b", 100.0).ratio == 2.0
    assert Figure("a", 2.0, "us").ratio is None
    assert Figure("a", 2.0, "bytes", 3.0, "b", 0.0).ratio is None


def test_an_aim_is_reached_from_below_for_costs_and_from_above_for_rates() -> None:
    assert Figure("a", 2.0, "us", 3.0).reached is True
    assert Figure("a", 200.0, "/s", 300.0).reached is False
    assert Figure("a", 2.0, "us").reached is None


def test_of_several_runs_the_median_is_kept_with_the_least_and_the_most() -> None:
    runs = [[Figure("a", value, "us", None, "b", value * 2)] for value in (3.0, 9.0, 4.0)]
    assert median(runs) == [(Figure("a", 4.0, "us", None, "b", 8.0), 3.0, 9.0)]


def test_what_was_not_measured_is_a_dash() -> None:
    assert [shown(None, "us"), shown(0.5, "us"), shown(12345.6, "/s")] == [
        "-",
        "0.50 us",
        "12,346/s",
    ]
