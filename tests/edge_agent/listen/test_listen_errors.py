"""Malformed packets and protocol errors of MQTT 5 each get the code that the specification names.

Malformed (0x81) is what cannot be: reserved bits, a property without a place in its packet (section
2.2.2.2). A protocol error (0x82) is what could be read and must not be said.
"""

from __future__ import annotations

import pytest

from tests.edge_agent.listen.conftest import Talk
from tests.edge_agent.listen.test_listen_protocol import V5, packet

WILL = b"\0\x01t\0\x01x"


def connect(flags: int, properties: bytes = b"", rest: bytes = b"\0\x01a") -> bytes:
    head = b"\0\x04MQTT\x05" + bytes((flags,)) + b"\0\x3c" + bytes((len(properties),))
    return packet(0x10, head + properties + rest)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (connect(0x03), "81"),  # the reserved flag [MQTT-3.1.2-3]
        (connect(0x1E, rest=b"\0\x01a\0" + WILL), "81"),  # a Will of QoS 3 [MQTT-3.1.2-12]
        (connect(0x0A), "81"),  # QoS of no Will [MQTT-3.1.2-11]
        (connect(0x22), "81"),  # Retain of no Will [MQTT-3.1.2-13]
        (connect(0x02, rest=b"\0\x01aXX"), "81"),  # more than there is
        (connect(0x02, b"\x23\0\x01"), "81"),  # a property of PUBLISH
        (connect(0x02, b"\x7f\x01"), "81"),  # a property that there is not
        (connect(0x02, b"\x11\0\0\0"), "81"),  # properties that end within one
        (connect(0x02, b"\x11\0\0\0\x01\x11\0\0\0\x01"), "82"),  # Session Expiry twice, 3.1.2.11.2
        (connect(0x02, b"\x21\0\0"), "82"),  # Receive Maximum 0, 3.1.2.11.3
        (connect(0x02, b"\x27\0\0\0\0"), "82"),  # Maximum Packet Size 0, 3.1.2.11.4
        (connect(0x02, b"\x19\x02"), "82"),  # Request Response Information 2, 3.1.2.11.6
        (connect(0x02, b"\x17\x02"), "82"),  # Request Problem Information 2, 3.1.2.11.7
        (connect(0x02, b"\x16\0\x01x"), "82"),  # Authentication Data without Method, 3.1.2.11.10
        (connect(0x06, rest=b"\0\x01a\x02\x01\x02" + WILL), "82"),  # Payload Format 2
        (connect(0x06, rest=b"\0\x01a\x03\x23\0\x01" + WILL), "81"),  # an alias in a Will
    ],
)
def test_what_is_wrong_with_a_connect_is_told_in_connack(client, said: bytes, reason: str) -> None:
    talk: Talk = client()
    answer = talk.say(said)
    assert (answer[:1].hex(), answer[3:4].hex(), talk.ended) == ("20", reason, True)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (packet(0x30, b"\0\x03t/a\x06\x23\0\x01\x23\0\x02x"), "82"),  # Topic Alias twice
        (packet(0x30, b"\0\x03t/a\x05\x01\x00\x23\0\0x"), "94"),  # Topic Alias 0, not the first
        (packet(0x30, b"\0\x03t/a\x0a\x02\0\0\0\x01\x02\0\0\0\x01x"), "82"),  # Expiry twice
        (packet(0x30, b"\0\x03t/a\x02\x01\x02x"), "82"),  # Payload Format Indicator 2
        (packet(0x30, b"\0\x03t/a\x06\x08\0\x03a/#x"), "82"),  # [MQTT-3.3.2-14]
        (packet(0x30, b"\0\x03t/a\x02\x0b\x01x"), "82"),  # [MQTT-3.3.4-6]
        (packet(0x30, b"\0\x03t/a\x02\x0b\x00x"), "82"),  # Subscription Identifier 0
        (packet(0x30, b"\0\x03t/a\x05\x11\0\0\0\x01x"), "81"),  # Session Expiry in PUBLISH
        (packet(0x82, b"\0\x01\0\0\x05cmd/a\xc0"), "81"),  # [MQTT-3.8.3-5]
        (packet(0x82, b"\0\x01\0\0\x05cmd/a\x03"), "82"),  # QoS 3, 3.8.3.1
        (packet(0x82, b"\0\x01\0\0\x05cmd/a\x30"), "82"),  # Retain Handling 3, 3.8.3.1
        (packet(0x82, b"\0\x01\0\0\x0e$share/g/cmd/a\x05"), "82"),  # [MQTT-3.8.3-4]
        (packet(0x82, b"\0\0\0\0\x05cmd/a\x01"), "82"),  # packet id 0 [MQTT-2.2.1-3]
        (packet(0x82, b"\0\x01\0\0\x05cmd/a"), "81"),  # no options
        (packet(0xA0, b"\0\x01\0\0\x05cmd/a"), "81"),  # flags of UNSUBSCRIBE [MQTT-3.10.1-1]
        (packet(0xA2, b"\0\x01\x02\x0b\x01\0\x05cmd/a"), "81"),  # a property of SUBSCRIBE
        (packet(0x60, b"\0\x01"), "81"),  # flags of PUBREL [MQTT-3.6.1-1]
        (packet(0x42, b"\0\x01"), "81"),  # flags of PUBACK
        (packet(0xC1, b""), "81"),  # flags of PINGREQ
        (packet(0xC0, b"x"), "81"),  # a PINGREQ that says more
        (packet(0xE1, b""), "81"),  # flags of DISCONNECT [MQTT-3.14.1-1]
        (packet(0xE0, b"\x55"), "81"),  # a reason that there is not
        (packet(0xE0, b"\x00\x05\x21\0\0\0\x01"), "81"),  # Receive Maximum in DISCONNECT
        (packet(0x00, b""), "81"),  # packet type 0
        (b"\xc0\xff\xff\xff\xff\x01", "81"),  # a length of five bytes, 1.5.5
        (packet(0x90, b"\0\x01\0\0"), "82"),  # SUBACK from a client
        (packet(0xD0, b""), "82"),  # PINGRESP from a client
    ],
)
def test_what_is_wrong_later_is_told_in_disconnect(client, said: bytes, reason: str) -> None:
    talk: Talk = client()
    talk.say(V5)
    answer = talk.say(said)
    assert (answer[:1].hex(), answer[2:3].hex(), talk.ended) == ("e0", reason, True)


def test_properties_that_may_be_there_do_no_harm(client) -> None:
    talk: Talk = client()
    talk.say(connect(0x02, b"\x17\x01\x19\x00\x21\0\x0a\x26\0\x01k\0\x01v\x26\0\x01k\0\x01w"))
    said = b"\0\x03t/a\x16\x01\x01\x02\0\0\0\x0a\x03\0\x01j\x08\0\x01r\x26\0\x01k\0\x01v21"
    talk.say(packet(0x30, said))
    assert (talk.stored, talk.ended) == ([("t/a", b"21")], False)
