"""Devices that speak at a steady rate, hold still when asked, and keep what was acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from gateway_core.supervise import Patience, supervise
from simulators.sensors.publisher import Publisher
from simulators.sensors.truth import TruthFile
from tests.e2e.blast import env

SENTINEL = "sim-sentinel"
"""A device that speaks last when the fleet holds still."""


class Fleet:
    """Publishes with QoS 1 once told to go on; a device has no clock, so a copy is another point.

    Args:
        url: Of the broker.
        rate: Messages a second.
        devices: Speak in turn.
    """

    def __init__(self, url: str, rate: float, devices: int) -> None:
        self._publisher = Publisher(url, "sim-fleet", window=2000)
        self._rate = rate
        self._devices = devices
        self._go = asyncio.Event()
        self._truth: TruthFile | None = None
        self._n = 0
        self.sentinels = 0
        self.acknowledged = 0

    async def run(self) -> None:
        """Keep the connection and speak, until cancelled."""
        patience = Patience(first=0.05, longest=0.5)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(supervise("fleet", self._publisher.run, patience))
            tasks.create_task(self._speak())

    async def hold(self) -> None:
        """Fall silent; return once everything is acknowledged, the sentinel's word last."""
        self._go.clear()
        await self._publisher.drained()
        self.sentinels += 1
        await self._publish(SENTINEL, self.sentinels)
        await self._publisher.drained()

    def go_on(self, truth: TruthFile | None = None) -> None:
        """Speak again, and keep what is acknowledged in another file."""
        if truth is not None:
            self._truth = truth
        self._go.set()

    async def _speak(self) -> None:
        n, began = 0, time.monotonic()
        while True:
            if not self._go.is_set():
                await self._go.wait()
                n, began = 0, time.monotonic()
            seq = self._n // self._devices + 1
            await self._publish(f"sim-env-{self._n % self._devices:05d}", seq)
            self._n += 1
            n += 1
            early = began + n / self._rate - time.monotonic()
            if early > 0:
                await asyncio.sleep(early)

    async def _publish(self, device: str, seq: int) -> None:
        topic, payload = env(device, temperature=20.5, seq=seq)
        await self._publisher.publish(topic, payload, self._note(device, seq, time.time_ns()))

    def _note(self, device: str, seq: int, sent: int) -> Callable[[], None]:
        def acknowledged() -> None:
            self.acknowledged += 1
            if self._truth is not None:
                self._truth.acknowledged(device, seq, sent, time.time_ns())

        return acknowledged


def truth_file(folder: Path, n: int) -> Path:
    """Return where the truth of one round is kept."""
    return folder / f"truth-{n:04d}.csv"
