"""An agent whose clock stands in 1970, jumps by an hour and comes back: what reaches the centre.

The agent runs under libfaketime, which changes its wall clock and nothing else; the collector has
the true time. Whatever the clock said, everything arrives once and in order, with true times where
they could be known before it left, and with a mark where the edge's clock was not to be trusted.
"""

from __future__ import annotations

import json
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from gateway_core.clock import NS
from gateway_core.instant import parse_instant
from tests.e2e.city import City, http, tidegate, wait_for

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
HOUR = 3600


class SkewedCity(City):
    """A city whose edge has a clock that the test sets."""

    def start_skewed(self, offset: int) -> None:
        assert LIBRARY is not None, "apt-get install faketime"
        self.skew(offset)
        env = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "offset"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.centre().start()
        self.edge(direct="anonymous: true", env=env).start()
        self.wait_connected()

    def skew(self, offset: int) -> None:
        """Set the edge's clock so many seconds ahead of the true one."""
        made = self.folder / "offset.new"
        made.write_text(f"{offset:+d}\n")
        made.rename(self.folder / "offset")

    def clock(self) -> dict[str, Any]:
        found: dict[str, Any] = self.edge_status()["clock"]
        return found

    def tell(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            self.say("d1", json.dumps({"temperature": 20.0, "seq": n, **more}))

    def arrived(self, count: int) -> list[dict[str, Any]]:
        """The readings at the centre, in the order in which they were taken in."""

        def look() -> list[dict[str, Any]] | None:
            try:
                table = self.query(measurement="env", start=0, stop="+1d")
            except urllib.error.HTTPError as exc:
                if exc.code == 400:  # nothing of this measurement arrived yet
                    return None
                raise
            rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
            return sorted(rows, key=lambda row: row["seq"]) if len(rows) >= count else None

        found: list[dict[str, Any]] = wait_for(f"{count} readings", look)
        return found


@pytest.mark.fault("F4")
@pytest.mark.timeout(240)
def test_a_whole_agent_lives_through_1970_and_jumps_of_an_hour(tmp_path):
    city = SkewedCity(tmp_path)
    try:
        began = int(time.time())
        city.start_skewed(60 - began)
        city.tell(1, 2)
        city.tell(3, ts=began - 7)  # a device that knows the time
        assert city.clock()["trouble"] == "unset"
        assert city.clock()["holding"] is True
        city.skew(0)
        wait_for("the clock to be right", lambda: not city.clock()["holding"])
        city.tell(4)
        city.tell(5, ts=0)  # a device whose clock was never set
        marks = [(row["seq"], row.get("clock_mark")) for row in city.arrived(5)]
        assert marks == [
            (1, "repaired"),
            (2, "repaired"),
            (3, "repaired"),
            (4, None),
            (5, "replaced"),
        ]

        city.skew(HOUR)
        city.tell(6)
        city.arrived(6)  # it left with the mark: nothing can be put right there any more
        city.skew(-HOUR)
        city.tell(7)
        city.arrived(7)
        city.skew(0)
        city.tell(8)
        rows = city.arrived(8)
        ended = int(time.time())
        assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert [row.get("clock_mark") for row in rows[5:]] == ["jumped", "jumped", None]
        times = [parse_instant(row["time"], 0) / NS for row in rows]
        assert times[2] == began - 7
        for row, at in zip(rows, times, strict=True):
            ahead = {6: HOUR, 7: -HOUR}.get(row["seq"], 0)
            assert row["seq"] == 3 or began - 1 <= at - ahead <= ended + 1
        status = city.edge_status()
        assert status["clock"]["trouble"] is None
        assert status["residual"] == 0
        told = http("GET", f"{city.api}/api/v1/devices/d1/gaps")["notes"]
        assert any("jumped 1, repaired 3, replaced 1" in note for note in told)
        said = tidegate("edge", "status", "--url", city.admin)
        assert "时钟 · clock" in said.stdout
        assert "trusted" in said.stdout
    finally:
        city.close()
