"""Lists never say more than is known: of an edge out of contact, everything is stale."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from collector.agent import open_collector
from collector.api.app import create_app
from collector.api.forms import QueryForm
from collector.config import load_collector_config
from collector.reception import Report
from collector.registry.sink import RegistrySink
from gateway_core.model import Batch, Reading
from gateway_core.wire import Upload

CONFIG = 'collector: {data_dir: ./var}\nintake: {listen: "[::1]:0"}\napi: {listen: "[::1]:0"}\n'
T = 1_800_000_000_000_000_000


class Clock:
    """A clock that stands where it is put."""

    now = T

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def api(tmp_path: Path, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "c.yaml").write_text(CONFIG)
    reading = Reading("e1", "hall/pump 1", "p", "env", T, T, {"t": 1.0})
    async with open_collector(load_collector_config(tmp_path / "c.yaml"), clock) as collector:
        await collector.reception.receive(Upload("e1", "ep", 1, 1, [1], [reading]), Report())
        await RegistrySink(collector.registry).send(Batch(1, [reading]))
        transport = httpx.ASGITransport(create_app(collector.parts()), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
            yield client


async def test_what_an_edge_out_of_contact_said_is_stale(
    api: httpx.AsyncClient, clock: Clock
) -> None:
    (item,) = (await api.get("/api/v1/devices?state=online")).json()["items"]
    assert (item["state"], item["last_state"]) == ("online", "online")
    clock.now = T + 91_000_000_000
    assert (await api.get("/api/v1/devices?state=online")).json()["items"] == []
    (item,) = (await api.get("/api/v1/devices?state=stale")).json()["items"]
    assert (item["state"], item["last_state"]) == ("stale", "online")


async def test_a_device_whose_id_holds_slashes_can_be_asked_for(api: httpx.AsyncClient) -> None:
    found = await api.get("/api/v1/devices/hall%2Fpump%201")
    assert (found.status_code, found.json()["id"]) == (200, "hall/pump 1")


def test_an_instant_in_nanoseconds_is_taken_to_the_nanosecond() -> None:
    form = QueryForm.model_validate({"measurement": "env", "start": T + 1, "stop": T + 3})
    asked = form.query(now_ns=0)
    assert (asked.start_ns, asked.stop_ns) == (T + 1, T + 3)


async def test_what_nobody_foresaw_is_a_problem_document_too(
    api: httpx.AsyncClient, clock: Clock
) -> None:
    clock.now = "no clock"  # type: ignore[assignment]
    found = await api.get("/api/v1/devices")
    assert found.status_code == 500
    assert found.headers["Content-Type"] == "application/problem+json"
    assert found.json()["title"] == "internal_error"
