"""A broker that others wrote hands its messages on to the listener as any device does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge_agent.listen.conftest import listening
from tests.fakes.broker import Mosquitto
from tests.fakes.ingest import FakeIngest


@pytest.mark.parametrize("version", ["mqttv311", "mqttv50"])
async def test_mosquitto_bridges_to_it(tmp_path: Path, version: str) -> None:
    # of 3.1.1 it first says level 0x84, and says 4 once it is answered in words of 3.1.1
    ingest = FakeIngest()
    async with listening(ingest) as source:
        bridge = (
            f"connection edge\naddress 127.0.0.1:{source.ports[0]}\ntopic t/# out 1\n"
            f"bridge_protocol_version {version}\nrestart_timeout 1\nnotifications false\n"
            "remote_clientid bridge\ncleansession false"
        )
        broker = Mosquitto(tmp_path, f"allow_anonymous true\n{bridge}")
        await broker.start()
        try:
            await broker.publish("t/a", "1", "2")
            await ingest.until(2)
        finally:
            await broker.stop()
    assert [(each.address, each.payload) for each in ingest.stored] == [
        ("t/a", b"1"),
        ("t/a", b"2"),
    ]
