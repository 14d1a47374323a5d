"""Need: keeping what came in raw costs the road at most half a microsecond of CPU a message.

50,000 messages of 5,000 devices as the simulated sensors send them, in commits of 1,000. *Kept
raw* is the whole store: encoding on the road, compression and writing on its own thread;
*pipeline* is the road from arrivals to the commit without and with it. *Trial* is the process that
compares two versions of a profile, its start not counted; it takes nothing from the road.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psutil

from device_profiles.catalogue import SHIPPED, load_catalogue
from device_profiles.profile import load_profile
from edge_agent.arrival import Arrival
from edge_agent.memory import SpoolMemory
from edge_agent.pipeline import Pipeline
from edge_agent.raw.reader import RawReader
from edge_agent.raw.store import RawStore
from edge_agent.reader import Reader
from edge_agent.register import Register
from edge_agent.registry import Registry
from edge_agent.rules import Rules
from edge_agent.versions.compare import Comparison
from edge_agent.versions.trial import Job
from edge_agent.versions.trials import run_trial
from edge_agent.ways import Ways
from gateway_core.heap import settle_heap
from gateway_core.meter import Meter
from gateway_core.spool import SpoolOptions, open_spool
from tests.e2e.blast import fleet

MESSAGES, COMMIT, ROUNDS = 50_000, 1_000, 5
PROFILE = SHIPPED / "tidegate" / "env-sensor.yaml"


def parts(arrivals: list[Arrival]) -> Iterator[list[Arrival]]:
    """Cut into commits."""
    return (arrivals[at : at + COMMIT] for at in range(0, len(arrivals), COMMIT))


def drained(store: RawStore) -> bool:
    """Tell whether the writer has nothing left."""
    return store._handled == store._offered


def keep_raw(folder: Path, arrivals: list[Arrival]) -> tuple[float, float]:
    """CPU microseconds and bytes on disk a message, of the store alone."""
    costs = []
    for number in range(ROUNDS):
        store = RawStore(folder / f"raw{number}")
        store.start()
        began = time.process_time()
        for part in parts(arrivals):
            received = [each.received for each in part]
            store.offer(part, received, ["tidegate/env-sensor"] * len(part), [None] * len(part))
        store.close()
        costs.append(time.process_time() - began)
    size = sum(path.stat().st_size for path in (folder / "raw0").iterdir())
    return min(costs) / MESSAGES * 1e6, size / MESSAGES


async def pipeline(folder: Path, arrivals: list[Arrival], *, raw: bool) -> float:
    """CPU microseconds a message from arrivals to the commit, the best round."""
    catalogue = load_catalogue([], strict=False)
    register = Register(folder / f"registry-{raw}.db")
    registry = Registry("sim", "", register, "register", 5_000, time.time_ns)
    rules = Rules("sim", registry, catalogue.profiles, lambda _source: 0)
    memory = SpoolMemory(time.time_ns, Meter())
    reader = Reader("sim", registry, Ways(catalogue), rules, Meter(), 1 << 18, memory)
    store = RawStore(folder / "raw") if raw else None
    if store is not None:
        store.start()
    costs = []
    async with open_spool(
        folder / f"spool-{raw}.db", "sim", SpoolOptions(group_commit_s=0)
    ) as spool:
        road = Pipeline(spool, reader, registry, rules, raw=store)
        settle_heap()
        for at in range(0, len(arrivals), MESSAGES):
            began = time.process_time()
            for part in parts(arrivals[at : at + MESSAGES]):
                await road.ingest(part)
            while store is not None and not drained(store):
                await asyncio.sleep(0.1)
            costs.append(time.process_time() - began)
    if store is not None:
        store.close()
    register.close()
    return min(costs[1:]) / MESSAGES * 1e6


async def trial(folder: Path) -> tuple[float, float]:
    """CPU microseconds a message of a comparison, and MB of its process."""
    comparison = Comparison(load_profile(PROFILE), load_profile(PROFILE))
    began = time.process_time()
    count = sum(map(comparison.take, RawReader(folder / "raw0").read()))
    cost = (time.process_time() - began) / count * 1e6
    follow = run_trial(Job(str(folder / "raw0"), str(PROFILE), str(PROFILE), follow=True))
    await anext(follow)
    children = psutil.Process().children()
    memory = max(child.memory_info().rss for child in children) / 1e6
    await follow.aclose()
    return cost, memory


async def measure() -> dict[str, float]:
    """Run every step."""
    now = time.time_ns()
    spoken = list(fleet(5_000, MESSAGES * ROUNDS, start_s=now // 10**9 - 600))
    arrivals = [Arrival("mqtt:site", t, p, now + n * 1000) for n, (t, p) in enumerate(spoken)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cost, size = keep_raw(folder, arrivals[:MESSAGES])
        without = await pipeline(folder, arrivals, raw=False)
        with_raw = await pipeline(folder, arrivals, raw=True)
        compared, memory = await trial(folder)
    return {
        "kept raw, us": round(cost, 2),
        "kept raw, bytes": round(size, 1),
        "pipeline without, us": round(without, 2),
        "pipeline with, us": round(with_raw, 2),
        "trial, us": round(compared, 1),
        "trial, MB": round(memory),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure()), indent=1))
