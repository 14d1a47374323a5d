"""A second site holds what the first accepted, whichever of the two is killed; and takes over.

When the first is lost for good, its edge is pointed at the second, which asks for what the first
had not passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.blast import fleet, publish
from tests.e2e.city import City, http, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

COUNT, DEVICES = 4_000, 40
LISTENER = "anonymous: true, receive_maximum: 4000"


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[City, City]]:
    made = City(tmp_path / "first"), City(tmp_path / "second")
    for each in made:
        each.folder.mkdir()
    try:
        yield made
    finally:
        for each in made:
            each.close()


def books(city: City) -> dict[str, Any]:
    found: dict[str, Any] = http("GET", f"{city.api}/api/v1/status")["books"]
    return found


@pytest.mark.fault("F21")
def test_the_second_site_holds_the_same_whoever_is_killed_and_takes_over(
    sites: tuple[City, City],
) -> None:
    first, second = sites
    there = second.centre(intake=", mirrors: [centre-a]")
    mirror = f"mirror: {{url: 'http://{second.at(second.intake_port)}', name: centre-a}}\n"
    here = first.centre(extra=mirror)
    edge = first.edge(direct=LISTENER)
    there.start()
    here.start()
    edge.start()

    def say(part: int) -> None:
        told = list(fleet(DEVICES, COUNT, start_s=1_764_000_000 + part * COUNT))
        assert publish(first.host, first.mqtt_port, told) == COUNT

    def whole(city: City, parts: int) -> bool:
        found = city.delivered(start=1_763_000_000_000_000_000)
        return len(found) == parts * COUNT

    say(0)
    there.kill()  # while it is being told
    say(1)
    wait_for("the first site to have both", lambda: whole(first, 2))
    there.start()
    here.kill()  # while it passes them on
    here.start()
    wait_for("the second site to have both", lambda: whole(second, 2))
    mine = wait_for(
        "the mirror's books to be done",
        lambda: (found := books(first)["mirror"])["buffered"] == 0 and found,
    )
    assert (mine["residual"], mine["dropped"], mine["quarantined"]) == (0, {}, 0)
    assert mine["accepted"] == mine["delivered"]
    (known,) = http("GET", f"{second.api}/api/v1/edges")["items"]
    assert (known["id"], known["missing"]) == ("sim-edge-01", 0)

    there.kill()
    say(2)  # this only the first site hears of
    wait_for("the first site to have the third part", lambda: whole(first, 3))
    here.kill()
    there.start()
    edge.stop()
    first.edge(uplink_port=second.intake_port, direct=LISTENER).start()
    say(3)
    wait_for("the second site to have all four parts", lambda: whole(second, 4))
    wait_for("the edge to have sent all", first.settled)
    (known,) = http("GET", f"{second.api}/api/v1/edges")["items"]
    assert (known["missing"], known["residual"]) == (0, 0)
    assert first.edge_status()["residual"] == 0
