"""What the collector says of itself is what its books say; what nobody said is not 0."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from collector.agent import open_collector
from collector.api.parts import Vitals
from collector.config import load_collector_config
from collector.lull import Lull
from collector.reception import Report
from collector.status import Health, WatchedSink, edge_statuses, seconds_to_full
from gateway_core.errors import ConfigError, Unavailable
from gateway_core.model import Batch, Receipt
from gateway_core.spool import Books, ConsumerBooks
from gateway_core.wire import Upload
from tests.fakes.edges import T, readings, upload

CONFIG = 'collector: {data_dir: ./var}\nintake: {listen: "[::1]:0"}\napi: {listen: "[::1]:0"}\n'


@pytest.fixture
async def collector(tmp_path: Path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    async with open_collector(load_collector_config(tmp_path / "c.yaml")) as opened:
        yield opened


async def test_metrics_carry_the_public_names(collector) -> None:
    await collector.reception.receive(upload(1, 5), Report(backlog=3, oldest=T, residual=0))
    lines = (await collector.render_metrics()).decode().splitlines()
    assert 'tidegate_accepted_total{source="edge:e1"} 5.0' in lines
    assert 'tidegate_delivered_total{sink="timeseries"} 0.0' in lines
    assert 'tidegate_buffered{consumer="registry"} 5.0' in lines
    assert "tidegate_residual 0.0" in lines
    assert "tidegate_spool_seconds_to_full +Inf" in lines
    assert any(line.startswith("tidegate_spool_bytes ") for line in lines)
    assert any(line.startswith('tidegate_uplink_lag_seconds{edge="e1"} ') for line in lines)


async def test_what_an_edge_did_not_say_is_not_known(collector) -> None:
    await collector.reception.receive(upload(1, 5), Report())
    await collector.reception.receive(upload(8, 9), Report())
    (edge,) = edge_statuses(collector.reception.edges)
    assert (edge.backlog, edge.oldest, edge.residual) == (None, None, None)
    assert (edge.high_water, edge.gaps, edge.missing, edge.stored) == (9, [(6, 7)], 2, 7)
    assert 'tidegate_edge_backlog{edge="e1"}' not in (await collector.render_metrics()).decode()


async def test_numbers_that_nothing_explains_are_a_residual_even_if_the_edge_sees_none(
    collector,
) -> None:
    holey = Upload("e1", "ep1", 1, 10, [1], readings(1, 1), {"policy": 7})
    await collector.reception.receive(holey, Report(residual=0))
    (edge,) = edge_statuses(collector.reception.edges)
    assert (edge.residual, edge.withheld) == (2, {"policy": 7})


class Moody:
    """A sink that is away until told otherwise."""

    name = "timeseries"
    away = True

    async def send(self, batch: Batch) -> Receipt:
        if self.away:
            raise Unavailable("no answer")
        return Receipt()


async def test_a_sink_is_unhealthy_until_it_delivers_again() -> None:
    health, sink = Health(), Moody()
    watched = WatchedSink(sink, health, Lull())
    with pytest.raises(Unavailable):
        await watched.send(Batch(1, readings(1, 1)))
    assert health.parts(["timeseries"]) == {"timeseries": "no answer"}
    sink.away = False
    await watched.send(Batch(1, readings(1, 1)))
    assert health.parts(["timeseries"]) == {"timeseries": "ok"}


async def test_a_collector_whose_store_is_away_waits_and_is_not_ill(collector) -> None:
    timeseries = collector.lanes()[0]
    assert (await collector.vitals()).status == "ok"
    collector.health.wrong[timeseries.sink.name] = "no answer"
    vitals = await collector.vitals()
    assert (vitals.status, vitals.spool) == ("waiting", "ok")
    assert vitals.parts == {"timeseries": "no answer", "registry": "ok", "events": "ok"}
    assert Vitals("no space left on device", {}).status == "failing"


def test_the_budget_lasts_as_long_as_the_rate_allows() -> None:
    waiting = ConsumerBooks(100, 0, 50, 0, {}, {}, 50)
    books = Books("ep", 100, 1, 1000, 10_500, consumers={"timeseries": waiting})
    assert seconds_to_full(books, 10.0) == 100.0
    assert seconds_to_full(books, None) == math.inf


def test_relative_paths_belong_to_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        CONFIG + 'registry: {url: "sqlite:///./var/r.db"}\ntimeseries: {token_file: t}\n'
    )
    config = load_collector_config(tmp_path / "c.yaml")
    assert config.collector.data_dir == tmp_path / "var"
    assert config.timeseries.token_file == tmp_path / "t"
    assert config.registry_url == f"sqlite:///{tmp_path}/var/r.db"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("timeseries: {url: 'http://u:p@h:1'}\n", "must not hold credentials"),
        ("spool: {kind: jetstream}\n", "no JetStream spool yet; write kind: embedded"),
        ("spool: {urls: ['nats://[::1]:4222']}\n", "has no servers"),
        ("registry: {url: 'mysql://h/db'}\n", "expected sqlite:///FILE"),
        ("registry: {url: 'sqlite://'}\n", "expected sqlite:///FILE"),
        ("intake: {key_file: k}\n", "go together"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, more: str, told: str) -> None:
    (tmp_path / "c.yaml").write_text("collector: {data_dir: ./var}\n" + more)
    with pytest.raises(ConfigError, match=told) as caught:
        load_collector_config(tmp_path / "c.yaml")
    assert str(caught.value).startswith(f"{tmp_path}/c.yaml:2:")
