"""Promise: the centre says what it lacks of a device and why, and does not take silence for truth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from collector.agent import Collector, open_collector
from collector.api.app import create_app
from collector.config import load_collector_config
from collector.reception import Report
from collector.registry.sink import RegistrySink
from gateway_core.clock import NS
from gateway_core.model import Alarm, Batch, Loss, Reading, Record
from gateway_core.wire import Upload
from tests.collector.api.test_listings import CONFIG, Clock, T


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    (tmp_path / "c.yaml").write_text(CONFIG)
    async with open_collector(load_collector_config(tmp_path / "c.yaml"), Clock()) as opened:
        yield opened


def said(second: int) -> Reading:
    return Reading("e1", "d1", "p", "env", T + second * NS, T + second * NS, {"t": 1.0})


async def certificate(collector: Collector, records: list[Record], report: Report) -> dict:
    """Return the certificate of the last 1,000 s, after an upload of these records."""
    collector.clock.now = T + 1000 * NS
    last = len(records)
    upload = Upload("e1", "ep", 1, last, list(range(1, last + 1)), records)
    await collector.reception.receive(upload, report)
    await RegistrySink(collector.registry).send(Batch(1, records))
    await collector.store.write(Batch(1, records))
    transport = httpx.ASGITransport(create_app(collector.parts()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
        answer = await client.get("/api/v1/devices/d1/gaps", params={"since": str(T)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def reasons(gap: dict) -> dict[str, bool]:
    return {each["reason"]: each["certain"] for each in gap["reasons"]}


async def test_losses_and_silence_explain_what_they_cover(collector: Collector) -> None:
    readings = [said(n) for n in (*range(0, 300, 10), *range(500, 700, 10), *range(900, 1000, 10))]
    loss = Loss("e1", T + 950 * NS, "ep", 7, 9, "evicted", "", T + 300 * NS, T + 400 * NS)
    silent = Alarm("e1", "d1", "p", "silence", "minor", "raised", T + 720 * NS)
    spoke = Alarm("e1", "d1", "p", "silence", "minor", "cleared", T + 900 * NS)
    found = await certificate(collector, [*readings, loss, silent, spoke], Report())
    first, second = found["gaps"]
    assert reasons(first) == {"evicted": False, "unknown": False}
    assert reasons(second)["never_sent"] is True
    assert "unknown" not in reasons(second)
    assert (found["readings"], found["basis"], found["seen_from"]) == (60, "observed", "centre")


async def test_what_an_edge_has_still_to_send_is_not_taken_for_silence(
    collector: Collector,
) -> None:
    report = Report(backlog=40, oldest=T + 600 * NS)
    found = await certificate(collector, [said(n) for n in range(0, 600, 10)], report)
    (gap,) = found["gaps"]
    assert gap["until"] == found["until"]
    assert reasons(gap) == {"not_arrived": False, "unknown": False}
    assert 40 in [each["count"] for each in gap["reasons"]]


async def test_a_device_that_nobody_knows_is_a_problem(collector: Collector) -> None:
    transport = httpx.ASGITransport(create_app(collector.parts()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
        assert (await client.get("/api/v1/devices/d9/gaps")).status_code == 404
        bad = await client.get("/api/v1/devices/d9/gaps?since=soon")
    assert bad.status_code in {404, 422}
