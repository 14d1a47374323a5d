"""While nothing can be heard of a source, it counts as away: no device is called silent for that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mqtt5
import pytest

from edge_agent.arrival import Arrival
from edge_agent.commands.waiting import Waiting
from edge_agent.config import EdgeConfig, MqttSection
from edge_agent.intake import Broker, Intake
from edge_agent.site import Links
from gateway_core.errors import SpoolFull
from gateway_core.meter import Meter
from gateway_core.spool import SpoolOptions, open_spool
from tests.fakes.broker import ByteBroker
from tests.fakes.edge import NOW, Hands, arrival

CONFIG = EdgeConfig.model_validate({"edge": {"id": "e1", "data_dir": "."}})


@dataclass
class Door:
    """A source that is connected."""

    name: str = "mqtt:site"
    connected: bool = True


class Pipe:
    """An ingest that is full when the test says so."""

    def __init__(self) -> None:
        self.full = False

    async def __call__(
        self, arrivals: Sequence[Arrival], _state: Mapping[str, bytes | None]
    ) -> list[str | None]:
        if self.full:
            raise SpoolFull("no room")
        return [None] * len(arrivals)


async def test_a_source_that_the_spool_holds_up_counts_as_away_until_it_is_heard_again(
    tmp_path: Path,
) -> None:
    clock, links, pipe = Hands(), Links(), Pipe()
    async with open_spool(tmp_path / "spool.db", "e1", SpoolOptions(), clock) as spool:
        intake = Intake(CONFIG, spool, pipe, links, clock, Meter(), Waiting())
        links.sources = (Door(), Door("coap"))
        links.look(NOW)
        assert links.since == {"mqtt:site": NOW, "coap": NOW}

        pipe.full = True
        with pytest.raises(SpoolFull):
            await intake.take([arrival("tg/d1/up", "{}")], {})
        links.look(clock.pass_s(5))
        assert links.since == {"coap": NOW}

        pipe.full = False
        assert await intake.take([arrival("tg/d1/up", "{}")], {}) == [None]
        links.look(clock.pass_s(5))
        assert links.since == {"coap": NOW, "mqtt:site": NOW + 10_000_000_000}


async def test_one_message_that_did_not_fit_does_not_hide_silence_for_ever(tmp_path: Path) -> None:
    clock, links, pipe = Hands(), Links((Door(),)), Pipe()
    async with open_spool(tmp_path / "spool.db", "e1", SpoolOptions(), clock) as spool:
        intake = Intake(CONFIG, spool, pipe, links, clock, Meter(), Waiting())
        links.sources = (Door(),)
        pipe.full = True
        with pytest.raises(SpoolFull):
            await intake.take([arrival("tg/d1/up", "{}")], {})
        links.look(clock.pass_s(29))
        assert links.since == {}
        links.look(clock.pass_s(2))
        assert links.since == {"mqtt:site": NOW + 31_000_000_000}


async def test_a_broker_counts_as_connected_once_it_has_subscribed_the_agent(
    tmp_path: Path,
) -> None:
    broker = ByteBroker(suback=mqtt5.PingRespPacket().write())  # SUBSCRIBE goes unanswered
    await broker.start()
    settings = MqttSection(url=broker.url, subscribe=("tg/+/up",))
    async with open_spool(tmp_path / "spool.db", "e1", SpoolOptions(), Hands()) as spool:
        door = Broker(settings, "e1", spool, Pipe(), Hands(), Meter())
        running = asyncio.create_task(door.run())
        await broker.when(lambda: bool(broker.of(mqtt5.SubscribePacket)))
        assert not door.connected

        granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
        broker.send(mqtt5.SubAckPacket(1, [granted]).write())
        async with asyncio.timeout(10):
            while not door.connected:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})
        assert not door.connected
    await broker.stop()
