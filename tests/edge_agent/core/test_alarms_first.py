"""An alarm behind telemetry that must wait for room is stored at once; the telemetry in its turn.

The pipeline, the spool and the commit line are the real ones. Nothing is acknowledged before it is
stored, order per device stays, and no alarm is told twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from edge_agent.arrival import Apart, Arrival
from edge_agent.sources.commit_line import CommitLine
from edge_agent.sources.redelivery import Redelivery, fingerprint
from gateway_core.errors import SpoolFull
from gateway_core.meter import Meter
from gateway_core.model import Alarm, Reading
from tests.fakes.edge import NOW, Edge, arrival, open_edge

LIMIT = 1 << 20


class Wire:
    """A connection that acknowledges what the line says is stored."""

    def __init__(self, edge: Edge) -> None:
        self.acknowledged: list[int] = []
        self.sent = 0
        self.line: CommitLine = CommitLine(
            "mqtt:site",
            edge.pipeline.ingest,
            Redelivery("mqtt/site/", 1000, {}),
            Meter(),
            most_messages=10_000,
            most_bytes=1 << 24,
            apart=Apart(heed=edge.pipeline.heed),
        )
        self.line.on_acknowledged = self.acknowledged.extend

    def send(self, device: str, text: str) -> None:
        self.sent += 1
        message: Arrival = arrival(f"tg/{device}/up", text, NOW + self.sent * 1_000_000_000)
        load = self.line.open
        load.arrivals.append(message)
        load.words.append(self.sent)
        load.marks.append(fingerprint(self.sent, message.address, message.payload))
        load.size += len(text)
        self.line.go()


async def full(edge: Edge) -> None:
    """Fill the spool with telemetry that nobody takes away, until it takes no more of it."""
    await edge.spool.register("up")
    await edge.say("hot-1", '{"temperature": 20}')
    dice = random.Random(7)
    with contextlib.suppress(SpoolFull):
        while True:
            await edge.say("d1", *(f'{{"temperature": {dice.random() * 50}}}' for _ in range(200)))


async def alarms(edge: Edge) -> list[tuple[str, str]]:
    found = [each for each in await edge.records() if isinstance(each, Alarm)]
    return [(each.device, each.state) for each in found]


@pytest.mark.fault("F2")
async def test_an_alarm_passes_telemetry_of_its_own_source_that_must_wait(tmp_path):
    async with open_edge(tmp_path, max_bytes=LIMIT) as edge, asyncio.TaskGroup() as tasks:
        await full(edge)
        wire = Wire(edge)
        wire.line.start(tasks)
        for n in range(20):
            wire.send("hot-1", f'{{"temperature": {20 + n}}}')
            await asyncio.sleep(0)
        wire.send("hot-1", '{"temperature": 61}')
        wire.send("hot-1", '{"temperature": 50}')
        wire.send("hot-1", '{"temperature": 62}')
        told = [("hot-1", "raised"), ("hot-1", "cleared"), ("hot-1", "raised")]
        async with asyncio.timeout(30):
            while await alarms(edge) != told:
                await asyncio.sleep(0.05)
        assert wire.acknowledged == []

        await edge.spool.settle("up", 1, edge.spool.head)  # there is room again
        wire.send("hot-1", '{"temperature": 63}')
        async with asyncio.timeout(30):
            await wire.line.drained()
        assert wire.acknowledged == [*range(1, 25)]
        batch = await edge.spool.read("up", 5000)
        mine = [each for each in batch.records if isinstance(each, Reading)]
        values = [each.fields["temperature"] for each in mine if each.device == "hot-1"]
        assert values == [*range(20, 40), 61, 50, 62, 63]
        assert [each for each in batch.records if isinstance(each, Alarm)] == []
        assert (await edge.spool.books()).residual == 0


@pytest.mark.fault("F2")
async def test_a_batch_that_is_read_again_tells_its_alarms_once(tmp_path):
    async with open_edge(tmp_path, max_bytes=LIMIT) as edge:
        await edge.say("hot-1", '{"temperature": 20}')
        append, edge.spool.append = edge.spool.append, _no_room
        batch = [arrival("tg/hot-1/up", f'{{"temperature": {n}}}') for n in (61, 50, 62)]
        for _ in range(3):
            with pytest.raises(SpoolFull):
                await edge.pipeline.ingest(batch)
        edge.spool.append = append
        await edge.pipeline.ingest(batch)
        assert await alarms(edge) == [("hot-1", s) for s in ("raised", "cleared", "raised")]


async def _no_room(*_: object, **__: object) -> None:
    raise SpoolFull("told to be full")
