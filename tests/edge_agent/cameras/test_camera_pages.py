"""The pages about feeds name every state, fault and column that the code knows."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from edge_agent.cameras.evidence import DeviceFault
from edge_agent.cameras.feed_row import COLUMNS
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.grading import GRADES
from edge_agent.cameras.stream_sample import StreamFault
from edge_agent.cameras.verdict import OUTCOME_STATES
from gateway_core.model import FeedState

DOCS = Path(__file__).parents[3] / "docs"
VERDICTS = (DOCS / "reference" / "verdicts.md").read_text(encoding="utf-8")
FEEDS = (DOCS / "reference" / "feeds-csv.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("outcome", sorted(set(OUTCOME_STATES) - {"ok"}))
def test_every_outcome_is_on_the_page_with_its_state(outcome: str) -> None:
    assert f"| `rtsp_{outcome}` | {OUTCOME_STATES[outcome]} |" in VERDICTS


@pytest.mark.parametrize("fault", [*get_args(DeviceFault), *GRADES, *get_args(StreamFault)])
def test_every_device_and_picture_fault_is_on_the_page(fault: str) -> None:
    assert f"| `{fault}` | degraded |" in VERDICTS


@pytest.mark.parametrize("state", get_args(FeedState))
def test_every_state_is_on_the_page(state: str) -> None:
    assert f"| `{state}` |" in VERDICTS


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_is_on_the_page(column: str) -> None:
    assert f"`{column}`" in FEEDS


def test_the_example_on_the_page_loads(tmp_path: Path) -> None:
    example = FEEDS.partition("```csv\n")[2].partition("```")[0]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "cameras").write_text("tide", encoding="utf-8")
    path = tmp_path / "feeds.csv"
    path.write_text(example, encoding="utf-8")

    assert sorted(load_feeds(path)) == ["gate-north", "gate-south"]
