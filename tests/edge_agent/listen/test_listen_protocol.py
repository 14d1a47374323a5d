"""Each error that a client can make has the answer that its version's specification names."""

from __future__ import annotations

import pytest

from tests.edge_agent.listen.conftest import Talk

V311 = bytes.fromhex("100d 0004 4d515454 04 02 003c 0001 61")
V5 = bytes.fromhex("100e 0004 4d515454 05 02 003c 00 0001 61")


def packet(head: int, body: bytes) -> bytes:
    size, length = len(body), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((head, *length, size)) + body


def publish(
    version: bytes, topic: str, payload: bytes = b"x", head: int = 0x32, packet_id: int = 1
) -> bytes:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    body += packet_id.to_bytes(2, "big") if head & 6 else b""
    return packet(head, body + (b"\0" if version[8] == 5 else b"") + payload)


def test_a_connect_of_3_1_1_with_and_without_a_client_id_is_taken(client) -> None:
    assert client().say(V311).hex() == "20020000"
    assert client().say(bytes.fromhex("100c 0004 4d515454 04 02 003c 0000")).hex() == "20020000"


def test_a_connect_of_version_5_is_told_every_limit(client) -> None:
    # session expiry 0, Receive Maximum 4, packets of 4096, 16 aliases, keep alive 60; neither
    # subscription identifiers nor shared subscriptions
    answer = client().say(V5).hex()
    assert answer.startswith("20")
    for told in ("210004", "2700001000", "220010", "13003c", "2900", "2a00"):
        assert told in answer


@pytest.mark.parametrize("level", [6, 255])
def test_a_later_version_is_refused_in_the_words_of_version_5(client, level: int) -> None:
    said = bytes.fromhex("100e 0004 4d515454") + bytes((level,)) + V5[9:]
    assert client().say(said)[:4].hex()[6:] == "84"


@pytest.mark.parametrize(
    "said",
    [
        b"\x30\x03\x00\x01a",  # PUBLISH first [MQTT-3.1.0-1]
        bytes.fromhex("100d 0004 4d515454 04 03 003c 0001 61"),  # reserved flag [MQTT-3.1.2-3]
        bytes.fromhex("100d 0004 4d515454 04 42 003c 0001 61"),  # password alone [MQTT-3.1.2-22]
        bytes.fromhex("100d 0004 4d515454 04 1a 003c 0001 61"),  # flags of no Will
        bytes.fromhex("110d 0004 4d515454 04 02 003c 0001 61"),  # flags of CONNECT
        bytes.fromhex("100d 0004 48545450 04 02 003c 0001 61"),  # another protocol
        b"\x10\xff\xff\xff\xff\x7f",  # a length of five bytes
        b"\x10\xff\xff\x7f",  # a CONNECT of 2 MB
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_connect_ends_the_connection(client, said: bytes) -> None:
    talk: Talk = client()
    talk.say(said)
    assert talk.ended


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (V5, "82"),  # a second CONNECT [MQTT-3.1.0-2]
        (publish(V5, "a/b", head=0x36), "81"),  # QoS 3 [MQTT-3.3.1-4]
        (publish(V5, "a/b", head=0x38), "81"),  # DUP with QoS 0 [MQTT-3.3.1-2]
        (publish(V5, "a/+/b"), "90"),  # [MQTT-3.3.2-2]
        (publish(V5, ""), "82"),
        (publish(V5, "a", packet_id=0), "82"),  # [MQTT-2.2.1-3]
        (packet(0x32, b"\0\x01\xff\0\x01\0"), "81"),  # a topic that is not UTF-8
        (packet(0x32, b"\0\x03a\0b\0\x01\0"), "81"),  # a topic with NUL
        (packet(0x30, b"\0\x00\x03\x23\x00\x11x"), "94"),  # topic alias 17
        (packet(0x30, b"\0\x00\x03\x23\x00\x00x"), "94"),  # topic alias 0
        (packet(0x30, b"\0\x00\x03\x23\x00\x05x"), "82"),  # an alias that was never set
        (packet(0x80, b"\0\x01\0\0\x01a\0"), "81"),  # flags of SUBSCRIBE [MQTT-3.8.1-1]
        (packet(0x82, b"\0\x01\0"), "82"),  # no filter [MQTT-3.8.3-2]
        (packet(0x82, b"\0\x01\x02\x0b\x01\0\x01a\0"), "a1"),  # a subscription identifier
        (packet(0xA2, b"\0\x01\0"), "82"),
        (packet(0x20, b"\0\0\0"), "82"),  # CONNACK from a client
        (packet(0xF0, b""), "82"),  # AUTH without a method
        (packet(0xE0, b"\0\x05\x11\0\0\0\x0a"), "82"),  # a session that was to end
        (b"\x32\xff\x7f", "95"),  # a packet of 16 kB
    ],
)
def test_what_breaks_version_5_ends_with_its_reason_code(client, said: bytes, reason: str) -> None:
    talk: Talk = client()
    talk.say(V5)
    answer = talk.say(said)
    assert (talk.ended, answer[:1].hex(), answer[2:3].hex()) == (True, "e0", reason)


@pytest.mark.parametrize("version", [V311, V5])
def test_a_message_is_acknowledged_by_what_its_qos_asks_for(client, version: bytes) -> None:
    talk: Talk = client()
    talk.say(version)
    assert talk.say(publish(version, "t/a", b"0", head=0x30)) == b""
    assert talk.say(publish(version, "t/a", b"1", head=0x32, packet_id=7)).hex() == "40020007"
    assert talk.say(publish(version, "t/a", b"2", head=0x34, packet_id=8)).hex() == "50020008"
    assert talk.say(packet(0x62, b"\0\x08")).hex() == "70020008"
    assert talk.say(b"\xc0\0").hex() == "d000"
    assert talk.stored == [("t/a", b"0"), ("t/a", b"1"), ("t/a", b"2")]


@pytest.mark.parametrize("version", [V311, V5])
def test_nothing_is_acknowledged_before_the_commit(client, version: bytes) -> None:
    talk: Talk = client()
    talk.say(version)
    talk.held = True
    assert (
        talk.say(publish(version, "t/a") + publish(version, "t/a", head=0x34, packet_id=2)) == b""
    )
    talk.held = False
    assert talk.commit().hex() == "40020001" + "50020002"


def test_more_than_receive_maximum_ends_with_0x93(client) -> None:
    talk: Talk = client()
    talk.say(V5)
    talk.held = True
    for number in range(1, 5):
        assert talk.say(publish(V5, "t/a", packet_id=number)) == b""
    assert talk.say(publish(V5, "t/a", packet_id=5))[2:3].hex() == "93"


def test_a_topic_alias_stands_for_its_topic(client) -> None:
    talk: Talk = client()
    talk.say(V5)
    talk.say(packet(0x30, b"\0\x03t/a\x03\x23\x00\x05one"))
    talk.say(packet(0x30, b"\0\x00\x03\x23\x00\x05two"))
    assert talk.stored == [("t/a", b"one"), ("t/a", b"two")]


def test_a_topic_without_right_is_refused_and_the_connection_goes_on(client) -> None:
    talk: Talk = client()
    talk.say(V5)
    assert talk.say(publish(V5, "$SYS/x", packet_id=3)).hex() == "4003000387"
    assert talk.say(publish(V5, "$SYS/x", head=0x34, packet_id=4)).hex() == "5003000487"
    assert not talk.ended
    assert talk.stored == []


def test_only_a_clients_own_topics_can_be_subscribed_to(client) -> None:
    talk: Talk = client()
    talk.say(V5)  # its client id is "a"
    filters = [b"cmd/a", b"cmd/a/#", b"cmd/b", b"#", b"+/a", b"$share/g/cmd/a", b"x/#/y"]
    body = b"\0\x09\0" + b"".join(len(f).to_bytes(2, "big") + f + b"\x02" for f in filters)
    assert talk.say(packet(0x82, body)).hex() == "900a000900" + "01" + "01" + "87" * 3 + "9e" + "8f"
    assert talk.say(packet(0xA2, b"\0\x0a\0\0\x05cmd/a\0\x05cmd/z")).hex() == "b005000a000011"
