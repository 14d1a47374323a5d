"""A small edge for tests: one profile of a sensor, a spool on disk, and a pipeline between."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_profiles.catalogue import Catalogue, load_catalogue
from edge_agent.arrival import Arrival
from edge_agent.memory import HELD_KEY, MEMORY_KEY, SpoolMemory
from edge_agent.pipeline import Pipeline
from edge_agent.reader import Reader
from edge_agent.register import Register
from edge_agent.registry import Registry, Unknown
from edge_agent.rules import Rules
from edge_agent.taken import Raw
from edge_agent.ways import Ways
from gateway_core.meter import Meter
from gateway_core.model import Reading, Record, Refusal
from gateway_core.spool import Spool, SpoolOptions, open_spool

NOW = 1_795_000_000_000_000_000
"""An instant of November 2026, in nanoseconds."""

ENV = """\
format: 1
id: test/env
version: 1.0.0
status: stable
title: {en: Environment sensor, zh: 环境传感器}
vendor: Test
model: ENV-1
license: CC0-1.0
match:
  - {via: mqtt, topic: "tg/{id}/up", payload: json}
  - {via: mqtt, topic: "tg/{id}/online", payload: text, role: availability}
  - {via: coap, path: "tg/{id}"}
device: {id: "{id}", pattern: "[^/]{1,64}"}
decode: [{json: {}}]
measurements:
  temperature: {type: float, unit: Cel, range: [-40, 80]}
  humidity: {type: float, unit: "%", range: [0, 100]}
  battery: {type: int, unit: "%", range: [0, 100], kind: diagnostic}
  count: {type: int, unit: "{count}"}
  open: {type: bool, kind: state}
store: {measurement: env, tags: [edge, device, profile]}
egress: {class: operational, default: none, allow: {temperature: raw, humidity: raw}, alarms: full}
availability: {expect_every: 1m, offline_after: 5m}
alarms:
  hot: {severity: major, raise: temperature > 60.0, clear: temperature < 55.0, text: {en: Hot, zh: 过热}}
  damp: {severity: minor, raise: humidity > 90.0, clear: humidity < 80.0, for: 30s}
tests:
  - name: one reading
    recv: {topic: tg/d1/up, at: 1700000000, payload: {temperature: 21.5, humidity: 40}}
    expect: {device: d1, points: [{temperature: 21.5, humidity: 40}]}
  - name: hot, then not
    steps:
      - {recv: {topic: tg/d1/up, at: 1700000000, payload: {temperature: 61}}, expect: {alarms: [+hot]}}
      - {recv: {topic: tg/d1/up, at: 1700000001, payload: {temperature: 50}}, expect: {alarms: [-hot]}}
  - name: damp for half a minute
    steps:
      - {recv: {topic: tg/d1/up, at: 1700000000, payload: {humidity: 95}}, expect: {alarms: []}}
      - {recv: {topic: tg/d1/up, at: 1700000031, payload: {humidity: 95}}, expect: {alarms: [+damp]}}
      - {recv: {topic: tg/d1/up, at: 1700000040, payload: {humidity: 50}}, expect: {alarms: [-damp]}}
"""


class Hands:
    """A clock that tests move."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> int:
        """Let time pass; return the new instant."""
        self.now += round(seconds * 1_000_000_000)
        return self.now


def write_profile(folder: Path, text: str = ENV, name: str = "env.yaml") -> Path:
    """Put a profile into a folder; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def arrival(
    address: str,
    payload: bytes | str,
    received: int = NOW,
    source: str = "mqtt:site",
    content_format: int | None = None,
) -> Arrival:
    """Return one message."""
    data = payload.encode() if isinstance(payload, str) else payload
    via = "coap" if source == "coap" else "mqtt"
    return Arrival(source, address, data, received, content_format, via)


@dataclass
class Edge:
    """The parts of a small edge."""

    spool: Spool
    registry: Registry
    register: Register
    ways: Ways
    rules: Rules
    pipeline: Pipeline
    meter: Meter
    clock: Hands
    since: dict[str, int]
    reader: Reader

    async def records(self) -> list[Record]:
        """Everything in the spool."""
        found: list[Record] = []
        while batch := await self.spool.read_after(len(found), 5000):
            found += batch.records
        return found

    async def readings(self) -> list[Reading]:
        """The readings in the spool."""
        return [each for each in await self.records() if isinstance(each, Reading)]

    async def refused(self) -> list[Refusal]:
        """The refused payloads."""
        return [refusal for _, refusal in await self.spool.refusals(1000)]

    async def hear(self, address: str, *payloads: str) -> Sequence[str | None]:
        """Let messages come in at an address, all received now."""
        return await self.pipeline.ingest([arrival(address, e, self.clock.now) for e in payloads])

    async def say(self, device: str, *payloads: str) -> Sequence[str | None]:
        """Let a device send messages, all received now."""
        arrivals = [arrival(f"tg/{device}/up", each, self.clock.now) for each in payloads]
        return await self.pipeline.ingest(arrivals)


@contextlib.asynccontextmanager
async def open_edge(
    folder: Path,
    unknown: Unknown = "register",
    *,
    catalogue: Catalogue | None = None,
    profile: str = ENV,
    max_bytes: int = 1 << 28,
    limit: int = 100_000,
    clock: Hands | None = None,
    raw: Raw | None = None,
) -> AsyncIterator[Edge]:
    """Open a small edge in a folder; what an earlier one left there is taken up."""
    hands = clock or Hands()
    profiles = catalogue or load_catalogue(
        [write_profile(folder / "profiles", profile)], shipped=False
    )
    options = SpoolOptions(max_bytes=max_bytes, group_commit_s=0.002)
    meter = Meter()
    since = {"mqtt:site": 0, "coap": 0}
    register = Register(folder / "registry.db")
    try:
        async with open_spool(folder / "spool.db", "e1", options, hands) as spool:
            registry = Registry("e1", "3716", register, unknown, limit, hands)
            await registry.recover(spool)
            ways = Ways(profiles)
            rules = Rules("e1", registry, profiles.profiles, since.get)
            rules.recall(await spool.state("alarm/"))
            rules.recall(await spool.state("silence/"))
            memory = SpoolMemory(hands, meter)
            memory.recall({**await spool.state(MEMORY_KEY), **await spool.state(HELD_KEY)})
            reader = Reader("e1", registry, ways, rules, meter, 256 * 1024, memory)
            pipeline = Pipeline(spool, reader, registry, rules, raw=raw)
            yield Edge(
                spool, registry, register, ways, rules, pipeline, meter, hands, since, reader
            )
    finally:
        register.close()
