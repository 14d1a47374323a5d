"""InfluxDB lost what it had: the edge sends the window again, and only the store gets it twice."""

from __future__ import annotations

import json
import subprocess
import urllib.parse

import pytest

from tests.e2e.blast import fleet, publish
from tests.e2e.city import PYTHON, City, http, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

COUNT, DEVICES = 2_000, 20
LISTENER = "anonymous: true, receive_maximum: 4000"


@pytest.mark.fault("F21")
def test_what_influxdb_lost_comes_back_and_nothing_is_counted_twice(city: City) -> None:
    influx, port = city.influxd()
    influx.start()
    city.centre(f"{{kind: influxdb1, url: 'http://{city.at(port)}'}}").start()
    city.edge(direct=LISTENER).start()
    told = list(fleet(DEVICES, COUNT, start_s=1_764_000_000))
    assert publish(city.host, city.mqtt_port, told) == COUNT

    def stored() -> int:
        return len(city.delivered(start=1_763_000_000_000_000_000))

    def books() -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = http("GET", f"{city.api}/api/v1/status")["books"]
        return found

    def counted() -> int:
        (edge,) = http("GET", f"{city.api}/api/v1/edges")["items"]
        return int(edge["records"])

    wait_for("everything at the centre", lambda: stored() == COUNT)
    wait_for("every sink to be done", lambda: not any(b["buffered"] for b in books().values()))
    before = counted()
    query = urllib.parse.quote('DROP MEASUREMENT "env"')
    http("POST", f"http://{city.at(port)}/query?db=tidegate&q={query}")
    assert stored() == 0

    command = [PYTHON, "-m", "tidegate", "collector", "refill", "sim-edge-01", "--since", "1h"]
    more = ["--again", "--wait", "--url", city.api]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "missing" in done.stdout
    wait_for("everything at the centre again", lambda: stored() == COUNT)
    wait_for("every sink to be done", lambda: not any(b["buffered"] for b in books().values()))
    assert counted() == before
    assert books()["registry"]["dropped"] == {"again": before}
    assert all(each["residual"] == 0 for each in books().values())

    # from the site: the collector has it all, so nothing changes
    config = city.folder / "edge" / "edge.yaml"
    words = ["edge", "replay", "--sent", "--since", "1h", "--json", "--config", str(config)]
    replayed = subprocess.run(
        [PYTHON, "-m", "tidegate", *words], capture_output=True, text=True, check=False
    )
    assert replayed.returncode == 0, replayed.stderr
    said = json.loads(replayed.stdout)
    assert (said["ended"], said["gone"], said["done"]) == (True, 0, said["whole"])
    assert said["whole"] >= before
    assert counted() == before
