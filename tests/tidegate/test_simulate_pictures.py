"""`tidegate simulate pictures` writes pictures and says what each of them shows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from edge_agent.cameras.picture import jpeg_size
from tests.e2e.city import tidegate


def test_every_picture_has_a_label(tmp_path: Path) -> None:
    out = tmp_path / "set"
    told = tidegate("simulate", "pictures", "--out", str(out), "--cameras", "1", "--json")

    assert told.returncode == 0, told.stderr
    labels = [json.loads(line) for line in (out / "labels.jsonl").read_text().splitlines()]
    assert {each["file"] for each in labels} == {path.name for path in out.glob("*.jpg")}
    assert json.loads(told.stdout)["pictures"] == len(labels)
    strengths = Counter(each["defect"] for each in labels if each["role"] == "test")
    assert len(strengths) == 14  # thirteen defects and none
    assert set(strengths.values()) - {strengths[""]} == {3}
    assert {each["camera"] for each in labels} == {"sim-1-000"}
    assert all(jpeg_size((out / each["file"]).read_bytes()) == (640, 360) for each in labels)


def test_how_many_cameras_is_checked(tmp_path: Path) -> None:
    told = tidegate("simulate", "pictures", "--out", str(tmp_path), "--cameras", "0")

    assert told.returncode == 2
    assert "--cameras" in told.stderr
