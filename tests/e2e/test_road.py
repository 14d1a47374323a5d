"""From a shell to a query at the centre, over MQTT and CoAP, on IPv4 and on IPv6 alone.

The stock clients, `mosquitto_pub` and libcoap's `coap-client`, are all that a person needs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.city import City, tidegate, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LOOPBACK = ("127.0.0.1", "::1")


@pytest.fixture(params=LOOPBACK)
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[City]:
    made = City(tmp_path, request.param)
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.mark.fault("F17")
def test_two_shell_commands_bring_readings_to_a_query(town: City) -> None:
    before = time.time_ns()
    town.say("room-1", '{"temperature": 21.5, "humidity": 40, "battery": 97, "seq": 1}')
    assert "2.04" in town.put("tg/room-2/up", '{"temperature": -3.5, "seq": 2}')
    wait_for("both readings", lambda: len(town.delivered()) == 2)

    table = town.query(measurement="env", start="-1h", stop="+1h")
    found = {row["device"]: row for row in rows(table)}
    room_1, room_2 = found["room-1"], found["room-2"]
    assert (room_1["temperature"], room_1["humidity"], room_1["battery"]) == (21.5, 40.0, 97)
    assert (room_2["temperature"], room_2["humidity"], room_2["seq"]) == (-3.5, None, 2)
    for row in found.values():
        assert (row["edge"], row["profile"]) == ("sim-edge-01", "tidegate/env-sensor")
    after = time.time_ns()
    asked = {"measurement": "env", "fields": ["seq"], "start": before, "stop": after}
    assert len(town.query(**asked)["rows"]) == 2, "a clockless device gets the receive time"

    told = tidegate("query", "env", "--since", "1h", "--format", "json", "--url", town.api)
    assert told.returncode == 0, told.stderr
    assert "room-1" in told.stdout
    assert "room-2" in told.stdout


def test_the_books_of_both_sides_balance(town: City) -> None:
    town.say("room-1", '{"temperature": 21.5, "seq": 1}')
    town.say("room-1", "no JSON at all")
    town.put("tg/room-2/up", '{"temperature": 22.5, "seq": 2}')
    wait_for("both readings", lambda: len(town.delivered()) == 2)

    def books() -> dict[str, Any] | None:
        status = town.edge_status()
        uplink = next(each for each in status["consumers"] if each["name"] == "uplink")
        return status if uplink["buffered"] == 0 else None

    status = wait_for("the uplink to have sent everything", books)
    # two readings, the two announcements of new devices, and one of the profile that reads them
    assert sum(status["accepted"].values()) == 5
    assert status["refused"] == {"not_json": 1}
    assert status["residual"] == 0
    for each in status["consumers"]:
        assert each["accepted"] == 5
        assert each["residual"] == 0
    assert status["devices"]["known"] == 2

    def centre() -> dict[str, Any] | None:
        told = tidegate("collector", "status", "--json", "--url", town.api)
        assert told.returncode == 0, told.stderr
        found: dict[str, Any] = json.loads(told.stdout)
        books = found["books"].values()
        return found if books and all(book["buffered"] == 0 for book in books) else None

    told = wait_for("the collector to have stored everything", centre)
    (edge,) = told["edges"]
    assert (edge["id"], edge["records"]) == ("sim-edge-01", 5)
    assert edge["residual"] in (0, None)
    assert {book["residual"] for book in told["books"].values()} == {0}


def rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
