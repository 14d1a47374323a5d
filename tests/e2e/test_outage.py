"""The uplink is cut for the whole run, then restored: live data first, the backlog at its share.

A proxy stands for the line to the centre. While it refuses, the site goes on: messages are
acknowledged, and the on-site query answers. When it lets through again, what is said from then on
does not wait for the backlog, the backlog is not starved either, and in the end all of it is there.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter

import pytest

from gateway_core.model import Reading
from gateway_core.wire import decode_upload
from tests.e2e.blast import Blaster, encoded, env, publish
from tests.e2e.city import City, free_port, http, wait_for
from tests.e2e.proxy import Proxy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BACKLOG, DEVICES = 90_000, 1_000


@pytest.mark.fault("F6", "R6")
def test_after_an_outage_live_data_goes_first_and_the_backlog_at_its_share(city: City) -> None:
    port = free_port()
    with Proxy(port, city.intake_port) as proxy:
        city.broker().start()
        city.centre().start()
        city.edge(uplink_port=port).start()
        city.wait_connected()

        started = int(time.time()) - 600
        late = [
            env(f"late-{n % DEVICES}", ts=started + n // DEVICES, temperature=20.5, seq=n)
            for n in range(BACKLOG)
        ]
        assert publish(city.host, city.mqtt_port, late) == BACKLOG
        taken = BACKLOG + DEVICES + 1  # each device is announced, and the version that reads them

        wait_for("the site to have taken all of it in", lambda: accepted(city) >= taken)
        status = city.edge_status()
        uplink = next(each for each in status["consumers"] if each["name"] == "uplink")
        assert uplink["buffered"] == taken
        assert uplink["delivered"] == 0
        assert city.delivered() == []
        assert on_site(city, "late-7") == BACKLOG // DEVICES
        assert status["lag_s"] > 0

        proxy.restore()
        live = 0
        with Blaster(city.host, city.mqtt_port, client="sim-live") as blaster:
            while not city.settled():  # people keep talking until the backlog is gone
                part = [env(f"live-{live + n}", temperature=21.5, seq=n) for n in range(50)]
                blaster.send(encoded(part))
                live += len(part)
        everything = taken + 2 * live  # and of each of those, an announcement and a reading
        wait_for("the site to have taken all of it in", lambda: accepted(city) >= everything)
        wait_for("the uplink to have sent everything", city.settled)
        requests = proxy.requests()

    said = {(f"late-{n % DEVICES}", n) for n in range(BACKLOG)}
    said |= {(f"live-{n}", n % 50) for n in range(live)}
    with contextlib.suppress(AssertionError):  # what is missing says more than "did not come"
        wait_for("all of it at the centre", lambda: len(city.delivered()) >= len(said), 90)
    found = Counter(city.delivered())
    assert sorted(said - found.keys())[:5] == []
    assert max(found.values()) == 1
    assert found.keys() == said
    assert city.edge_status()["residual"] == 0

    # what crossed, in order: one letter for each reading, L(ive) or B(acklog)
    order = [
        "L" if record.device.startswith("live") else "B"
        for request in requests
        for record in decode_upload(request.body).records
        if isinstance(record, Reading)
    ]
    text = "".join(order)
    assert Counter(order) == {"B": BACKLOG, "L": live}
    last_late, first_live = text.rindex("B"), text.index("L")
    overtook = text[:last_late].count("L")
    assert first_live < BACKLOG / 2, "live data waited for the backlog"
    assert overtook >= 500, f"only {overtook} of {live} live readings overtook the backlog"
    runs = [(kind, len(list(run))) for kind, run in itertools.groupby(text[:last_late])]
    assert sum(kind == "B" for kind, _ in runs) > 1, "the backlog was sent in one piece"


def accepted(city: City) -> int:
    return sum(city.edge_status()["accepted"].values())


def on_site(city: City, device: str) -> int:
    """How many readings of a device the site itself finds."""
    asked = {"measurement": "env", "where": {"device": [device]}, "start": "-1h", "stop": "+1h"}
    return len(http("POST", f"{city.admin}/query", {**asked, "limit": 10_000})["rows"])
