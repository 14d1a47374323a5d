"""MQTT 5 from the server's side, over the `mqtt5` codec. Pure.

Texts are looked at before the codec sees them (`texts5`), and a PUBLISH without properties, as
nearly all are, is read by hand.
"""

from __future__ import annotations

import mqtt5

from edge_agent.sources.listen.packets import (
    MALFORMED,
    NO_SUBSCRIPTION_IDS,
    PROTOCOL_ERROR,
    SHUTTING_DOWN,
    SUCCESS,
    UNAVAILABLE,
    Broken,
    Confirm,
    Connect,
    Disconnect,
    Packet,
    Ping,
    Publish,
    Release,
    Subscribe,
    Unsubscribe,
    Welcome,
    Will,
    frame,
)
from edge_agent.sources.listen.texts5 import PUBLISH, check_properties, check_texts, read_text

_SECOND_MAX = 2**32 - 1
_FROM_CLIENTS = frozenset({1, 3, 4, 6, 8, 10, 12, 14})


class Codec5:
    """MQTT 5; see `packets.Codec`.

    Args:
        max_packet: Longest packet in bytes.
    """

    version = "5"

    def __init__(self, max_packet: int) -> None:
        self._max_packet = max_packet

    def read(self, data: memoryview) -> tuple[Packet, int] | None:
        """Return the first packet and its length; see `packets.Codec.read`."""
        found = frame(data, self._max_packet)
        if found is None:
            return None
        head, (at, total) = data[0], found
        if head >> 4 == 3:
            return _publish(head, data[:total], at), total
        if head >> 4 not in _FROM_CLIENTS:
            code = PROTOCOL_ERROR if head >> 4 else MALFORMED
            raise Broken(code, f"a packet of type {head >> 4}, which no client sends here")
        check_texts(head >> 4, data[at:total])
        return _translated(_read(data[:total])), total

    def welcome(self, terms: Welcome) -> bytes:
        """Return CONNACK."""
        return mqtt5.ConnAckPacket(
            session_present=terms.session_present,
            assigned_client_id=terms.assigned_id or None,
            server_keep_alive=terms.keep_alive,
            session_expiry_interval=terms.expiry_s,
            receive_max=terms.receive_max,
            max_packet_size=terms.max_packet,
            topic_alias_max=terms.alias_max,
            wildcard_subscription_available=True,
            subscription_id_available=False,
            shared_subscription_available=False,
        ).write()

    def refuse(self, code: int, detail: str) -> bytes:
        """Return CONNACK with the reason."""
        # CONNACK has no word for ending, only for not being there (section 3.2.2.2)
        reason = mqtt5.ConnAckReasonCode(UNAVAILABLE if code == SHUTTING_DOWN else code)
        return mqtt5.ConnAckPacket(reason_code=reason, reason_str=detail or None).write()

    def puback(self, packet_id: int, code: int = SUCCESS) -> bytes:
        """Return PUBACK."""
        return _acknowledgement(0x40, packet_id, code)

    def pubrec(self, packet_id: int, code: int = SUCCESS) -> bytes:
        """Return PUBREC."""
        return _acknowledgement(0x50, packet_id, code)

    def pubcomp(self, packet_id: int, code: int = SUCCESS) -> bytes:
        """Return PUBCOMP."""
        return _acknowledgement(0x70, packet_id, code)

    def suback(self, packet_id: int, codes: list[int]) -> bytes:
        """Return SUBACK."""
        return mqtt5.SubAckPacket(packet_id, [mqtt5.SubAckReasonCode(c) for c in codes]).write()

    def unsuback(self, packet_id: int, codes: list[int]) -> bytes:
        """Return UNSUBACK."""
        reasons = [mqtt5.UnsubAckReasonCode(code) for code in codes]
        return mqtt5.UnsubAckPacket(packet_id, reasons).write()

    def pingresp(self) -> bytes:
        """Return PINGRESP."""
        return b"\xd0\x00"

    def goodbye(self, code: int, detail: str) -> bytes:
        """Return DISCONNECT."""
        reason = mqtt5.DisconnectReasonCode(code)
        return mqtt5.DisconnectPacket(reason_code=reason, reason_str=detail or None).write()

    def publish(self, topic: str, payload: bytes, packet_id: int, expiry_s: float | None) -> bytes:
        """Return PUBLISH."""
        expiry = None if expiry_s is None else min(max(1, int(expiry_s)), _SECOND_MAX)
        return mqtt5.PublishPacket(
            topic,
            payload,
            qos=mqtt5.QoS.AT_LEAST_ONCE if packet_id else mqtt5.QoS.AT_MOST_ONCE,
            packet_id=packet_id or None,
            message_expiry_interval=expiry,
        ).write()


def _acknowledgement(head: int, packet_id: int, code: int) -> bytes:
    """Return PUBACK, PUBREC or PUBCOMP; without a code it means success (section 3.4.2.1)."""
    if code == SUCCESS:
        return bytes((head, 2, packet_id >> 8, packet_id & 0xFF))
    return bytes((head, 3, packet_id >> 8, packet_id & 0xFF, code))


def _publish(head: int, packet: memoryview, at: int) -> Publish:
    """Read PUBLISH."""
    qos, end = head >> 1 & 3, len(packet)
    if qos == 3:
        raise Broken(MALFORMED, "QoS 3")
    if head & 8 and not qos:
        raise Broken(MALFORMED, "DUP with QoS 0")
    start = at + 2
    stop = start + int.from_bytes(packet[at:start], "big")
    topic = read_text(packet[start:stop]) if stop <= end else ""
    packet_id, after = 0, stop
    if qos:
        after += 2
        packet_id = int.from_bytes(packet[stop:after], "big")
    if after >= end:
        raise Broken(MALFORMED, "a PUBLISH that ends within a field")
    if qos and not packet_id:
        raise Broken(PROTOCOL_ERROR, "packet id 0")
    if packet[after] == 0:
        return Publish(topic, bytes(packet[after + 1 :]), qos, bool(head & 8), packet_id)
    check_properties(PUBLISH, packet, after)
    found = _read(packet)
    assert isinstance(found, mqtt5.PublishPacket)
    if found.subscription_ids:
        raise Broken(PROTOCOL_ERROR, "a subscription identifier from a client")
    return Publish(topic, found.payload, qos, bool(head & 8), packet_id, found.topic_alias or 0)


def _read(packet: memoryview) -> mqtt5.Packet:
    try:
        return mqtt5.read(packet)[0]
    except (IndexError, ValueError) as exc:
        raise Broken(MALFORMED, str(exc)) from exc


def _translated(packet: mqtt5.Packet) -> Packet:
    match packet:
        case mqtt5.ConnectPacket():
            return _connect(packet)
        case mqtt5.SubscribePacket():
            filters = tuple((each.pattern, int(each.max_qos)) for each in packet.topic_filters)
            if not filters or not packet.packet_id:
                raise Broken(PROTOCOL_ERROR, "SUBSCRIBE without a topic filter or packet id")
            if packet.subscription_id is not None:
                raise Broken(NO_SUBSCRIPTION_IDS, "subscription identifiers are not kept here")
            return Subscribe(packet.packet_id, filters)
        case mqtt5.UnsubscribePacket():
            if not packet.patterns or not packet.packet_id:
                raise Broken(PROTOCOL_ERROR, "UNSUBSCRIBE without a topic filter or packet id")
            return Unsubscribe(packet.packet_id, tuple(packet.patterns))
        case mqtt5.PubRelPacket():
            return Release(packet.packet_id)
        case mqtt5.PubAckPacket():
            return Confirm(packet.packet_id, int(packet.reason_code))
        case mqtt5.PingReqPacket():
            return Ping()
        case mqtt5.DisconnectPacket():
            return Disconnect(int(packet.reason_code), packet.session_expiry_interval)
        case _:
            raise AssertionError(f"{type(packet).__name__} was turned away before")


def _connect(packet: mqtt5.ConnectPacket) -> Connect:
    will = packet.will
    return Connect(
        packet.client_id,
        packet.clean_start,
        packet.keep_alive,
        packet.session_expiry_interval,
        packet.username,
        packet.password,
        None if will is None else Will(will.topic, will.payload or b"", will.will_delay_interval),
        packet.receive_max,
        packet.max_packet_size,
        packet.authentication_method,
    )
