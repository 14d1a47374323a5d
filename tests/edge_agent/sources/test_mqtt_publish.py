"""The promise: what is published is confirmed by the broker, or the caller knows what is not known."""

from __future__ import annotations

import asyncio
from pathlib import Path

import mqtt5
import pytest

from edge_agent.downlink import Downlink, NotSent, Undeliverable
from gateway_core.errors import Unavailable
from tests.fakes.broker import ByteBroker, Mosquitto
from tests.fakes.ingest import FakeIngest, supervised

VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


@VERSIONS
async def test_a_published_message_reaches_its_subscriber(
    version: str, broker: Mosquitto, make_source
) -> None:
    heard = FakeIngest()
    device = make_source(broker.url, heard, edge="device", subscribe=["cmnd/+/POWER"])
    source = make_source(broker.url, FakeIngest(), version=version)
    async with supervised(device), supervised(source):
        await device.ready.wait()
        await source.ready.wait()
        await source.publish(Downlink("cmnd/plug-1/POWER", b"OFF", expiry_s=60.0))
        await heard.until(1)
    assert (heard.stored[0].address, heard.stored[0].payload) == ("cmnd/plug-1/POWER", b"OFF")


@VERSIONS
async def test_many_messages_at_once_are_all_confirmed(
    version: str, broker: Mosquitto, make_source
) -> None:
    heard = FakeIngest()
    device = make_source(broker.url, heard, edge="device", subscribe=["down/+"])
    source = make_source(broker.url, FakeIngest(), version=version)
    async with supervised(device), supervised(source):
        await device.ready.wait()
        await source.ready.wait()
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(source.publish(Downlink(f"down/{number}", b"x")))
        await heard.until(100)
    assert {each.address for each in heard.stored} == {f"down/{n}" for n in range(100)}


async def test_a_message_for_nobody_is_undeliverable(broker: Mosquitto, make_source) -> None:
    source = make_source(broker.url, FakeIngest())
    async with supervised(source):
        await source.ready.wait()
        with pytest.raises(Undeliverable) as found:
            await source.publish(Downlink("nobody/listens", b"x"))
    assert found.value.code == "no_subscriber"


async def test_a_message_that_the_broker_does_not_allow_is_undeliverable(
    tmp_path: Path, make_source
) -> None:
    rights = tmp_path / "acl"
    rights.write_text("topic read tg/#\n")
    rights.chmod(0o644)
    mosquitto = Mosquitto(tmp_path / "strict", f"allow_anonymous true\nacl_file {rights}")
    await mosquitto.start()
    source = make_source(mosquitto.url, FakeIngest())
    async with supervised(source):
        await source.ready.wait()
        with pytest.raises(Undeliverable) as found:
            await source.publish(Downlink("cmnd/plug-1/POWER", b"OFF"))
    await mosquitto.stop()
    assert found.value.code == "not_authorized"
    assert "access control list" in found.value.detail


@VERSIONS
async def test_nothing_is_sent_while_the_broker_is_away(
    version: str, broker: Mosquitto, make_source
) -> None:
    source = make_source(broker.url, FakeIngest(), version=version)
    with pytest.raises(NotSent):
        await source.publish(Downlink("cmnd/plug-1/POWER", b"OFF"))


@VERSIONS
@pytest.mark.parametrize("topic", ["cmnd/+/POWER", "cmnd/#", "", "a\0b"])
async def test_a_topic_with_wildcards_never_leaves(
    version: str, topic: str, broker: Mosquitto, make_source
) -> None:
    source = make_source(broker.url, FakeIngest(), version=version)
    async with supervised(source):
        await source.ready.wait()
        with pytest.raises(Undeliverable) as found:
            await source.publish(Downlink(topic, b"OFF"))
    assert found.value.code == "bad_topic"


async def test_the_time_to_live_goes_along_as_message_expiry(
    bytebroker: ByteBroker, make_source
) -> None:
    source = make_source(bytebroker.url, FakeIngest())
    async with supervised(source):
        await source.ready.wait()
        sending = asyncio.ensure_future(source.publish(Downlink("down/1", b"x", expiry_s=42.9)))
        await bytebroker.when(lambda: bool(bytebroker.of(mqtt5.PublishPacket)))
        (packet,) = bytebroker.of(mqtt5.PublishPacket)
        bytebroker.send(mqtt5.PubAckPacket(packet.packet_id).write())
        await sending
    assert packet.message_expiry_interval == 42
    assert (packet.qos, packet.duplicate, packet.retain) == (1, False, False)


async def test_a_connection_lost_before_the_puback_leaves_it_unknown_and_sends_nothing_again(
    bytebroker: ByteBroker, make_source
) -> None:
    source = make_source(bytebroker.url, FakeIngest())
    async with supervised(source):
        await source.ready.wait()
        sending = asyncio.ensure_future(source.publish(Downlink("down/1", b"x")))
        await bytebroker.when(lambda: bool(bytebroker.of(mqtt5.PublishPacket)))
        bytebroker.drop()
        with pytest.raises(Unavailable) as found:
            await sending
        await bytebroker.when(lambda: bytebroker.connections == 2)
        await source.ready.wait()
    assert not isinstance(found.value, NotSent)
    assert len(bytebroker.of(mqtt5.PublishPacket)) == 1


async def test_a_packet_larger_than_the_broker_takes_is_undeliverable(make_source) -> None:
    small = ByteBroker(connack=mqtt5.ConnAckPacket(max_packet_size=100).write())
    await small.start()
    source = make_source(small.url, FakeIngest())
    async with supervised(source):
        await source.ready.wait()
        with pytest.raises(Undeliverable) as found:
            await source.publish(Downlink("down/1", b"x" * 200))
    await small.stop()
    assert found.value.code == "too_large"


async def test_what_waited_for_room_beyond_its_time_to_live_does_not_leave(
    bytebroker: ByteBroker, make_source
) -> None:
    source = make_source(bytebroker.url, FakeIngest())
    async with supervised(source):
        await source.ready.wait()
        early = [
            asyncio.ensure_future(source.publish(Downlink(f"down/{n}", b"x"))) for n in range(16)
        ]
        await bytebroker.when(lambda: len(bytebroker.of(mqtt5.PublishPacket)) == 16)
        late = asyncio.ensure_future(source.publish(Downlink("down/16", b"x", expiry_s=0.2)))
        await asyncio.sleep(0.5)
        for packet in bytebroker.of(mqtt5.PublishPacket):
            bytebroker.send(mqtt5.PubAckPacket(packet.packet_id).write())
        with pytest.raises(NotSent):
            await late
        await asyncio.gather(*early)
    assert len(bytebroker.of(mqtt5.PublishPacket)) == 16
