"""The MQTT 5.0 a subscriber speaks, as bytes in and bytes out. No I/O, no clock.

The one file that imports the `mqtt5` codec.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import mqtt5

from edge_agent.arrival import Arrival
from edge_agent.downlink import Downlink, Undeliverable
from edge_agent.sources.commit_line import Load
from edge_agent.sources.redelivery import Redelivery, fingerprint
from edge_agent.sources.settings import MqttSettings
from edge_agent.sources.terms import Terms, connect_refused, said_goodbye
from gateway_core.errors import Unavailable

PINGREQ = mqtt5.PingReqPacket().write()
GOODBYE = mqtt5.DisconnectPacket().write()
FILTERS_A_PACKET = 100

_PUBLISH, _PUBACK, _PUBREC, _PUBCOMP = 0x30, 0x40020000, 0x50020000, 0x70020000
_WORD = struct.Struct(">I")
_WORD_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Granted:
    """The broker's answer to SUBSCRIBE: one reason code for each filter, below 128 the QoS."""

    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The broker's answer to UNSUBSCRIBE."""


Answer = Terms | Granted | Withdrawn


def connect(settings: MqttSettings, client_id: str, password: bytes | None) -> bytes:
    """Return the CONNECT packet: persistent session, no topic aliases, limits announced."""
    return mqtt5.ConnectPacket(
        client_id,
        username=settings.username,
        password=password,
        clean_start=settings.session_expiry == 0,
        keep_alive=round(settings.keep_alive),
        session_expiry_interval=round(settings.session_expiry),
        receive_max=settings.receive_maximum,
        topic_alias_max=0,
        max_packet_size=settings.max_packet,
    ).write()


def subscribe(filters: Sequence[str], qos: int) -> list[bytes]:
    """Return SUBSCRIBE packets. Retained messages come only when a subscription is new."""
    return [
        mqtt5.SubscribePacket(
            1 + start // FILTERS_A_PACKET,
            [
                mqtt5.TopicFilter(
                    each,
                    max_qos=mqtt5.QoS(qos),
                    retain_as_published=True,
                    retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
                )
                for each in filters[start : start + FILTERS_A_PACKET]
            ],
        ).write()
        for start in range(0, len(filters), FILTERS_A_PACKET)
    ]


def unsubscribe(filters: Sequence[str]) -> bytes:
    """Return an UNSUBSCRIBE packet."""
    return mqtt5.UnsubscribePacket(1, list(filters)).write()


def publish(downlink: Downlink, packet_id: int) -> bytes:
    """Return a PUBLISH packet of QoS 1.

    Raises:
        Undeliverable: No packet can hold it.
    """
    expiry = downlink.expiry_s
    try:
        return mqtt5.PublishPacket(
            downlink.address,
            downlink.payload,
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            packet_id=packet_id,
            message_expiry_interval=None if expiry is None else min(max(1, int(expiry)), _WORD_MAX),
        ).write()
    except (ValueError, OverflowError) as exc:
        raise Undeliverable("too_large", str(exc)) from exc


def acknowledge(words: Sequence[int]) -> bytes:
    """Return PUBACK and PUBREC packets: a success without properties is four bytes of each."""
    return struct.pack(f">{len(words)}I", *words)


class Session5:
    """Reads what the broker sends into loads, and says what else it said.

    Args:
        source: Name of the source, for the arrivals.
        redelivery: The memory of this session.
        max_packet: Longest packet to take in, in bytes.

    Attributes:
        replies: Bytes to send at once; the caller takes them.
        answers: What the broker answered; the caller takes them.
        confirmed: Packet id and reason code of each PUBACK; the caller takes them.
    """

    def __init__(self, source: str, redelivery: Redelivery, max_packet: int) -> None:
        self.replies: list[bytes] = []
        self.answers: list[Answer] = []
        self.confirmed: list[tuple[int, int]] = []
        self._source = source
        self._redelivery = redelivery
        self._max_packet = max_packet

    def read(self, data: memoryview, load: Load[int, int], received: int) -> int:
        """Read whole packets; return how many bytes they took.

        Args:
            data: Bytes in the order of receipt; the rest comes again with more behind it.
            load: Gets arrivals, acknowledgements and marks.
            received: Now, in nanoseconds since 1970.

        Raises:
            Unavailable: The broker closes or breaks the protocol; send `replies` and close.
        """
        pos, end = 0, len(data)
        read, source, recognises = mqtt5.read, self._source, self._redelivery.recognises
        arrivals, words, marks = load.arrivals, load.words, load.marks
        packet_id: int | None
        while pos < end:
            head = data[pos]
            try:
                packet, used = read(data[pos:])
            except BaseException as exc:  # noqa: BLE001  # judged in the next line
                _reraise_unless_unreadable(exc)
                used = self._complete(data[pos:])
                if not used:
                    break
                topic, packet_id, payload = self._salvaged(data[pos : pos + used], exc)
            else:
                if not isinstance(packet, mqtt5.PublishPacket):
                    self._control(packet)
                    pos += used
                    continue
                topic, payload, packet_id = packet.topic, packet.payload, packet.packet_id
                if not topic:
                    raise self._broken("a topic alias that was never granted", 0x94)
            pos += used
            if head & 0x06:
                if not packet_id:
                    raise self._broken("a packet id of 0", 0x82)
                mark = fingerprint(packet_id, topic, payload)
                words.append((_PUBACK if head & 0x02 else _PUBREC) | packet_id)
                if head & 0x08 and recognises(mark, marks):
                    load.again += 1
                    continue
                marks.append(mark)
            arrivals.append(Arrival(source, topic, payload, received))
        load.size += pos
        return pos

    def _control(self, packet: mqtt5.Packet) -> None:
        if isinstance(packet, mqtt5.PubRelPacket):
            self.replies.append(_WORD.pack(_PUBCOMP | packet.packet_id))
        elif isinstance(packet, mqtt5.PubAckPacket):
            self.confirmed.append((packet.packet_id, int(packet.reason_code)))
        elif isinstance(packet, mqtt5.ConnAckPacket):
            if (
                int(packet.reason_code) >= 0x80
            ):  # the codec's codes are no IntEnum, whatever it says
                raise connect_refused(int(packet.reason_code), packet.reason_str)
            self.answers.append(_terms(packet))
        elif isinstance(packet, mqtt5.SubAckPacket):
            self.answers.append(Granted(tuple(int(code) for code in packet.reason_codes)))
        elif isinstance(packet, mqtt5.UnsubAckPacket):
            self.answers.append(Withdrawn())
        elif isinstance(packet, mqtt5.DisconnectPacket):
            raise said_goodbye(int(packet.reason_code), packet.reason_str)
        elif not isinstance(packet, mqtt5.PingRespPacket):
            raise self._broken(f"a {type(packet).__name__}, which is none of its business", 0x82)

    def _complete(self, data: memoryview) -> int:
        """Return the length of the first packet if all of it is there, else 0."""
        length = shift = 0
        for at in range(1, min(len(data), 5)):
            length |= (data[at] & 0x7F) << shift
            shift += 7
            if not data[at] & 0x80:
                total = 1 + at + length
                if total > self._max_packet:
                    raise self._broken(
                        f"a packet of {total} bytes, more than the max_packet of "
                        f"{self._max_packet} that was announced; raise it, or lower the broker's",
                        0x95,
                    )
                return total if total <= len(data) else 0
        if len(data) >= 5:
            raise self._broken("a packet without a length", 0x81)
        return 0

    def _salvaged(self, data: memoryview, why: BaseException) -> tuple[str, int, bytes]:
        """Return topic, packet id and the rest of a PUBLISH that the codec cannot read.

        It would come again at every connection and keep everything behind it from coming, so
        it is handed on as it is: the pipeline refuses it, keeps it raw, and it is acknowledged.
        """
        head = data[0]
        if head & 0xF0 != _PUBLISH or head & 0x06 == 0x06:
            raise self._broken(f"what cannot be read: {why}", 0x81)
        body = bytes(data[1:])
        while body[0] & 0x80:
            body = body[1:]
        size = int.from_bytes(body[1:3], "big")
        topic, rest = body[3 : 3 + size], body[3 + size :]
        packet_id = 0
        if head & 0x06:
            packet_id, rest = int.from_bytes(rest[:2], "big"), rest[2:]
        return topic.decode("utf-8", "replace") or "\ufffd", packet_id, rest

    def _broken(self, what: str, code: int) -> Unavailable:
        reason = mqtt5.DisconnectReasonCode(code)
        self.replies.append(mqtt5.DisconnectPacket(reason_code=reason).write())
        return Unavailable(f"the broker sent {what}")


def _reraise_unless_unreadable(exc: BaseException) -> None:
    """Let pass what says that bytes cannot be read: two errors, and the codec's own panic.

    The Rust code panics at text that is not UTF-8, and its PanicException is no Exception.
    """
    panicked = type(exc).__module__ == "pyo3_runtime"
    if not isinstance(exc, IndexError | ValueError) and not panicked:
        raise exc


def _terms(packet: mqtt5.ConnAckPacket) -> Terms:
    return Terms(
        session_present=packet.session_present,
        keep_alive=packet.server_keep_alive,
        session_expiry=packet.session_expiry_interval,
        receive_maximum=packet.receive_max,
        qos=int(packet.max_qos),
        wildcards=packet.wildcard_subscription_available,
        shared=packet.shared_subscription_available,
        max_packet=packet.max_packet_size,
    )
