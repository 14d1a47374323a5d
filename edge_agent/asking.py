"""What decoders ask devices for because something is missing: sent once, by the way it came.

It is not a command of a person: nothing depends on it, and a decoder that still misses what it
asked for asks again. So what cannot be sent now is counted and forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from device_profiles.codecs import Ask
from edge_agent.downlink import Downlink, Publisher, Undeliverable
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter

log = structlog.get_logger()

MOST = 256
EXPIRY_S = 60.0


class Asking:
    """Sends one after another; more than ``MOST`` that wait are left out.

    Args:
        publisher: Finds the way out through a source.
        meter: Counts what became of them.
    """

    def __init__(self, publisher: Callable[[str], Publisher | None], meter: Meter) -> None:
        self._publisher = publisher
        self._meter = meter
        self._waiting: asyncio.Queue[tuple[str, Ask]] = asyncio.Queue(MOST)

    def send_back(self, asks: Sequence[tuple[str, Ask]]) -> None:
        """Take what is to be sent, each with its source; returns at once."""
        for each in asks:
            if self._waiting.full():
                self._count("left_out")
            else:
                self._waiting.put_nowait(each)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            source, ask = await self._waiting.get()
            publisher = self._publisher(source)
            if publisher is None:
                self._count("failed")
                continue
            try:
                await publisher.publish(Downlink(ask.topic, ask.payload, EXPIRY_S))
            except (Unavailable, Undeliverable) as why:
                self._count("failed")
                log.warning("ask_not_sent", source=source, topic=ask.topic, why=str(why))
            else:
                self._count("sent")

    def _count(self, result: str) -> None:
        self._meter.count("tidegate_asks", result=result)
