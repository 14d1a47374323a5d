"""MQTT 3.1.1 from the server's side: bytes to packets and back. Pure.

The numbers in brackets are the conformance statements of the OASIS standard of 2014.
"""

from __future__ import annotations

import struct

from edge_agent.sources.listen.packets import (
    BAD_CLIENT_ID,
    BAD_LOGIN,
    BUSY,
    MALFORMED,
    NOT_AUTHORIZED,
    PROTOCOL_ERROR,
    QUOTA_EXCEEDED,
    SHUTTING_DOWN,
    SUCCESS,
    UNSUPPORTED_VERSION,
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
from edge_agent.sources.listen.policy import wrong_filter, wrong_topic

_FOREVER = 0xFFFFFFFF
_ACK = struct.Struct(">BBH")
_UNAVAILABLE = dict.fromkeys((BUSY, SHUTTING_DOWN, QUOTA_EXCEEDED), 3)
_CONNACK = {
    UNSUPPORTED_VERSION: 1,
    BAD_CLIENT_ID: 2,
    **_UNAVAILABLE,
    BAD_LOGIN: 4,
    NOT_AUTHORIZED: 5,
}
_FAILED = 0x80


class _Body:
    """The variable part of one packet, read from front to back."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def byte(self) -> int:
        return self.take(1)[0]

    def word(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def take(self, size: int) -> memoryview:
        if size > self.left:
            raise Broken(MALFORMED, "a packet that ends within a field")
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        return bytes(self.take(self.left))

    def blob(self) -> bytes:
        return bytes(self.take(self.word()))

    def text(self) -> str:
        raw = self.blob()
        try:
            found = raw.decode()
        except UnicodeDecodeError as exc:
            raise Broken(MALFORMED, "text that is not UTF-8") from exc  # [MQTT-1.5.3-1]
        if "\0" in found:
            raise Broken(MALFORMED, "text with NUL")  # [MQTT-1.5.3-2]
        return found

    def end(self) -> None:
        if self.left:
            raise Broken(MALFORMED, "a packet that goes on after its end")


class Codec311:
    """MQTT 3.1.1; see `packets.Codec`.

    Args:
        max_packet: Longest packet in bytes.
    """

    version = "3.1.1"

    def __init__(self, max_packet: int) -> None:
        self._max_packet = max_packet

    def read(self, data: memoryview) -> tuple[Packet, int] | None:
        """Return the first packet and its length; see `packets.Codec.read`."""
        found = frame(data, self._max_packet)
        if found is None:
            return None
        head, (at, total) = data[0], found
        body = _Body(data[at:total])
        kind, flags = head >> 4, head & 0x0F
        if kind == 3:
            return _publish(flags, body), total
        if flags != (2 if kind in (6, 8, 10) else 0):  # [MQTT-2.2.2-2]
            raise Broken(MALFORMED, f"reserved flags {flags:04b} in a packet of type {kind}")
        packet = _control(kind, body)
        body.end()
        return packet, total

    def welcome(self, terms: Welcome) -> bytes:
        """Return CONNACK."""
        return bytes((0x20, 2, int(terms.session_present), 0))

    def refuse(self, code: int, detail: str) -> bytes:
        """Return CONNACK with one of the five return codes.

        What none of them says is no CONNACK at all [MQTT-3.2.2-6], as for a CONNECT that is not
        well formed [MQTT-3.1.4-1].
        """
        del detail
        told = _CONNACK.get(code)
        return b"" if told is None else bytes((0x20, 2, 0, told))

    def puback(self, packet_id: int, code: int = SUCCESS) -> bytes:
        """Return PUBACK; it can only say yes, so for a no there is none [MQTT-3.3.5-2]."""
        return b"" if code >= _FAILED else _ACK.pack(0x40, 2, packet_id)

    def pubrec(self, packet_id: int, code: int = SUCCESS) -> bytes:
        """Return PUBREC; likewise."""
        return b"" if code >= _FAILED else _ACK.pack(0x50, 2, packet_id)

    def pubcomp(self, packet_id: int, code: int = SUCCESS) -> bytes:
        """Return PUBCOMP; an unknown packet id is answered all the same [MQTT-4.3.3-2]."""
        del code
        return _ACK.pack(0x70, 2, packet_id)

    def suback(self, packet_id: int, codes: list[int]) -> bytes:
        """Return SUBACK; every refusal is 0x80."""
        told = bytes(min(code, _FAILED) for code in codes)
        return b"\x90" + _length(2 + len(told)) + packet_id.to_bytes(2, "big") + told

    def unsuback(self, packet_id: int, codes: list[int]) -> bytes:
        """Return UNSUBACK."""
        del codes
        return _ACK.pack(0xB0, 2, packet_id)

    def pingresp(self) -> bytes:
        """Return PINGRESP."""
        return b"\xd0\x00"

    def goodbye(self, code: int, detail: str) -> bytes:
        """Return nothing: a server of this version just closes."""
        del code, detail
        return b""

    def publish(self, topic: str, payload: bytes, packet_id: int, expiry_s: float | None) -> bytes:
        """Return PUBLISH; this version knows no expiry."""
        del expiry_s
        name = topic.encode()
        place = packet_id.to_bytes(2, "big") if packet_id else b""
        body = len(name).to_bytes(2, "big") + name + place + payload
        return (b"\x32" if packet_id else b"\x30") + _length(len(body)) + body


def _length(size: int) -> bytes:
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def _publish(flags: int, body: _Body) -> Publish:
    qos = flags >> 1 & 3
    if qos == 3:  # [MQTT-3.3.1-4]
        raise Broken(MALFORMED, "QoS 3")
    if flags & 8 and not qos:  # [MQTT-3.3.1-2]
        raise Broken(PROTOCOL_ERROR, "DUP with QoS 0")
    topic = body.text()
    packet_id = _packet_id(body) if qos else 0
    return Publish(topic, body.rest(), qos, bool(flags & 8), packet_id)


def _control(kind: int, body: _Body) -> Packet:
    match kind:
        case 1:
            return _connect(body)
        case 4:
            return Confirm(_packet_id(body))
        case 6:
            return Release(_packet_id(body))
        case 8:
            return _subscribe(body)
        case 10:
            return _unsubscribe(body)
        case 12:
            return Ping()
        case 14:
            return Disconnect()
        case _:
            raise Broken(PROTOCOL_ERROR, f"a packet of type {kind}, which no client sends here")


def _packet_id(body: _Body) -> int:
    found = body.word()
    if not found:  # [MQTT-2.3.1-1]
        raise Broken(PROTOCOL_ERROR, "packet id 0")
    return found


def _connect(body: _Body) -> Connect:
    body.blob()  # name and level were read by whoever chose this codec
    body.byte()
    flags = body.byte()
    if flags & 1:  # [MQTT-3.1.2-3]
        raise Broken(MALFORMED, "the reserved flag of CONNECT")
    keep_alive, client_id = body.word(), body.text()
    will, clean = None, bool(flags & 2)
    if flags & 4:
        if flags & 0x18 == 0x18:  # [MQTT-3.1.2-14]
            raise Broken(MALFORMED, "a Will of QoS 3")
        will = Will(body.text(), body.blob())
        if why := wrong_topic(will.topic):  # [MQTT-4.7.1-1], [MQTT-4.7.3-1]
            raise Broken(MALFORMED, f"a Will to {why}")
    elif flags & 0x38:  # [MQTT-3.1.2-11, -13, -15]
        raise Broken(MALFORMED, "flags of a Will without a Will")
    if flags & 0x40 and not flags & 0x80:  # [MQTT-3.1.2-22]
        raise Broken(MALFORMED, "a password without a user name")
    username = body.text() if flags & 0x80 else None
    password = body.blob() if flags & 0x40 else None
    expiry = 0 if clean else _FOREVER
    return Connect(client_id, clean, keep_alive, expiry, username, password, will)


def _filter(body: _Body) -> str:
    pattern = body.text()
    if why := wrong_filter(pattern):  # [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.3-1]
        raise Broken(MALFORMED, f"topic filter {pattern!r}: {why}")
    return pattern


def _subscribe(body: _Body) -> Subscribe:
    packet_id = _packet_id(body)
    filters = []
    while body.left:
        pattern, qos = _filter(body), body.byte()
        if qos > 2:  # [MQTT-3.8.3-4]
            raise Broken(MALFORMED, f"a subscription of QoS {qos}")
        filters.append((pattern, qos))
    if not filters:  # [MQTT-3.8.3-3]
        raise Broken(PROTOCOL_ERROR, "SUBSCRIBE without a topic filter")
    return Subscribe(packet_id, tuple(filters))


def _unsubscribe(body: _Body) -> Unsubscribe:
    packet_id = _packet_id(body)
    patterns = []
    while body.left:
        patterns.append(_filter(body))
    if not patterns:  # [MQTT-3.10.3-2]
        raise Broken(PROTOCOL_ERROR, "UNSUBSCRIBE without a topic filter")
    return Unsubscribe(packet_id, tuple(patterns))
