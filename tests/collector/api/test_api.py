"""People's questions are answered: lists page by page, queries in three forms, errors with advice."""

from __future__ import annotations

import csv
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway_core.model import Alarm, FeedHealth, Listed, Reading, Record, SystemHealth
from gateway_core.wire import CONTENT_TYPE, Upload, encode_upload
from tests.e2e.city import City, http, wait_for

NOW = time.time_ns()
SECOND = 1_000_000_000


def records() -> list[Record]:
    found: list[Record] = [
        Reading(
            "sim-edge-01",
            f"sim-env-{n:05d}",
            "tidegate/env-sensor",
            "env",
            NOW - (60 - n) * SECOND,
            NOW,
            {"temperature": 20.0 + n / 10, "seq": n},
        )
        for n in range(1, 31)
    ]
    found += [
        FeedHealth("sim-edge-01", f"sim-cam-{n:04d}", NOW, "online" if n % 3 else "offline")
        for n in range(1, 31)
    ]
    found += [
        SystemHealth("sim-edge-01", "sim-system-001", NOW, "up"),
        Listed("sim-edge-01", "device", "sim-env-00001", NOW, name="=1+1 锅炉房", area="371602"),
        Alarm(
            "sim-edge-01",
            "sim-env-00002",
            "tidegate/env-sensor",
            "hot",
            "critical",
            "raised",
            NOW,
            {"en": "Too hot", "zh": "温度过高"},
        ),
    ]
    return found


def upload(city: City, first: int, said: list[Record], **headers: str) -> dict[str, Any]:
    last = first + len(said) - 1
    body = encode_upload(
        Upload("sim-edge-01", "0123456789abcdef", first, last, list(range(first, last + 1)), said)
    )
    request = urllib.request.Request(
        f"http://{city.at(city.intake_port)}/v1/batches",
        body,
        {"Content-Type": CONTENT_TYPE, **headers},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


@pytest.fixture(scope="module", params=["127.0.0.1", "::1"])
def city(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[City]:
    city = City(tmp_path_factory.mktemp("city"), request.param)
    try:
        city.centre().start()
        upload(city, 1, records(), **{"Tidegate-Backlog": "7", "Tidegate-Residual": "0"})
        wait_for(
            "the registry",
            lambda: len(http("GET", f"{city.api}/api/v1/devices")["items"]) == 30,
        )
        wait_for("the store", lambda: len(city.delivered()) == 30)
        yield city
    finally:
        city.close()


@pytest.fixture(autouse=True)
def in_contact(city: City) -> None:
    """However slow the machine is, the edge was heard just now: it says that it has nothing new."""
    last = len(records())
    body = encode_upload(Upload("sim-edge-01", "0123456789abcdef", last, last, [], []))
    said = {"Content-Type": CONTENT_TYPE, "Tidegate-Backlog": "7", "Tidegate-Residual": "0"}
    url = f"http://{city.at(city.intake_port)}/v1/batches"
    urllib.request.urlopen(urllib.request.Request(url, body, said), timeout=30).close()


def refused(method: str, url: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        http(method, url, body)
    assert caught.value.headers["Content-Type"] == "application/problem+json"
    return caught.value.code, json.loads(caught.value.read())


def ask(url: str, body: Any, accept: str) -> bytes:
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Accept": accept},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: bytes = answer.read()
        return found


def test_status_says_who_is_connected_and_what_they_hold(city: City) -> None:
    status = http("GET", f"{city.api}/api/v1/status")
    edge = status["edges"][0]
    assert (edge["id"], edge["state"], edge["backlog"], edge["residual"]) == (
        "sim-edge-01",
        "connected",
        7,
        0,
    )
    assert status["totals"]["devices"] == {"online": 30}
    assert status["totals"]["feeds"] == {"online": 20, "offline": 10}
    assert status["totals"]["alarms"] == {"critical": 1}
    assert status["totals"]["residual"] == 0
    assert status["latest"][0]["values"]


def test_lists_come_in_pages_and_take_filters(city: City) -> None:
    first = http("GET", f"{city.api}/api/v1/feeds?limit=20")
    second = http("GET", f"{city.api}/api/v1/feeds?limit=20&cursor={first['next']}")
    ids = [item["id"] for item in first["items"] + second["items"]]
    assert ids == [f"sim-cam-{n:04d}" for n in range(1, 31)]
    assert second["next"] is None
    offline = http("GET", f"{city.api}/api/v1/feeds?state=offline&limit=3")
    assert [item["id"] for item in offline["items"]] == [
        "sim-cam-0003",
        "sim-cam-0006",
        "sim-cam-0009",
    ]


def test_a_device_has_its_entry_and_latest_values(city: City) -> None:
    device = http("GET", f"{city.api}/api/v1/devices/sim-env-00001")
    assert (device["name"], device["area"], device["state"]) == (
        "=1+1 锅炉房",
        "371602",
        "online",
    )
    assert device["latest"]["env"]["temperature"]["value"] == 20.1
    assert device["latest"]["env"]["temperature"]["time"].endswith("Z")


def test_a_query_answers_as_json_csv_and_arrow_alike(city: City) -> None:
    url = f"{city.api}/api/v1/query"
    body = {
        "measurement": "env",
        "fields": ["temperature"],
        "where": {"device": ["sim-env-00005"]},
        "start": "-1h",
        "stop": "+1h",
    }
    as_json = json.loads(ask(url, body, "application/json"))
    assert as_json["columns"] == ["time", "device", "edge", "profile", "temperature"]
    assert as_json["rows"][0][1:] == ["sim-env-00005", "sim-edge-01", "tidegate/env-sensor", 20.5]
    as_csv = list(csv.reader(io.StringIO(ask(url, body, "text/csv").decode())))
    assert as_csv[1][1:] == ["sim-env-00005", "sim-edge-01", "tidegate/env-sensor", "20.5"]
    arrow = pa.ipc.open_stream(ask(url, body, "application/vnd.apache.arrow.stream")).read_all()
    assert arrow.column("temperature").to_pylist() == [20.5]


def test_windows_are_aggregated(city: City) -> None:
    table = city.query(
        measurement="env", fields=["seq"], start="-1h", stop="+1h", every="1h", agg="count"
    )
    assert sum(row[-1] for row in table["rows"]) == 30


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"measurement": "enw"}, "unknown_measurement", "did you mean 'env'"),
        ({"measurement": "env", "fields": ["temprature"]}, "unknown_field", "temperature"),
        ({"measurement": "env", "start": "yesterday"}, "bad_time", "-1h"),
        ({"measurement": "env", "start": "now", "stop": "-1h"}, "bad_window", "after stop"),
        ({"measurement": "env'; DROP TABLE env; --"}, "unknown_measurement", "env"),
        ({"measurement": "env", "cursor": "garbage"}, "bad_cursor", "cursor"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_to_do(
    city: City, body: dict[str, Any], code: str, words: str
) -> None:
    status, problem = refused("POST", f"{city.api}/api/v1/query", body)
    assert (status, problem["title"]) == (400, code)
    assert words in problem["detail"]


def test_what_does_not_exist_is_a_problem_document(city: City) -> None:
    assert refused("GET", f"{city.api}/api/v1/nothing")[0] == 404
    assert refused("GET", f"{city.api}/api/v1/devices/none")[1]["title"] == "unknown_device"
    assert refused("GET", f"{city.api}/api/v1/devices?limit=0")[0] == 422
    assert refused("GET", f"{city.api}/api/v1/devices?cursor=x")[1]["title"] == "bad_cursor"


def test_a_huge_request_is_refused_unread(city: City) -> None:
    status, problem = refused("POST", f"{city.api}/api/v1/query", {"measurement": "x" * (1 << 21)})
    assert (status, problem["title"]) == (413, "too_large")


def test_edges_are_filtered_by_what_they_hold(city: City) -> None:
    def ids(query: str) -> list[str]:
        return [e["id"] for e in http("GET", f"{city.api}/api/v1/edges?{query}")["items"]]

    for all_of_it in ("", "q=EDGE-0", "area=3716", "edge=sim-edge-01", "state=connected"):
        assert ids(all_of_it) == ["sim-edge-01"]
    for nothing in ("q=zz", "area=9", "edge=e2", "state=stale", "cursor=sim-edge-01"):
        assert ids(nothing) == []


def test_a_state_that_does_not_exist_is_named_with_the_nearest(city: City) -> None:
    status, problem = refused("GET", f"{city.api}/api/v1/devices?state=onlin")
    assert (status, problem["title"]) == (400, "unknown_state")
    assert problem["detail"] == "no state 'onlin'; did you mean online?"


def test_an_alarm_becomes_an_event_that_people_close_step_by_step(city: City) -> None:
    where = f"{city.api}/api/v1/events"
    item = wait_for("the event", lambda: http("GET", f"{where}?device=sim-env-00002")["items"])[0]
    assert (item["state"], item["severity"], item["allowed"]) == ("open", "critical", ["accept"])
    here = f"{where}/{item['id']}"
    if city.host == "127.0.0.1":
        status, wrong = refused("POST", f"{here}/verify", {"actor": "operations"})
        assert (status, wrong["title"], wrong["allowed"]) == (409, "wrong_step", ["accept"])
        for step in ("accept", "assign", "handle", "feedback", "verify"):
            body = {"actor": "operations", "assignee": "section 4", "comment": "=做"}
            event = http("POST", f"{here}/{step}", body)
        assert (event["state"], event["closed"], event["intact"]) == ("verified", True, True)
        assert [each["actor"] for each in event["steps"]] == ["alarm", *["operations"] * 5]
    status, stale = refused("POST", f"{here}/reopen", {"actor": "operations", "version": 99})
    assert (status, stale["title"]) == (412, "outdated")
    assert refused("POST", f"{where}/ev-0/accept", {"actor": "x"})[0] == 404
    assert refused("POST", f"{here}/accept", {"actor": " "})[0] == 422
    assert refused("POST", f"{here}/assign", {"actor": "x"})[1]["title"] == "no_assignee"


def test_an_event_opened_by_hand_carries_its_version_as_etag(city: City) -> None:
    body = json.dumps({"title": "Smoke", "actor": "operations", "device": "pump-3"}).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{city.api}/api/v1/events", body, kind)
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.headers["ETag"]) == (201, '"1"')
        place = answer.headers["Location"]
    seen = kind | {"If-Match": '"1"'}
    request = urllib.request.Request(f"{city.api}{place}/accept", b'{"actor": "x"}', seen)
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["ETag"] == '"2"'
    with pytest.raises(urllib.error.HTTPError, match="412"):
        urllib.request.urlopen(request)


def test_another_sites_page_changes_nothing(city: City) -> None:
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}
    request = urllib.request.Request(
        f"{city.api}/api/v1/events", b'{"title": "x", "actor": "x"}', headers
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)


def test_a_shipped_profile_can_be_read_as_it_was_written(city: City) -> None:
    listed = http("GET", f"{city.api}/api/v1/profiles?q=env-sensor")["items"]
    assert [each["id"] for each in listed] == ["tidegate/env-sensor"]
    found = http("GET", f"{city.api}/api/v1/profiles/tidegate/env-sensor")
    assert found["store"]["measurement"] == "env"
    asked = urllib.request.Request(
        f"{city.api}/api/v1/profiles/tidegate/env-sensor", headers={"Accept": "application/yaml"}
    )
    with urllib.request.urlopen(asked) as answer:
        assert answer.read().startswith(b"format: 1\n")
        assert answer.headers["Content-Type"].startswith("application/yaml")
    assert refused("GET", f"{city.api}/api/v1/profiles/no/such")[1]["title"] == "unknown_profile"


def test_metrics_health_and_docs_are_served(city: City) -> None:
    with urllib.request.urlopen(f"{city.api}/metrics") as answer:
        text = answer.read().decode()
    assert "tidegate_residual 0.0" in text or 'tidegate_residual{consumer="timeseries"} 0.0' in text
    health = http("GET", f"{city.api}/healthz")
    assert (health["status"], health["spool"], set(health["parts"].values())) == (
        "ok",
        "ok",
        {"ok"},
    )
    with urllib.request.urlopen(f"{city.api}/docs") as answer:
        page = answer.read().decode()
    assert "https://" not in page
    schema = http("GET", f"{city.api}/openapi.json")
    assert "/api/v1/query" in schema["paths"]


def test_the_commands_print_what_the_api_says(city: City, tmp_path: Path) -> None:
    import subprocess
    import sys

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "tidegate", *arguments, "--url", city.api]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert json.loads(run("collector", "status", "--json"))["totals"]["devices"] == {"online": 30}
    assert "sim-env-00007" in run("collector", "devices")
    said = {"title": "Rats", "actor": "operations", "device": "kitchen-1"}
    http("POST", f"{city.api}/api/v1/events", said)
    found = json.loads(run("collector", "events", "--device", "kitchen-1", "--json"))
    assert "Rats" in run("collector", "event", found[0]["id"])
    assert "accepted" in run("collector", "event", found[0]["id"], "accept", "--actor", "wang")
    assert len(json.loads(run("collector", "feeds", "--state", "offline", "--json"))) == 10
    table = json.loads(run("query", "env", "--since", "1h", "--until", "+1h", "--format", "json"))
    assert len(table["rows"]) == 30
    run(
        "query", "env", "--since", "1h", "--format", "parquet", "--out", str(tmp_path / "e.parquet")
    )
    assert pq.read_table(tmp_path / "e.parquet").num_rows == 30
    out = tmp_path / "env.csv"
    run("collector", "export", "env", "--out", str(out), "--until", "+1h")
    assert len(out.read_text().splitlines()) == 31
