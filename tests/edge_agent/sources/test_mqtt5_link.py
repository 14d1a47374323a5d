"""The promise: whatever a broker does, the agent loses nothing, hangs on nothing and says why."""

from __future__ import annotations

import asyncio

import mqtt5
import pytest
import structlog

from edge_agent.sources.mqtt5_link import READ
from edge_agent.sources.terms import Refused
from gateway_core.errors import Unavailable
from tests.fakes.broker import ByteBroker
from tests.fakes.ingest import FakeIngest, supervised


def _publish(packet_id: int, payload: bytes, *, qos: int = 1, dup: bool = False) -> bytes:
    return mqtt5.PublishPacket(
        "tg/dev-1/up",
        payload,
        qos=mqtt5.QoS(qos),
        packet_id=packet_id if qos else None,
        duplicate=dup,
    ).write()


def _acked(broker: ByteBroker) -> list[int]:
    return [each.packet_id for each in broker.of(mqtt5.PubAckPacket)]


async def test_a_rush_is_taken_in_portions_so_that_all_else_has_its_turn(
    bytebroker: ByteBroker, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(bytebroker.url, ingest)
    async with supervised(source):
        await source.ready.wait()
        bytebroker.send(b"".join(_publish(number, b"x" * 1000) for number in range(1, 4001)))
        await ingest.until(4000)
    assert max(ingest.sizes) <= 1 + READ // 1000
    assert [each.payload for each in ingest.stored] == [b"x" * 1000] * 4000


async def test_the_connection_asks_for_a_persistent_session_and_announces_its_limits(
    bytebroker: ByteBroker, make_source
) -> None:
    source = make_source(bytebroker.url, FakeIngest(), receive_maximum=1234)
    async with supervised(source):
        await source.ready.wait()
    (connect,) = bytebroker.of(mqtt5.ConnectPacket)
    assert connect.client_id == "tidegate-bz-edge-01-site"
    assert connect.clean_start is False
    assert connect.session_expiry_interval == 604_800
    assert connect.receive_max == 1234
    assert connect.max_packet_size == 262_144
    assert connect.topic_alias_max == 0
    (subscribe,) = bytebroker.of(mqtt5.SubscribePacket)
    assert [each.pattern for each in subscribe.topic_filters] == ["tg/+/up"]
    assert bytebroker.of(mqtt5.DisconnectPacket)


async def test_acknowledgements_leave_after_the_commit_and_in_the_order_of_receipt(
    bytebroker: ByteBroker, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(bytebroker.url, ingest)
    async with supervised(source):
        await source.ready.wait()
        ingest.gate.clear()
        for packet_id in range(1, 301):
            bytebroker.send(_publish(packet_id, b"x"))
        calls = ingest.calls
        await ingest.when(lambda: ingest.calls > calls)
        assert _acked(bytebroker) == []
        ingest.gate.set()
        await bytebroker.when(lambda: len(_acked(bytebroker)) == 300)
    assert _acked(bytebroker) == list(range(1, 301))


async def test_a_redelivered_message_is_acknowledged_and_not_stored_again(
    bytebroker: ByteBroker, make_source
) -> None:
    bytebroker.connack = mqtt5.ConnAckPacket(session_present=True).write()
    ingest = FakeIngest()
    source = make_source(bytebroker.url, ingest)
    async with supervised(source):
        await source.ready.wait()
        bytebroker.send(_publish(7, b"on"))
        await bytebroker.when(lambda: _acked(bytebroker) == [7])
        bytebroker.drop()
        await bytebroker.when(lambda: bytebroker.connections == 2)
        await source.ready.wait()
        bytebroker.send(_publish(7, b"on", dup=True) + _publish(8, b"on", dup=True))
        await bytebroker.when(lambda: _acked(bytebroker) == [7, 7, 8])
    assert [each.payload for each in ingest.stored] == [b"on", b"on"]


async def test_the_same_words_without_dup_are_a_new_message(
    bytebroker: ByteBroker, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(bytebroker.url, ingest)
    async with supervised(source):
        await source.ready.wait()
        bytebroker.send(_publish(7, b"on") + _publish(7, b"on"))
        await ingest.until(2)


async def test_a_message_sent_again_while_it_is_being_committed_is_stored_once(
    bytebroker: ByteBroker, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(bytebroker.url, ingest)
    async with supervised(source):
        await source.ready.wait()
        ingest.gate.clear()
        bytebroker.send(_publish(7, b"on") + _publish(7, b"on", dup=True))
        calls = ingest.calls
        await ingest.when(lambda: ingest.calls > calls)
        bytebroker.send(_publish(7, b"on", dup=True))
        ingest.gate.set()
        await bytebroker.when(lambda: _acked(bytebroker) == [7, 7, 7])
    assert len(ingest.stored) == 1


async def test_quality_of_service_2_is_received_after_the_commit_and_completed(
    bytebroker: ByteBroker, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(bytebroker.url, ingest, qos=2)
    async with supervised(source):
        await source.ready.wait()
        ingest.gate.clear()
        bytebroker.send(_publish(9, b"x", qos=2))
        calls = ingest.calls
        await ingest.when(lambda: ingest.calls > calls)
        assert not bytebroker.of(mqtt5.PubRecPacket)
        ingest.gate.set()
        await bytebroker.when(lambda: len(bytebroker.of(mqtt5.PubRecPacket)) == 1)
        bytebroker.send(mqtt5.PubRelPacket(9).write())
        await bytebroker.when(lambda: len(bytebroker.of(mqtt5.PubCompPacket)) == 1)


# the codec panics at the first of these, and leaves the decoder's error behind
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("packet", "address", "payload"),
    [
        (b"\x32\x0a\x00\x03a\xff/\x00\x05\x00{}", "a\ufffd/", b"\x00{}"),  # a topic not UTF-8
        (b"\x32\x09\x00\x01a\x00\x05\x02\xfe\x00{", "a", b"\x02\xfe\x00{"),  # no such property
        (b"\x32\x07\x00\x01a\x00\x05\x7f{", "a", b"\x7f{"),  # properties beyond the end
    ],
)
async def test_a_publish_the_codec_cannot_read_is_handed_on_raw_and_acknowledged(
    packet: bytes, address: str, payload: bytes, bytebroker: ByteBroker, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(bytebroker.url, ingest)
    async with supervised(source):
        await source.ready.wait()
        bytebroker.send(packet + _publish(6, b"behind it"))
        await bytebroker.when(lambda: _acked(bytebroker) == [5, 6])
    assert ingest.payloads() == [payload, b"behind it"]
    assert ingest.stored[0].address == address


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"\x30\xff\xff\xff\x7f", "more than the max_packet"),
        (b"\x30\x80\x80\x80\x80\x01", "without a length"),
        (b"\xff\x00", "cannot be read"),
        (b"\x36\x07\x00\x01a\x00\x01\x00b", "cannot be read"),
        (mqtt5.PublishPacket("", b"x", topic_alias=1).write(), "topic alias"),
        (b"\x32\x06\x00\x01a\x00\x00\x00", "packet id of 0"),
        (mqtt5.UnsubscribePacket(1, ["a"]).write(), "none of its business"),
        (
            mqtt5.DisconnectPacket(
                reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
            ).write(),
            "another program has this client id",
        ),
    ],
)
async def test_a_broker_that_breaks_the_protocol_is_left_with_the_reason(
    sent: bytes, why: str, bytebroker: ByteBroker, make_source
) -> None:
    bytebroker.on_subscribe = lambda: bytebroker.send(sent)
    with pytest.raises(Unavailable, match=why):
        await make_source(bytebroker.url, FakeIngest()).run()


async def test_messages_before_a_broken_packet_are_committed(
    bytebroker: ByteBroker, make_source
) -> None:
    ingest = FakeIngest()
    bytebroker.on_subscribe = lambda: bytebroker.send(_publish(1, b"good") + b"\xff\x00")
    with pytest.raises(Unavailable):
        await make_source(bytebroker.url, ingest).run()
    assert ingest.payloads() == [b"good"]


async def test_a_dead_broker_is_noticed_by_its_silence(bytebroker: ByteBroker, make_source) -> None:
    bytebroker.connack = mqtt5.ConnAckPacket(server_keep_alive=1).write()
    bytebroker.answers_pings = False
    with pytest.raises(Unavailable, match="no sign of life"):
        await make_source(bytebroker.url, FakeIngest()).run()
    assert bytebroker.of(mqtt5.PingReqPacket)


async def test_the_keep_alive_of_the_broker_replaces_the_own(
    bytebroker: ByteBroker, make_source
) -> None:
    bytebroker.connack = mqtt5.ConnAckPacket(server_keep_alive=1).write()
    source = make_source(bytebroker.url, FakeIngest(), keep_alive="1h")
    async with supervised(source):
        await bytebroker.when(lambda: len(bytebroker.of(mqtt5.PingReqPacket)) >= 3)
    assert bytebroker.connections == 1


async def test_a_refused_filter_is_reported_and_the_others_are_read(
    bytebroker: ByteBroker, make_source
) -> None:
    codes = [
        mqtt5.SubAckReasonCode.NOT_AUTHORIZED,
        mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE,
    ]
    bytebroker.suback = mqtt5.SubAckPacket(1, codes).write()
    source = make_source(bytebroker.url, FakeIngest(), subscribe=["secret/#", "tg/+/up"])
    with structlog.testing.capture_logs() as logs:
        async with supervised(source):
            await source.ready.wait()
    (error,) = [each for each in logs if each["log_level"] == "error"]
    assert error["event"] == "subscription_refused"
    assert error["filter"] == "secret/#"
    assert "access control list" in error["why"]


async def test_a_broker_that_refuses_every_filter_is_an_error(
    bytebroker: ByteBroker, make_source
) -> None:
    codes = [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]
    bytebroker.suback = mqtt5.SubAckPacket(1, codes).write()
    with pytest.raises(Refused, match="refuses every topic: not authorized"):
        await make_source(bytebroker.url, FakeIngest()).run()


async def test_a_broker_without_shared_subscriptions_is_named(
    bytebroker: ByteBroker, make_source
) -> None:
    bytebroker.connack = mqtt5.ConnAckPacket(shared_subscription_available=False).write()
    with pytest.raises(Refused, match="leave shared_group out"):
        await make_source(bytebroker.url, FakeIngest(), shared_group="g").run()


@pytest.mark.parametrize("chunk", [1, 7, 4096])
async def test_packets_cut_anywhere_are_read(
    chunk: int, bytebroker: ByteBroker, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(bytebroker.url, ingest)
    stream = b"".join(_publish(each, b"y" * each) for each in range(1, 41))
    async with supervised(source):
        await source.ready.wait()
        for start in range(0, len(stream), chunk):
            bytebroker.send(stream[start : start + chunk])
            await asyncio.sleep(0)
        await ingest.until(40)
    assert ingest.payloads() == [b"y" * each for each in range(1, 41)]


async def test_reading_stops_while_too_much_is_uncommitted(
    bytebroker: ByteBroker, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(bytebroker.url, ingest, receive_maximum=100)
    block = b"".join(_publish(0, b"z" * 100_000, qos=0) for _ in range(10))
    async with supervised(source):
        await source.ready.wait()
        ingest.gate.clear()
        for _ in range(100):
            bytebroker.send(block)  # 100 MB
        await bytebroker.when(lambda: True)
        calls = ingest.calls
        await ingest.when(lambda: ingest.calls > calls)
        async with asyncio.timeout(10):
            while not bytebroker.stalled():
                await asyncio.sleep(0.01)
        ingest.gate.set()
        await ingest.until(1000)


async def test_nothing_to_subscribe_to_is_said_at_once(make_source) -> None:
    with pytest.raises(Refused, match="nothing to subscribe to"):
        await make_source("mqtt://127.0.0.1:1", FakeIngest(), subscribe=[]).run()
