"""Kill the agent that devices connect to, often: what it acknowledged is at the centre, once.

Clients with sessions publish with QoS 1 (MQTT 5) and QoS 2 (paho, MQTT 3.1.1) while the agent is
killed (-9), also while it is starting; TIDEGATE_KILLS says how often. The devices have no clock, so
that a message which is stored twice would be two points at the centre.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from gateway_core.supervise import Patience, supervise
from simulators.sensors.publisher import Publisher
from simulators.sensors.truth import TruthFile, judge, read_truth
from tests.e2e.blast import env
from tests.e2e.city import City, wait_for
from tests.faults.kills import torment

KILLS = int(os.environ.get("TIDEGATE_KILLS", "8"))
RATE = 400
ONCE, TWICE = 4, 4  # connections with QoS 1 and with QoS 2
IN_FLIGHT = 50


class Exact:
    """A client of QoS 2; `publish` waits while too much is not complete."""

    def __init__(self, name: str, city: City) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._done: dict[int, Callable[[], None]] = {}
        self._early: set[int] = set()
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False
        )
        self.client.reconnect_delay_set(1, 1)
        self.client.on_publish = lambda _c, _u, mid, *_: self._loop.call_soon_threadsafe(
            self._complete, mid
        )
        self.client.connect_async(city.host, city.mqtt_port)
        self.client.loop_start()

    async def publish(self, topic: str, payload: bytes, acknowledged: Callable[[], None]) -> None:
        await self._room.acquire()
        mid = self.client.publish(topic, payload, qos=2).mid
        self._done[mid] = acknowledged
        if mid in self._early:
            self._early.discard(mid)
            self._complete(mid)

    def _complete(self, mid: int) -> None:
        acknowledged = self._done.pop(mid, None)
        if acknowledged is None:
            self._early.add(mid)
            return
        acknowledged()
        self._room.release()

    async def drained(self) -> None:
        while self._done:
            await asyncio.sleep(0.05)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


async def speak(clients: list[Publisher | Exact], truth: TruthFile, over: asyncio.Event) -> None:
    """Let one device behind each client speak in turn until it is over and all is complete."""
    n, began = 0, time.monotonic()
    while not over.is_set():
        at, seq, sent = n % len(clients), n // len(clients) + 1, time.time_ns()
        device = f"sim-env-{at:05d}"

        def acknowledged(device: str = device, seq: int = seq, sent: int = sent) -> None:
            truth.acknowledged(device, seq, sent, time.time_ns())

        topic, payload = env(device, temperature=20.5, seq=seq)
        await clients[at].publish(topic, payload, acknowledged)
        n += 1
        early = began + n / RATE - time.monotonic()
        if early > 0:
            await asyncio.sleep(early)
    for client in clients:
        await client.drained()


@pytest.mark.slow
@pytest.mark.timeout(300 + 20 * KILLS)
@pytest.mark.fault("F1", "F8")
async def test_what_the_killed_agent_acknowledged_to_devices_is_at_the_centre_exactly_once(
    city: City, tmp_path: Path
) -> None:
    seed = int(os.environ.get("TIDEGATE_SEED", time.time_ns() % 1_000_000))
    rng = random.Random(seed)
    centre, edge = city.centre(), city.edge(direct="anonymous: true")
    await asyncio.to_thread(centre.start)
    await asyncio.to_thread(edge.start)

    truth, over = tmp_path / "truth.csv", asyncio.Event()
    url = f"mqtt://{city.at(city.mqtt_port)}"
    once = [Publisher(url, f"sim-once-{n}", window=IN_FLIGHT) for n in range(ONCE)]
    exact = [Exact(f"sim-exact-{n}", city) for n in range(TWICE)]
    with TruthFile(truth) as file:
        async with asyncio.TaskGroup() as tasks:
            patience = Patience(first=0.05, longest=0.5)
            running = [tasks.create_task(supervise("fleet", each.run, patience)) for each in once]
            speaking = tasks.create_task(speak([*once, *exact], file, over))
            await torment(edge, KILLS, rng, 3.5)
            await asyncio.to_thread(edge.wait_ready)
            over.set()
            await speaking
            for task in running:
                task.cancel()
    for each in exact:
        await asyncio.to_thread(each.close)

    promised = [(each.device, each.seq) for each in read_truth(truth)]
    assert len(promised) > 50 * KILLS
    assert len(set(promised)) == len(promised)

    def arrived() -> bool:
        return len(set(city.delivered())) >= len(promised) and city.edge_status()["residual"] == 0

    with contextlib.suppress(AssertionError):  # the verdict below says more than "did not come"
        await asyncio.to_thread(wait_for, "everything", arrived, 120)
    verdict = judge(promised, city.delivered())
    again = f"TIDEGATE_SEED={seed} repeats the moments"
    assert (verdict.lost, verdict.duplicated, verdict.examples) == (0, 0, ()), again
    assert city.edge_status()["residual"] == 0
    assert city.edge_status()["refused"] == {}
