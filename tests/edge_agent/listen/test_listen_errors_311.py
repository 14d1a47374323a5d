"""Every error of MQTT 3.1.1 that a client can commit has the answer that the standard names.

The names in brackets are the normative statements of the OASIS standard of 2014 (appendix B). What
it says of CONNECT that is not well formed is a close without CONNACK [MQTT-3.1.4-1]; of everything
after it, a close [MQTT-4.8.0-1], unless a statement says otherwise. A server of this version has
no word to say before it closes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.sources.listen.users import hash_key
from tests.edge_agent.listen.conftest import NOW, Talk, exchange, listening
from tests.fakes.ingest import FakeIngest

CONNECT = "100d 0004 4d515454 04 02 003c 0001 61"
LASTING = "100d 0004 4d515454 04 00 003c 0001 61"
WELCOME = "20020000"


def said(*packets: str) -> bytes:
    return bytes.fromhex("".join(packets))


@pytest.mark.parametrize(
    ("statement", "packet", "answer"),
    [
        ("3.1.0-1", "3004 0001 74 78", ""),  # PUBLISH before CONNECT
        ("3.1.0-1", "c000", ""),  # PINGREQ before CONNECT
        ("3.1.0-1", "e000", ""),  # DISCONNECT before CONNECT
        ("2.2.2-2", "110d 0004 4d515454 04 02 003c 0001 61", ""),  # flags of CONNECT
        ("2.2.3", "10ffffffff7f", ""),  # a length of five bytes
        ("3.1.2-1", "100d 0004 48545450 04 02 003c 0001 61", ""),  # protocol HTTP
        ("3.1.2-1", "100d 0004 6d717474 04 02 003c 0001 61", ""),  # protocol mqtt
        ("3.1.2-1", "100d 0005 4d51545404 02 003c 0001 61", ""),  # protocol MQTT\4
        ("3.1.2-1", "1006 0004 4d515454", ""),  # no level
        ("3.1.2-2", "100d 0004 4d515454 03 02 003c 0001 61", "20020001"),  # level 3
        ("3.1.2-2", "100d 0004 4d515454 00 02 003c 0001 61", "20020001"),  # level 0
        ("3.1.2-2", "100f 0006 4d5149736470 03 02 003c 0001 61", "20020001"),  # MQTT 3.1
        ("3.1.2-2", "100d 0004 4d515454 84 02 003c 0001 61", "20020001"),  # as a bridge says 4
        ("3.1.2-3", "100d 0004 4d515454 04 03 003c 0001 61", ""),  # the reserved flag
        ("3.1.2-9", "100d 0004 4d515454 04 06 003c 0001 61", ""),  # a Will that is not there
        ("3.1.2-9", "1010 0004 4d515454 04 06 003c 0001 61 0001 74", ""),  # without a message
        ("3.1.2-11", "1013 0004 4d515454 04 02 003c 0001 61 0001 74 0001 78", ""),  # no flag
        ("3.1.2-13", "100d 0004 4d515454 04 0a 003c 0001 61", ""),  # QoS 1 of no Will
        ("3.1.2-13", "100d 0004 4d515454 04 12 003c 0001 61", ""),  # QoS 2 of no Will
        ("3.1.2-14", "1013 0004 4d515454 04 1e 003c 0001 61 0001 74 0001 78", ""),  # QoS 3
        ("3.1.2-15", "100d 0004 4d515454 04 22 003c 0001 61", ""),  # Retain of no Will
        ("3.1.2-18", "1010 0004 4d515454 04 02 003c 0001 61 0001 75", ""),  # a name, no flag
        ("3.1.2-19", "100d 0004 4d515454 04 82 003c 0001 61", ""),  # the flag, no name
        ("3.1.2-20", "1013 0004 4d515454 04 82 003c 0001 61 0001 75 0001 70", ""),  # no flag
        ("3.1.2-21", "1010 0004 4d515454 04 c2 003c 0001 61 0001 75", ""),  # the flag alone
        ("3.1.2-22", "1010 0004 4d515454 04 42 003c 0001 61 0001 70", ""),  # without a name
        ("3.1.3-1", "100d 0004 4d515454 04 02 003c 0002 61", ""),  # ends within the client id
        ("3.1.3-3", "100a 0004 4d515454 04 02 003c", ""),  # no client id
        ("3.1.3-4", "100d 0004 4d515454 04 02 003c 0001 ff", ""),  # a client id of no UTF-8
        ("1.5.3-1", "100f 0004 4d515454 04 02 003c 0003 eda080", ""),  # half a surrogate pair
        ("1.5.3-1", "100e 0004 4d515454 04 02 003c 0002 c0af", ""),  # longer than it must be
        ("1.5.3-2", "100e 0004 4d515454 04 02 003c 0002 6100", ""),  # a client id with NUL
        ("3.1.3-8", "100c 0004 4d515454 04 00 003c 0000", "20020002"),  # no id, session kept
        ("3.1.3-10", "1013 0004 4d515454 04 06 003c 0001 61 0001 ff 0001 78", ""),  # Will Topic
        ("3.1.3-11", "1010 0004 4d515454 04 82 003c 0001 61 0001 ff", ""),  # a name of no UTF-8
        ("4.7.1-1", "1013 0004 4d515454 04 06 003c 0001 61 0001 2b 0001 78", ""),  # Will to +
        ("4.7.3-1", "1012 0004 4d515454 04 06 003c 0001 61 0000 0001 78", ""),  # Will to nowhere
        ("3.1.4-1", "100e 0004 4d515454 04 02 003c 0001 61 58", ""),  # more than there is
        ("4.7.2", "1017 0004 4d515454 04 06 003c 0001 61 0005 245359532f 0001 78", "20020005"),
    ],
)
def test_a_connect_is_answered_by_its_code_or_not_at_all(
    client, statement: str, packet: str, answer: str
) -> None:
    talk: Talk = client()
    assert (talk.say(said(packet)).hex(), talk.ended) == (answer, True), statement


@pytest.mark.parametrize(
    ("statement", "packet"),
    [
        ("3.1.0-2", CONNECT),  # a second CONNECT
        ("1.5.3-1", "3006 0003 eda080 78"),  # a topic with half a surrogate pair
        ("1.5.3-1", "3007 0004 f4908080 78"),  # a topic with what lies behind U+10FFFF
        ("1.5.3-2", "3005 0002 7400 78"),  # a topic with NUL
        ("2.2", "0000"),  # packet type 0
        ("2.2", "20020000"),  # CONNACK from a client
        ("2.2", "50020001"),  # PUBREC of QoS 2, which it is never sent
        ("2.2", "70020001"),  # PUBCOMP likewise
        ("2.2", "9003000100"),  # SUBACK
        ("2.2", "b0020001"),  # UNSUBACK
        ("2.2", "d000"),  # PINGRESP
        ("2.2", "f000"),  # packet type 15
        ("2.2.2-2", "4102 0001"),  # flags of PUBACK
        ("2.2.2-2", "c100"),  # flags of PINGREQ
        ("2.2.3", "30ffffffff01"),  # a length of five bytes
        ("2.2.3", "32ff7f"),  # a packet of 16 kB where 4,096 bytes are taken
        ("2.3.1-1", "3206 0001 74 0000 78"),  # packet id 0 of PUBLISH with QoS 1
        ("2.3.1-1", "3406 0001 74 0000 78"),  # with QoS 2
        ("2.3.1-1", "8206 0000 0001 61 00"),  # of SUBSCRIBE
        ("2.3.1-1", "a205 0000 0001 61"),  # of UNSUBSCRIBE
        ("2.3.1-6", "4002 0000"),  # of PUBACK
        ("2.3.1-6", "6202 0000"),  # of PUBREL
        ("2.3.1", "3203 0001 74"),  # PUBLISH of QoS 1 without a packet id
        ("2.3.1", "4001 00"),  # PUBACK with half of one
        ("3.3.1-2", "3804 0001 74 78"),  # DUP with QoS 0
        ("3.3.1-4", "3606 0001 74 0001 78"),  # QoS 3
        ("3.3.2-1", "3000"),  # no topic
        ("3.3.2-1", "3001 00"),  # half a length of one
        ("3.3.2-1", "3003 0005 74"),  # a topic that goes beyond its packet
        ("3.3.2-1", "3004 0001 ff 78"),  # a topic that is not UTF-8
        ("3.3.2-2", "3004 0001 2b 78"),  # a topic +
        ("3.3.2-2", "3006 0003 742f23 78"),  # a topic t/#
        ("3.3.2-2", "3206 0001 23 0001 78"),  # a topic #
        ("4.7.3-1", "3003 0000 78"),  # an empty topic
        ("3.3.5-2", "3206 0001 24 0001 78"),  # no right to publish to it
        ("3.4", "4003 0001 00"),  # PUBACK with a reason, as of version 5
        ("3.6.1-1", "6002 0001"),  # flags of PUBREL
        ("3.6.1-1", "6602 0001"),
        ("3.6", "6203 0001 00"),  # PUBREL with a reason, as of version 5
        ("3.8.1-1", "8006 0001 0001 61 00"),  # flags of SUBSCRIBE
        ("3.8.1-1", "8306 0001 0001 61 00"),
        ("3.8.3-1", "8206 0001 0001 ff 00"),  # a filter that is not UTF-8
        ("3.8.3-3", "8202 0001"),  # no filter
        ("3.8.3-4", "8206 0001 0001 61 03"),  # QoS 3
        ("3.8.3-4", "8206 0001 0001 61 04"),  # reserved bits
        ("3.8.3-4", "8206 0001 0001 61 80"),
        ("3.8.3", "8205 0001 0001 61"),  # a filter without QoS
        ("3.8.3", "8209 0001 0001 61 00 0001 62"),  # the second without QoS
        ("4.7.1-2", "8208 0001 0003 232f61 00"),  # the filter #/a
        ("4.7.1-2", "8207 0001 0002 6123 00"),  # the filter a#
        ("4.7.1-2", "a207 0001 0003 232f61"),  # UNSUBSCRIBE from #/a
        ("4.7.1-3", "8207 0001 0002 612b 00"),  # the filter a+
        ("4.7.1-3", "820a 0001 0005 2b612f6263 00"),  # the filter +a/bc
        ("4.7.3-1", "8205 0001 0000 00"),  # an empty filter
        ("4.7.3-1", "a204 0001 0000"),  # UNSUBSCRIBE from an empty filter
        ("3.10.1-1", "a005 0001 0001 61"),  # flags of UNSUBSCRIBE
        ("3.10.3-1", "a205 0001 0001 ff"),  # a filter that is not UTF-8
        ("3.10.3-2", "a202 0001"),  # no filter
        ("3.12", "c001 00"),  # PINGREQ that says more
        ("3.14.1-1", "e100"),  # flags of DISCONNECT
        ("3.14", "e001 00"),  # DISCONNECT with a reason, as of version 5
    ],
)
def test_a_later_error_ends_the_connection_without_a_word(
    client, statement: str, packet: str
) -> None:
    talk: Talk = client()
    talk.say(said(CONNECT))
    assert (talk.say(said(packet)), talk.ended, talk.stored) == (b"", True, []), statement


@pytest.mark.parametrize(
    ("statement", "packet", "answer"),
    [
        ("2.3.1-7", "6202 0009", "7002 0009"),  # PUBREL of what was never sent [MQTT-4.3.3-2]
        ("3.4", "4002 0009", ""),  # PUBACK likewise
        ("3.3.1-1", "3a07 0003 742f61 0009", "4002 0009"),  # DUP, never seen
        ("3.3.4-1", "3406 0001 74 0007 78", "5002 0007"),
        ("3.8.4-1", "820a 0001 0005 636d642f61 02", "9003 0001 01"),  # cmd/a, at most QoS 1
        ("3.8.4-5", "8206 0002 0001 62 00", "9003 0002 80"),  # another's
        ("3.8.4-5", "8206 0002 0001 23 00", "9003 0002 80"),  # everybody's
        ("4.7.2-1", "820b 0002 0006 245359532f61 00", "9003 0002 80"),  # $SYS/a
        ("3.8.4-4", "820e 0003 0005 636d642f61 00 0001 62 01", "9004 0003 00 80"),  # one each
        ("3.10.4-5", "a205 0004 0001 7a", "b002 0004"),  # what it never subscribed to
        ("3.10.4-6", "a208 0005 0001 7a 0001 79", "b002 0005"),  # one answer to several
        ("3.12.4-1", "c000", "d000"),
        ("3.12.4-1", "c08000", "d000"),  # a length longer than it must be is none the less one
    ],
)
def test_what_looks_like_an_error_and_is_none_is_answered(
    client, statement: str, packet: str, answer: str
) -> None:
    talk: Talk = client()
    talk.say(said(CONNECT))
    assert (talk.say(said(packet)), talk.ended) == (said(answer), False), statement


def test_u_feff_is_a_character_as_any_other(client) -> None:
    talk: Talk = client()
    talk.say(said(CONNECT, "3007 0004 efbbbf74 78"))  # [MQTT-1.5.3-3]
    assert talk.stored == [("\ufefft", b"x")]


def test_behind_a_connect_that_is_refused_nothing_is_processed(client) -> None:
    talk: Talk = client()
    refused = "100c 0004 4d515454 04 00 003c 0000"
    assert talk.say(said(refused, "3206 0001 74 0001 78")).hex() == "20020002"  # [MQTT-3.1.4-5]
    assert talk.stored == []


def test_behind_a_disconnect_nothing_is_processed(client) -> None:
    talk: Talk = client()
    talk.say(said(CONNECT, "e000", "3206 0001 74 0001 78"))  # [MQTT-3.14.4-2]
    assert (talk.stored, talk.ended) == ([], True)


def test_what_came_whole_before_an_error_is_stored_and_acknowledged(client) -> None:
    talk: Talk = client()
    answer = talk.say(said(CONNECT, "3206 0001 74 0001 78", "3606 0001 74 0002 79"))
    assert (answer.hex(), talk.stored) == (WELCOME + "40020001", [("t", b"x")])


@pytest.mark.parametrize(
    ("statement", "last", "due"),
    [
        ("3.1.2-8", "3606 0001 74 0002 79", [b"x"]),  # an error
        ("3.1.2-8", "", [b"x"]),  # the connection broke
        ("3.14.1-1", "e100", [b"x"]),  # a DISCONNECT that is none
        ("3.14.4-3", "e000", []),
    ],
)
def test_the_will_is_said_unless_the_client_said_goodbye(
    house, client, statement: str, last: str, due: list[bytes]
) -> None:
    talk: Talk = client()
    talk.say(said("1013 0004 4d515454 04 06 003c 0001 61 0001 74 0001 78", last))
    talk.leave()
    assert [will.payload for will in house.sessions.due(NOW)] == due, statement


def test_a_filter_given_again_takes_the_place_of_the_first(house, client) -> None:
    talk: Talk = client()
    talk.say(said(CONNECT, "820a 0001 0005 636d642f61 01"))
    assert talk.say(said("820a 0002 0005 636d642f61 00")).hex() == "9003000200"  # [MQTT-3.8.4-3]
    session = house.sessions.hearer("cmd/a")
    assert session is not None
    assert session.filters == {"cmd/a": 0}


def test_whether_a_session_is_there_is_told_and_a_clean_one_ends_it(client) -> None:
    answers = []
    for packet in (LASTING, LASTING, CONNECT, LASTING):  # [MQTT-3.2.2-1] to -3, [MQTT-3.1.2-6]
        talk: Talk = client()
        answers.append(talk.say(said(packet)).hex())
        talk.leave()
    assert answers == ["20020000", "20020100", "20020000", "20020000"]


@pytest.mark.parametrize(
    ("statement", "packet", "answer"),
    [
        ("3.1.4-4", "1015 0004 4d515454 04 c2 003c 0002 6431 0002 6431 0001 6b", WELCOME),
        ("3.2.2-5", "1015 0004 4d515454 04 c2 003c 0002 6431 0002 6431 0001 6c", "20020004"),
        ("3.2.2-5", "1012 0004 4d515454 04 82 003c 0002 6431 0002 6431", "20020004"),
        ("3.2.2-5", "100e 0004 4d515454 04 02 003c 0002 6431", "20020005"),  # says no name
        ("3.1.3-9", "1016 0004 4d515454 04 c2 003c 0003 643107 0002 6431 0001 6b", "20020002"),
        (
            "3.1.3-5",  # 23 letters and digits are a client id everywhere
            "102a 0004 4d515454 04 c2 003c 0017 " + "30" * 10 + "7a" * 13 + "0002 6431 0001 6b",
            WELCOME,
        ),
    ],
)
async def test_who_may_not_come_in_is_told_by_the_return_code(
    tmp_path: Path, statement: str, packet: str, answer: str
) -> None:
    users = tmp_path / "users"
    users.write_text(f"d1:{hash_key('k')}\n")
    async with listening(FakeIngest(), anonymous=False, users_file=str(users)) as source:
        told = await exchange(source, said(packet, "c000", "e000"))  # then both sides close
    assert told.hex() == answer + ("d000" if answer == WELCOME else ""), statement
