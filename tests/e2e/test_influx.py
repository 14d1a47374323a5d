"""200,000 acknowledged messages are 200,000 points, each once, asked of the store itself.

Real processes all the way: mosquitto, edge agent, collector, and the time-series store. InfluxDB 1
is asked in InfluxQL over its own HTTP API, the embedded store through the collector's API. The
writes of InfluxDB 2's API go to VictoriaMetrics, which speaks it, and to InfluxDB 2 itself on a
machine that has it.
"""

from __future__ import annotations

import csv
import io
import json
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from tests.e2e.blast import Blaster, encoded, fleet
from tests.e2e.city import City, http, influxd_of, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MESSAGES, DEVICES = 200_000, 5_000
Point = tuple[str, int]
TOKEN = "made-for-this-test"


def expected(messages: int) -> dict[Point, int]:
    return {(f"sim-env-{n % DEVICES:05d}", n + 1): 1 for n in range(messages)}


def send(city: City, messages: int) -> None:
    """Publish; every message has a time of its own, in the last few minutes."""
    packets = encoded(fleet(DEVICES, messages, start_s=int(time.time()) - 600))
    with Blaster(city.host, city.mqtt_port) as blaster:
        blaster.send(packets)
        assert blaster.acknowledged == messages


def wait_settled(city: City) -> None:
    wait_for("the uplink to have sent everything", city.settled, 240)

    def stored() -> bool:
        books = http("GET", f"{city.api}/api/v1/status")["books"]
        return bool(books["timeseries"]["buffered"] == 0)

    wait_for("the collector to have written everything", stored, 240)


def prove(city: City, points: Callable[[], Iterable[Point]], messages: int) -> None:
    """Send, wait, and compare what was sent with what the store holds."""
    send(city, messages)
    wait_settled(city)
    found = Counter(points())
    assert sum(found.values()) == messages
    assert found == expected(messages)
    status = city.edge_status()
    assert status["residual"] == 0
    assert status["refused"] == {}
    assert status["devices"]["known"] == DEVICES
    books = http("GET", f"{city.api}/api/v1/status")["books"]["timeseries"]
    assert (books["residual"], books["quarantined"]) == (0, 0)


@pytest.mark.fault("R9")
def test_200_000_messages_are_200_000_points_in_influxdb_1(city: City) -> None:
    server, port = city.influxd()
    server.start()
    url = f"http://{city.at(port)}"
    city.start(timeseries=f"{{kind: influxdb1, url: '{url}', database: tidegate}}")

    def ask(question: str) -> list[list[object]]:
        asked = urllib.parse.urlencode({"db": "tidegate", "epoch": "ns", "q": question})
        with urllib.request.urlopen(f"{url}/query?{asked}", timeout=120) as answer:
            (result,) = json.load(answer)["results"]
        return [row for series in result["series"] for row in series["values"]]

    def points() -> list[Point]:
        return [
            (str(device), int(str(seq))) for _, device, seq in ask("SELECT device, seq FROM env")
        ]

    prove(city, points, MESSAGES)
    ((_, count),) = ask("SELECT count(seq) FROM env")
    ((_, distinct),) = ask("SELECT count(distinct(seq)) FROM env")
    assert (count, distinct) == (MESSAGES, MESSAGES)


def test_200_000_messages_are_200_000_points_in_the_embedded_store(city: City) -> None:
    city.start()
    prove(city, city.delivered, MESSAGES)


def victoria_metrics(city: City) -> tuple[str, Callable[[], list[Point]]]:
    server, port = city.victoria_metrics()
    server.start()
    url = f"http://{city.at(port)}"

    def points() -> list[Point]:
        urllib.request.urlopen(f"{url}/internal/force_flush", timeout=60).close()
        asked = urllib.parse.urlencode({"match[]": "env_seq"})
        with urllib.request.urlopen(f"{url}/api/v1/export?{asked}", timeout=120) as answer:
            series = [json.loads(line) for line in answer]
        return [(each["metric"]["device"], int(n)) for each in series for n in each["values"]]

    return url, points


def influxdb_2(city: City) -> tuple[str, Callable[[], list[Point]]]:
    server, port = city.influxd2()
    server.start()
    url = f"http://{city.at(port)}"
    who = {"username": "admin", "password": "made-for-this-test", "token": TOKEN}
    http("POST", f"{url}/api/v2/setup", {**who, "org": "city", "bucket": "tidegate"})

    def points() -> list[Point]:
        flux = (
            'from(bucket: "tidegate") |> range(start: -1h)'
            ' |> filter(fn: (r) => r._measurement == "env" and r._field == "seq")'
            ' |> keep(columns: ["device", "_value"]) |> group()'
        )
        request = urllib.request.Request(
            f"{url}/api/v2/query?org=city",
            json.dumps({"query": flux, "type": "flux"}).encode(),
            {
                "Authorization": f"Token {TOKEN}",
                "Accept": "application/csv",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            rows = csv.DictReader(io.StringIO(answer.read().decode()))
            return [(row["device"], int(row["_value"])) for row in rows]

    return url, points


SERVERS = {"victoria-metrics": victoria_metrics}
if influxd_of(2):
    SERVERS["influxdb-2"] = influxdb_2


@pytest.mark.parametrize("server", SERVERS)
def test_50_000_messages_are_50_000_points_behind_the_api_of_influxdb_2(
    city: City, server: str
) -> None:
    url, points = SERVERS[server](city)
    token = city.folder / "token"
    token.write_text(TOKEN)
    store = f"kind: influxdb2, url: '{url}', org: city, bucket: tidegate, token_file: '{token}'"
    city.start(timeseries=f"{{{store}}}")
    prove(city, points, 50_000)
