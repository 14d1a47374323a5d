"""A disk without room or without inodes: nothing that was stored is harmed, and it is over when it is over.

On a real file system of a few megabytes. Telemetry is refused, an alarm still fits, cursors move,
and what they set free is taken again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults import small_disk
from tests.faults.netns import alone


def on_a_disk(what: str, options: str, folder: Path) -> dict[str, Any]:
    script = Path(small_disk.__file__).read_text("utf-8")
    done = alone(script, what, options, str(folder), of="--mount")
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.slow
@pytest.mark.fault("F2", "R13")
def test_a_full_disk_refuses_telemetry_takes_alarms_and_goes_on_when_there_is_room(tmp_path):
    told = on_a_disk("full", "size=12m", tmp_path)
    acknowledged = told.pop("acknowledged")
    assert acknowledged > 20_000
    assert told == {
        "alarm": True,
        "again": True,
        "oldest": acknowledged // 2 + 1,
        "residual": 0,
        "alarms": 1,
    }


@pytest.mark.fault("F3")
def test_without_inodes_an_open_spool_goes_on_and_a_closed_one_says_why_and_is_whole(tmp_path):
    told = on_a_disk("no_inodes", "size=32m,nr_inodes=12", tmp_path)
    assert told.pop("refused") != ""
    assert told == {"open": True, "kept": 10, "epochs": 0}
