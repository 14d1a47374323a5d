"""The promise: through a real mosquitto every acknowledged message is stored exactly once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge_agent.sources.mqtt import MqttSource
from edge_agent.sources.redelivery import Redelivery
from gateway_core.errors import SpoolFull
from gateway_core.meter import Meter
from tests.fakes.broker import Mosquitto
from tests.fakes.ingest import FakeIngest, Killed, killed, supervised

VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def _bytes(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


async def _run_until_killed(source: MqttSource, ingest: FakeIngest) -> None:
    """Let the agent die after its first commit, before the acknowledgement."""
    ingest.on_commit = killed
    with pytest.raises(ExceptionGroup):
        await source.run()
    ingest.on_commit = lambda: None


@VERSIONS
async def test_a_message_is_stored_with_topic_payload_and_source(
    version: str, broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(broker.url, ingest, version=version)
    async with supervised(source):
        await source.ready.wait()
        await broker.publish("tg/dev-1/up", '{"t": 21.5}')
        await ingest.until(1)
    (arrival,) = ingest.stored
    assert (arrival.source, arrival.via, arrival.address, arrival.payload) == (
        "mqtt:site",
        "mqtt",
        "tg/dev-1/up",
        b'{"t": 21.5}',
    )


@VERSIONS
async def test_messages_published_while_the_agent_is_away_arrive_in_order(
    version: str, broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    first = make_source(broker.url, ingest, version=version)
    async with supervised(first):
        await first.ready.wait()
    await broker.publish("tg/dev-1/up", *_numbers(2000))
    second = make_source(broker.url, ingest, version=version, receive_maximum=50)
    async with supervised(second):
        await ingest.until(2000)
    assert ingest.payloads() == _bytes(2000)


@VERSIONS
async def test_what_was_committed_before_the_agent_died_is_not_stored_again(
    version: str, broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    first = make_source(broker.url, ingest, version=version)
    async with supervised(first):
        await first.ready.wait()
    await broker.publish("tg/dev-1/up", *["same words"] * 40)
    await _run_until_killed(make_source(broker.url, ingest, version=version), ingest)
    assert ingest.stored
    meter = Meter()
    async with supervised(make_source(broker.url, ingest, version=version, meter=meter)):
        await broker.publish("tg/dev-2/up", "last")
        await ingest.when(lambda: ingest.payloads()[-1:] == [b"last"])
    assert ingest.payloads() == [b"same words"] * 40 + [b"last"]
    assert b"tidegate_mqtt_redelivered_total" in meter.render()


@VERSIONS
async def test_what_was_committed_before_the_broker_restarted_is_not_stored_again(
    version: str, broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(broker.url, ingest, version=version)
    async with supervised(source):
        await source.ready.wait()
        ingest.gate.clear()
        await broker.publish("tg/dev-1/up", *_numbers(30))
        await ingest.when(lambda: ingest.calls >= 2)
        await broker.stop()
        ingest.gate.set()
        await ingest.until(1)
        await broker.start()
        await broker.publish("tg/dev-2/up", "last")
        await ingest.when(lambda: ingest.payloads()[-1:] == [b"last"])
    assert sorted(ingest.payloads()) == sorted([*_bytes(30), b"last"])


@VERSIONS
async def test_nothing_is_acknowledged_while_the_spool_is_full(
    version: str, broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    first = make_source(broker.url, ingest, version=version)
    async with supervised(first):
        await first.ready.wait()
    await broker.publish("tg/dev-1/up", *_numbers(50))
    ingest.trouble = SpoolFull("no room in this test")
    calls = ingest.calls
    async with asyncio.TaskGroup() as tasks:
        dying = tasks.create_task(_die(make_source(broker.url, ingest, version=version)))
        await ingest.when(lambda: ingest.calls >= calls + 3)
        ingest.trouble = Killed()
        await dying
    other = FakeIngest()  # another disk: only what was not acknowledged can come
    async with supervised(make_source(broker.url, other, version=version)):
        await other.until(50)
    assert other.payloads() == _bytes(50)
    assert ingest.stored == []


async def _die(source: MqttSource) -> None:
    with pytest.raises(ExceptionGroup):
        await source.run()


@VERSIONS
async def test_reading_goes_on_with_the_same_messages_once_the_spool_has_room(
    version: str, broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(broker.url, ingest, version=version)
    async with supervised(source):
        await source.ready.wait()
        ingest.trouble = SpoolFull("no room in this test")
        calls = ingest.calls
        await broker.publish("tg/dev-1/up", *_numbers(50))
        await ingest.when(lambda: ingest.calls >= calls + 2)
        ingest.trouble = None
        await ingest.until(50)
    assert ingest.payloads() == _bytes(50)


@VERSIONS
async def test_an_orderly_end_acknowledges_what_was_committed(
    version: str, broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(broker.url, ingest, version=version)
    async with supervised(source):
        await source.ready.wait()
        ingest.gate.clear()
        calls = ingest.calls
        await broker.publish("tg/dev-1/up", *_numbers(20))
        await ingest.when(lambda: ingest.calls > calls)
        asyncio.get_running_loop().call_soon(ingest.gate.set)
    assert ingest.payloads() == _bytes(len(ingest.stored))
    other = FakeIngest()  # knows nothing of the first: what it gets was never acknowledged
    async with supervised(make_source(broker.url, other, version=version)):
        await broker.publish("tg/dev-2/up", "last")
        await other.when(lambda: other.payloads()[-1:] == [b"last"])
    assert ingest.payloads() + other.payloads() == [*_bytes(20), b"last"]


@VERSIONS
async def test_quality_of_service_0_is_taken_in(
    version: str, broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(broker.url, ingest, version=version)
    async with supervised(source):
        await source.ready.wait()
        await broker.publish("tg/dev-1/up", *_numbers(100), qos=0)
        await ingest.until(100)
    assert ingest.payloads() == _bytes(100)


async def test_quality_of_service_2_is_stored_once_whenever_the_agent_dies(
    broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    first = make_source(broker.url, ingest, qos=2)
    async with supervised(first):
        await first.ready.wait()
        await broker.publish("tg/dev-1/up", "before", qos=2)
        await ingest.until(1)
    await broker.publish("tg/dev-1/up", *["same words"] * 10, qos=2)
    await _run_until_killed(make_source(broker.url, ingest, qos=2), ingest)
    async with supervised(make_source(broker.url, ingest, qos=2)):
        await broker.publish("tg/dev-1/up", "last", qos=2)
        await ingest.when(lambda: ingest.payloads()[-1:] == [b"last"])
    assert ingest.payloads() == [b"before", *[b"same words"] * 10, b"last"]


@VERSIONS
async def test_a_retained_message_is_not_stored_again_at_each_connection(
    version: str, broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    await broker.publish("tg/dev-1/up", "retained", options=("-r",))
    source = make_source(broker.url, ingest, version=version)
    async with supervised(source):
        await ingest.until(1)
        await broker.stop()
        await broker.start()
        await source.ready.wait()
        await broker.publish("tg/dev-2/up", "last")
        await ingest.when(lambda: ingest.payloads()[-1:] == [b"last"])
    assert ingest.payloads() == [b"retained", b"last"]


async def test_a_retained_message_is_not_stored_again_at_each_start(
    broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    await broker.publish("tg/dev-1/up", "retained", options=("-r",))
    for _ in range(2):
        source = make_source(broker.url, ingest)
        async with supervised(source):
            await source.ready.wait()
            await ingest.until(1)
    async with supervised(make_source(broker.url, ingest)):
        await broker.publish("tg/dev-2/up", "last")
        await ingest.when(lambda: ingest.payloads()[-1:] == [b"last"])
    assert ingest.payloads() == [b"retained", b"last"]


async def test_agents_of_one_group_share_the_messages(broker: Mosquitto, make_source) -> None:
    left, right = FakeIngest(), FakeIngest()
    both = [
        make_source(broker.url, ingest, edge=edge, shared_group="site")
        for edge, ingest in (("a", left), ("b", right))
    ]
    async with supervised(both[0]), supervised(both[1]):
        for source in both:
            await source.ready.wait()
        await broker.publish("tg/dev-1/up", *_numbers(200))
        while len(left.stored) + len(right.stored) < 200:
            await asyncio.sleep(0.01)
    assert sorted(left.payloads() + right.payloads()) == sorted(_bytes(200))
    assert left.stored
    assert right.stored


async def test_a_topic_taken_out_of_the_configuration_stops_coming(
    broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    first = make_source(broker.url, ingest, subscribe=["old/#", "tg/+/up"])
    async with supervised(first):
        await first.ready.wait()
    second = make_source(broker.url, ingest, subscribe=["tg/+/up"])
    async with supervised(second):
        await second.ready.wait()
        await broker.publish("old/topic", "unwanted")
        await broker.publish("tg/dev-1/up", "wanted")
        await ingest.until(1)
    assert ingest.payloads() == [b"wanted"]


@pytest.mark.fault("R19")
async def test_a_session_that_the_broker_lost_is_forgotten_before_anything_is_read(
    broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(broker.url, ingest)
    async with supervised(source):
        await source.ready.wait()
        await broker.publish("tg/dev-1/up", "words")
        await ingest.until(1)
        assert len(Redelivery("mqtt/site/", 100, ingest.state)) == 1
        await broker.stop()
        (broker.folder / "mosquitto.db").unlink()
        await broker.start()
        await source.ready.wait()
        assert len(Redelivery("mqtt/site/", 100, ingest.state)) == 0
        await broker.publish("tg/dev-1/up", "words")
        await ingest.until(2)
    assert ingest.payloads() == [b"words"] * 2


@VERSIONS
async def test_a_broker_on_ipv6_alone_is_as_good(version: str, tmp_path: Path, make_source) -> None:
    broker = Mosquitto(tmp_path / "six", host="::1")
    await broker.start()
    ingest = FakeIngest()
    source = make_source(broker.url, ingest, version=version)
    async with supervised(source):
        await source.ready.wait()
        await broker.publish("tg/dev-1/up", "over six")
        await ingest.until(1)
    await broker.stop()
    assert ingest.payloads() == [b"over six"]


async def test_topics_of_the_profiles_are_subscribed_where_the_file_names_none(
    broker: Mosquitto, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(broker.url, ingest, subscribe=None)
    async with supervised(source):
        await source.ready.wait()
        await broker.publish("from/profiles", "found")
        await ingest.until(1)
    assert ingest.payloads() == [b"found"]
