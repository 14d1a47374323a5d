"""A real mosquitto for each test, and sources that read from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.sources.mqtt import MqttSource
from edge_agent.sources.settings import MqttSettings
from gateway_core.clock import wall_ns
from gateway_core.meter import Meter
from tests.fakes.broker import ByteBroker, Mosquitto
from tests.fakes.ingest import FakeIngest

MakeSource = Callable[..., MqttSource]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "broker")
    await mosquitto.start()
    yield mosquitto
    await mosquitto.stop()


@pytest.fixture
async def bytebroker() -> AsyncIterator[ByteBroker]:
    each = ByteBroker()
    await each.start()
    yield each
    await each.stop()


@pytest.fixture
def make_source() -> MakeSource:
    def make(
        url: str,
        ingest: FakeIngest,
        *,
        edge: str = "bz-edge-01",
        meter: Meter | None = None,
        **more: Any,
    ) -> MqttSource:
        settings = MqttSettings.model_validate({"url": url, "subscribe": ["tg/+/up"], **more})
        return MqttSource(
            settings,
            edge=edge,
            topics=["from/profiles"],
            ingest=ingest,
            clock=wall_ns,
            meter=meter or Meter(),
            saved_state=dict(ingest.state),
        )

    return make
