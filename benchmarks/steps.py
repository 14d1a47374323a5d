"""Need: each step of the road leaves room for the others below 15 us of CPU a message.

Every step is run alone in this process on the same 50,000 messages of 5,000 devices, in batches as
large as the programs make them. What is measured is the process's CPU (all threads, user and
system), the best of three rounds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from collector.timeseries.embedded import open_embedded
from collector.timeseries.line import LineEncoder
from device_profiles.catalogue import load_catalogue
from edge_agent.arrival import Arrival
from edge_agent.config import load_edge_config
from edge_agent.draft import Draft
from edge_agent.knowledge import read_knowledge
from edge_agent.memory import SpoolMemory
from edge_agent.reader import Reader
from edge_agent.register import Register
from edge_agent.registry import Registry
from edge_agent.rules import Rules
from edge_agent.sources.commit_line import Load
from edge_agent.sources.mqtt5_session import Session5
from edge_agent.sources.redelivery import Redelivery
from edge_agent.taken import Taken
from edge_agent.ways import Ways
from gateway_core.clock import wall_ns
from gateway_core.heap import settle_heap
from gateway_core.meter import Meter
from gateway_core.model import Batch, Record
from gateway_core.spool import SpoolOptions, open_spool
from gateway_core.wire import Upload, decode_upload, encode_upload
from tests.e2e.blast import encoded, fleet

DEVICES, MESSAGES, BATCH, COMMIT = 5_000, 50_000, 5_000, 1_000
ROUNDS = 3


class Step(NamedTuple):
    """What one step costs: CPU microseconds a message, and bytes a message where it writes."""

    name: str
    cpu_us: float
    size: float | None = None


def best(work: Callable[[], object]) -> float:
    """CPU microseconds a message, the least of the rounds."""
    return min(_once(work) for _ in range(ROUNDS)) / MESSAGES * 1e6


def _once(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


async def awaited(work: Callable[[], Awaitable[object]]) -> float:
    """CPU microseconds a message of something asynchronous, run once."""
    began = time.process_time()
    await work()
    return (time.process_time() - began) / MESSAGES * 1e6


def batches(records: list[Record], size: int = BATCH) -> list[Batch]:
    """The records as a spool would hand them out."""
    return [Batch(at + 1, records[at : at + size]) for at in range(0, len(records), size)]


def intake(folder: Path) -> tuple[list[Step], list[Record]]:
    """MQTT packets to arrivals, payloads to fields, arrivals to records."""
    now = time.time_ns()
    spoken = list(fleet(DEVICES, MESSAGES * (1 + ROUNDS), start_s=now // 10**9 - 600))
    messages = spoken[:MESSAGES]
    stream = memoryview(b"".join(encoded(messages)))

    def packets() -> None:
        session, at = Session5("mqtt:site", Redelivery("m/", 16_000, {}), 1 << 20), 0
        while at < len(stream):
            at += session.read(stream[at : at + 65_536], Load(), now)

    catalogue = load_catalogue([])
    arrivals = [
        Arrival("mqtt:site", topic, payload, now + n * 1000)
        for n, (topic, payload) in enumerate(spoken)
    ]
    parts = iter(range(0, len(arrivals), MESSAGES))  # devices do not say the same again
    register = Register(folder / "registry.db")
    registry = Registry("sim", "", register, "register", DEVICES, time.time_ns)
    ways = Ways(catalogue)
    rules = Rules("sim", registry, catalogue.profiles, lambda _source: 0)
    reader = Reader("sim", registry, ways, rules, Meter(), 1 << 18, SpoolMemory(wall_ns, Meter()))

    def read() -> list[Record]:
        records: list[Record] = []
        first = next(parts)
        for at in range(first, first + MESSAGES, COMMIT):
            draft, batch = Draft(), arrivals[at : at + COMMIT]
            read_batch(reader, batch, draft)
            records += draft.records
        return records

    def decode() -> None:
        for arrival in arrivals[:MESSAGES]:
            way = ways.find("mqtt", arrival.address)
            said = way.entry.fast(arrival.payload) if way.entry and way.entry.fast else None
            way.routes[0].time(said[1] if said else (), now)

    records = read()
    settle_heap()  # as the programs do
    steps = [
        Step("MQTT 5 packets to arrivals", best(packets)),
        Step("decode: topic and JSON to checked fields", best(decode)),
        Step("decode, device, alarm rules: arrivals to records", best(read)),
    ]
    register.close()
    return steps, records


def read_batch(reader: Reader, batch: list[Arrival], draft: Draft) -> None:
    """Read a batch as the pipeline does."""
    at, found = 0, Taken()
    while (at := reader.plain.read(batch, at, draft, found)) < len(batch):
        reader.read(batch[at], draft)
        at += 1


async def spool(folder: Path, records: list[Record]) -> Step:
    """Append with FULL sync, a thousand records a commit."""
    async with open_spool(folder / "spool.db", "sim", SpoolOptions(group_commit_s=0)) as opened:

        async def append() -> None:
            for at in range(0, MESSAGES, COMMIT):
                await opened.append(records[at : at + COMMIT], source="mqtt:site")

        cost = await awaited(append)
        size = (await opened.books()).bytes / MESSAGES
    return Step("spool append, FULL sync, 1,000 a commit", cost, size)


def egress(folder: Path, records: list[Record]) -> list[Step]:
    """Policy, upload and the collector's reading of it."""
    config = folder / "edge.yaml"
    config.write_text("edge: {id: sim, data_dir: ./var}\n")
    policy = read_knowledge(load_edge_config(config), strict=True).policy
    parts = batches(records)
    released = [policy.release(part) for part in parts]
    uploads = [
        Upload("sim", "0" * 16, each.first, each.last, each.seqs, each.records) for each in released
    ]
    bodies = [encode_upload(upload) for upload in uploads]
    size = sum(map(len, bodies)) / MESSAGES
    return [
        Step("egress policy", best(lambda: [policy.release(part) for part in parts])),
        Step("encode upload (zstd)", best(lambda: [encode_upload(each) for each in uploads]), size),
        Step("decode upload", best(lambda: [decode_upload(each) for each in bodies])),
    ]


async def stores(folder: Path, records: list[Record]) -> list[Step]:
    """Line protocol, and the embedded store."""
    parts = batches(records)
    encode = LineEncoder().encode_batch
    size = sum(len(line) + 1 for part in parts for line in encode(part).lines) / MESSAGES
    line = Step("line protocol", best(lambda: [encode(part) for part in parts]), size)
    async with open_embedded(folder / "store.duckdb", 512 << 20) as store:

        async def write() -> None:
            for part in parts:
                await store.write(part)

        return [line, Step("embedded store append, 5,000 a batch", await awaited(write))]


async def measure() -> list[Step]:
    """Run every step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps, records = intake(folder)
        steps.append(await spool(folder, records))
        steps += egress(folder, records)
        steps += await stores(folder, records)
    return steps


if __name__ == "__main__":
    print(json.dumps([step._asdict() for step in asyncio.run(measure())], indent=1))
