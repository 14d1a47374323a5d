"""From a profile's text to the bytes on the wire: local stays, aggregates leave, history knows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from device_profiles.catalogue import load_catalogue
from edge_agent.aggregate import Aggregate
from edge_agent.archive import Archive
from edge_agent.declared import declare
from edge_agent.history import History
from edge_agent.ledger import Ledger
from edge_agent.policy import Policy
from edge_agent.question import Question
from edge_agent.tighten import load_site_egress
from edge_agent.uplink import Uplink
from gateway_core.forward import Sink, forward
from gateway_core.lanes import Lanes
from gateway_core.link import Link, LinkOptions
from gateway_core.model import Reading
from gateway_core.spool import Spool, SpoolOptions, open_spool
from gateway_core.wire import decode_upload
from tests.fakes.centre import capture, fake_centre

S = 1_000_000_000
T0 = 1_764_072_000 * S
SECRET = "13800138000"
PROFILE = """
format: 1
id: acme/lock
version: 1.0.0
status: stable
vendor: Acme
model: L1
match: [{via: mqtt, topic: "locks/{name}/up", payload: json}]
device: {id: "{name}"}
time: {from: at, format: unix, max_age: 3650d, max_ahead: 3650d}
decode: [{json: {}}]
measurements:
  battery: {from: battery, type: float, unit: V, range: [0, 5]}
  temperature: {from: temperature, type: float, unit: Cel, range: [-40, 85]}
  owner_phone: {from: owner_phone, type: string}
store: {measurement: lock, tags: [edge, device, profile]}
egress:
  class: personal
  default: none
  allow: {battery: raw, temperature: {every: 5m, fns: [mean, min, max, count]}}
  alarms: none
tests:
  - {name: a, recv: {topic: locks/l1/up, payload: {at: 1, battery: 3.5}}, expect: {points: [{battery: 3.5}]}}
  - {name: b, recv: {topic: locks/l1/up, payload: {at: 1, battery: 3.0}}, expect: {points: [{battery: 3.0}]}}
  - {name: c, recv: {topic: locks/l1/up, payload: {at: 1}}, expect: {points: []}}
"""


def messages(count: int) -> list[tuple[str, bytes]]:
    """One a second from ten locks, each with the owner's number in it."""
    return [
        (
            f"locks/l{n % 10}/up",
            b'{"at": %d, "battery": 3.25, "temperature": %d.5, "owner_phone": "%s"}'
            % (T0 // S + n, n % 7, SECRET.encode()),
        )
        for n in range(count)
    ]


@contextlib.asynccontextmanager
async def running(spool: Spool, *sinks: Sink) -> AsyncIterator[None]:
    for sink in sinks:
        await spool.register(sink.name)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(forward(spool, sink, limit=700, lanes=Lanes(behind=1000)))
            if sink.name == "uplink"
            else group.create_task(forward(spool, sink, limit=700))
            for sink in sinks
        ]
        yield
        for task in tasks:
            task.cancel()


async def all_settled(spool: Spool, *sinks: Sink) -> None:
    async with asyncio.timeout(60):
        while any(spool.settled(sink.name) < spool.head for sink in sinks):
            await asyncio.sleep(0.01)


async def test_local_stays_aggregates_leave_and_the_site_knows_all(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "lock.yaml").write_text(PROFILE)
    (tmp_path / "egress.yaml").write_text(
        "fields: [{profile: acme/lock, field: temperature, egress: {every: 5m, fns: [mean, max]}}]"
    )
    catalogue = load_catalogue([tmp_path / "profiles"], shipped=False)
    declared = declare(catalogue)
    policy = Policy(declared, load_site_egress(tmp_path / "egress.yaml", declared))
    now = T0 + 900 * S
    readings: list[Reading] = []
    for topic, payload in messages(6000):
        (route,) = catalogue.mqtt(topic)
        decoded = route.decode(payload, now)
        readings += [
            Reading(
                "e1", decoded.device, route.profile.id, route.profile.measurement,
                point.time, now, point.fields, point.tags, point.flags,
            )
            for point in decoded.readings
        ]  # fmt: skip
    assert len(readings) == 6000
    assert readings[0].fields["owner_phone"] == SECRET

    fast = SpoolOptions(group_commit_s=0.001)
    async with fake_centre() as centre:
        port = int(centre.url.rpartition(":")[2])
        async with (
            capture("127.0.0.1", port) as wire,
            open_spool(tmp_path / "spool.db", "e1", fast) as spool,
            Link(LinkOptions(wire.url)) as link,
        ):
            ledger = Ledger(tmp_path / "ledger")
            archive = Archive(tmp_path / "archive", spool, lambda: now)
            aggregate = Aggregate(policy, spool, lambda: now)
            uplink = Uplink("e1", spool, policy, ledger, link, lambda: now)
            sinks: tuple[Sink, ...] = (archive, aggregate, uplink)
            for start in range(0, 6000, 1000):
                await spool.append(readings[start : start + 1000], source="mqtt:site")
            async with running(spool, *sinks):
                await all_settled(spool, *sinks)
                now = T0 + 7000 * S
                await aggregate.tell_due()
                await all_settled(spool, *sinks)
            question = Question(measurement="lock", start_ns=T0, stop_ns=T0 + 10 * S)
            table = await History(archive, spool, tmp_path / "spill").query(question)
            books = await spool.books()
            ledger.close()
    assert SECRET.encode() not in bytes(wire.out)
    for body in centre.bodies:
        assert body in bytes(wire.out)
        assert SECRET not in repr(decode_upload(body).records)
    arrived = [one for one in centre.records.values() if isinstance(one, Reading)]
    raw = [one for one in arrived if not one.derived]
    assert len(raw) == 6000
    assert {tuple(one.fields) for one in raw} == {("battery",)}
    told = {(one.device, one.time): one.fields for one in arrived if one.derived}
    assert len(told) == 10 * 20
    mine = [float(n % 7) + 0.5 for n in range(300) if n % 10 == 3]
    assert told["l3", T0] == {"temperature_mean": sum(mine) / 30, "temperature_max": 6.5}
    assert table.columns[-3:] == ("battery", "temperature", "owner_phone")
    assert [row[-1] for row in table.rows] == [SECRET] * 10
    assert books.residual == 0
    assert centre.duplicates == 0
    assert centre.received.missing(1, 6200) == []
    assert books.consumers["archive"].dropped == {"derived": 200}
