"""Connect over a cable, pull it, and print after how many seconds each client noticed (JSON)."""

# ruff: noqa: T201  # what it prints is its result

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable
from pathlib import Path

from collector.timeseries.influx2 import open_influx2
from collector.timeseries.web import open_web
from edge_agent.sources.mqtt import MqttSource
from edge_agent.sources.settings import MqttSettings
from gateway_core.clock import wall_ns
from gateway_core.errors import Unavailable
from gateway_core.link import Link, LinkOptions
from gateway_core.meter import Meter
from tests.fakes.ingest import FakeIngest
from tests.faults.netns import FAR, Cable

MUTE = """
import asyncio
async def hear(reader, writer):
    while await reader.read(65536):
        pass
async def main():
    server = await asyncio.start_server(hear, "::", 8086)
    await server.serve_forever()
asyncio.run(main())
"""


async def until_it_fails(name: str, work: Awaitable[object], noticed: dict[str, float]) -> None:
    try:
        async with asyncio.timeout(60):
            await work
    except Unavailable as exc:
        print(f"{name}: {exc}")
    noticed[name] = time.monotonic()


def source(version: str) -> MqttSource:
    settings = MqttSettings.model_validate(
        {"name": f"v{version[0]}", "url": f"mqtt://[{FAR}]:1883", "version": version}
    )
    return MqttSource(
        settings,
        edge="edge-a",
        topics=["t/#"],
        ingest=FakeIngest(),
        clock=wall_ns,
        meter=Meter(),
        saved_state={},
    )


async def main(cable: Cable) -> dict[str, float]:
    noticed: dict[str, float] = {}
    sources = {f"MQTT {each}": source(each) for each in ("5", "3.1.1")}
    url = f"http://[{FAR}]:8086"
    async with (
        Link(LinkOptions(url)) as link,
        open_web(url) as web,
        open_influx2(url, "o", "b", None) as influx,
        asyncio.TaskGroup() as tasks,
    ):
        for name, each in sources.items():
            tasks.create_task(until_it_fails(name, each.run(), noticed))
        for each in sources.values():
            async with asyncio.timeout(20):
                await each.ready.wait()
        works = {
            "uplink": link.post(b"a batch"),
            "InfluxDB 1 and 3": web.send("POST", "/write", body=b"a 1"),
            "InfluxDB 2": influx.measurements(),
        }
        for name, work in works.items():
            tasks.create_task(until_it_fails(name, work, noticed))
        await asyncio.sleep(1)  # all of them wait for an answer, or have nothing to say
        cable.pull()
        pulled = time.monotonic()
    return {name: round(at - pulled, 1) for name, at in noticed.items()}


if __name__ == "__main__":
    conf = Path(sys.argv[1]) / "mosquitto.conf"
    conf.write_text("listener 1883 ::\nallow_anonymous true\nuser root\n")
    with Cable() as made:
        peers = [
            subprocess.Popen(made.reach(command), stderr=subprocess.DEVNULL)
            for command in (
                [sys.executable, "-c", MUTE],
                ["/usr/sbin/mosquitto", "-c", str(conf)],
            )
        ]
        time.sleep(1.5)
        try:
            print(json.dumps(asyncio.run(main(made))))
        finally:
            for peer in peers:
                peer.kill()
