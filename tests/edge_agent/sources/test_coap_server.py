"""The promise: a CoAP request is stored once and answered after the commit, whatever is lost."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from edge_agent.sources import coap_desk
from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap import CoapSource
from edge_agent.sources.coap_message import Message, encode, uint
from edge_agent.sources.settings import CoapSettings
from gateway_core.clock import wall_ns
from gateway_core.errors import ConfigError, SpoolFull
from gateway_core.meter import Meter
from tests.fakes.coap_device import PATH, Device, heard_by, put
from tests.fakes.ingest import FakeIngest


@pytest.fixture
def ingest() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def settings() -> dict[str, object]:
    return {}


@pytest.fixture
async def device(
    ingest: FakeIngest, settings: dict[str, object], meter: Meter
) -> AsyncIterator[Device]:
    async with heard_by(ingest, meter, "[::]:0", **settings) as each:
        yield each


async def test_a_reading_is_stored_and_then_answered_2_04(device: Device, ingest) -> None:
    ingest.gate.clear()
    device.send(put(7, b'{"t":1}', options=[(12, b"\x32")]))
    await ingest.when(lambda: ingest.calls == 1)
    assert device.silent()
    ingest.gate.set()
    assert await device.receive() == Message(coap.ACK, coap.CHANGED, 7, b"\x42", [])
    (arrival,) = ingest.stored
    assert (arrival.source, arrival.via, arrival.address) == ("coap", "coap", "tg/a")
    assert (arrival.payload, arrival.content_format) == (b'{"t":1}', 50)


async def test_a_request_not_confirmable_is_answered_so_and_stored_once(
    device: Device, ingest
) -> None:
    answer = await device.ask(put(7, kind=coap.NON))
    assert (answer.kind, answer.code, answer.token) == (coap.NON, coap.CHANGED, b"\x42")
    device.send(put(7, kind=coap.NON))
    await device.ask(put(8, b"fence"))
    assert len(ingest.stored) == 2


async def test_a_device_that_wants_no_answer_gets_none(device: Device, ingest) -> None:
    device.send(put(7, kind=coap.NON, options=[(coap.NO_RESPONSE, b"\x02")]))
    assert (await device.ask(put(8))).message_id == 8
    assert device.silent()


async def test_a_slow_commit_is_acknowledged_first_and_answered_later(
    device: Device, ingest, monkeypatch
) -> None:
    monkeypatch.setattr(coap_desk, "PROMISE_AFTER_S", 0.01)
    ingest.gate.clear()
    promise = await device.ask(put(7))
    assert promise == Message(coap.ACK, coap.EMPTY, 7, b"", [])
    assert await device.ask(put(7)) == promise
    ingest.gate.set()
    answer = await device.receive()
    assert (answer.kind, answer.code, answer.token) == (coap.CON, coap.CHANGED, b"\x42")
    device.send(Message(coap.ACK, coap.EMPTY, answer.message_id))
    assert len(ingest.stored) == 1


async def test_a_separate_answer_is_repeated_until_it_is_acknowledged(
    device: Device, ingest, monkeypatch
) -> None:
    monkeypatch.setattr(coap_desk, "PROMISE_AFTER_S", 0.01)
    monkeypatch.setattr("edge_agent.sources.coap_replies.ACK_TIMEOUT_S", 0.01)
    ingest.gate.clear()
    await device.ask(put(7))
    ingest.gate.set()
    answers = [await device.raw() for _ in range(5)]  # the first and four repetitions
    assert len(set(answers)) == 1


async def test_a_full_spool_is_5_03_and_the_retransmission_is_tried_anew(
    device: Device, ingest
) -> None:
    ingest.trouble = SpoolFull("no room in this test")
    answer = await device.ask(put(7))
    assert (answer.code, answer.options) == (coap.UNAVAILABLE, [(coap.MAX_AGE, b"\x1e")])
    ingest.trouble = None
    assert (await device.ask(put(7))).code == coap.CHANGED
    assert len(ingest.stored) == 1


@pytest.mark.parametrize(
    ("rejection", "code"),
    [
        ("unknown_device", "4.04"),
        ("no_match", "4.04"),
        ("not_json", "4.00"),
        ("too_large", "4.13"),
    ],
)
async def test_a_refused_payload_is_answered_with_its_code(
    rejection: str, code: str, device: Device, ingest
) -> None:
    ingest.verdict = lambda _arrival: rejection
    answer = await device.ask(put(7))
    assert (coap.dotted(answer.code), answer.payload) == (code, rejection.encode())


async def test_blocks_become_one_reading(device: Device, ingest) -> None:
    payload = bytes(range(256)) * 5
    for number in range(20):
        block = (coap.BLOCK1, uint(number << 4 | (number < 19) << 3 | 2))
        part = payload[64 * number : 64 * number + 64]
        answer = await device.ask(put(number, part, options=[block]))
        assert answer.options == [block]
        assert answer.code == (coap.CONTINUE if number < 19 else coap.CHANGED)
    assert ingest.payloads() == [payload]


async def test_a_payload_announced_too_large_is_declined_at_its_first_block(device: Device) -> None:
    options = [(coap.BLOCK1, b"\x0a"), (coap.SIZE1, uint(65_537))]
    answer = await device.ask(put(1, b"x" * 64, options=options))
    assert (answer.code, answer.options) == (coap.TOO_LARGE, [(coap.SIZE1, uint(65_536))])


async def test_no_answer_is_more_than_three_times_its_request(device: Device, ingest) -> None:
    ingest.verdict = lambda _arrival: "a_very_long_rejection_code_that_nobody_would_want_to_read"
    requests = [
        Message(coap.CON, coap.GET, 1, b"", [(11, b".well-known"), (11, b"core")]),
        Message(coap.CON, coap.PUT, 2, b"", [], b""),
        Message(coap.CON, coap.POST, 3, b"", [(11, b"a")], b"x"),
        Message(coap.CON, coap.PUT, 4, b"", [(9, b"")], b""),
        Message(coap.CON, coap.PUT, 5, b"", [(27, b"\x0a"), (60, b"\xff\xff\xff")], b"x"),
        Message(coap.CON, coap.PUT, 6, b"", [(35, b"")], b""),
        Message(coap.CON, coap.EMPTY, 7),
    ]
    for each in requests:
        sent = device.send(each)
        assert len(await device.raw()) <= 3 * sent


async def test_a_listing_of_resources_is_not_given(device: Device) -> None:
    core = Message(coap.CON, coap.GET, 1, b"", [(11, b".well-known"), (11, b"core")])
    assert await device.ask(core) == Message(coap.ACK, coap.NOT_ALLOWED, 1, b"", [])


async def test_a_ping_is_answered_with_a_reset(device: Device) -> None:
    assert await device.ask(Message(coap.CON, coap.EMPTY, 9)) == Message(coap.RST, 0, 9, b"", [])


async def test_what_is_no_message_is_reset_or_ignored(device: Device, ingest) -> None:
    assert await device.ask(b"\x40\x01\x00\x03\xff") == Message(coap.RST, 0, 3, b"", [])
    device.send(b"\x00garbage")
    device.send(b"\x50\x01\x00\x03\xff")
    assert (await device.ask(put(4))).code == coap.CHANGED


@pytest.mark.parametrize("settings", [{"rate_per_source": 5}])
async def test_an_address_that_floods_is_told_to_slow_down(device: Device, ingest) -> None:
    codes = [(await device.ask(put(number))).code for number in range(12)]
    assert codes.count(coap.CHANGED) >= 10
    assert codes[-1] == coap.TOO_MANY
    assert len(ingest.stored) == codes.count(coap.CHANGED)


async def test_many_waiting_datagrams_become_one_commit(device: Device, ingest) -> None:
    ingest.gate.clear()
    for number in range(100):
        device.send(put(number, b"%d" % number))
    ingest.gate.set()
    await ingest.until(100)
    assert ingest.commits < 20
    assert sorted(ingest.payloads()) == sorted(b"%d" % number for number in range(100))


async def test_what_comes_while_enough_commits_are_under_way_is_promised_and_stored_by_one(
    device: Device, ingest, monkeypatch
) -> None:
    monkeypatch.setattr(coap_desk, "PROMISE_AFTER_S", 0.01)
    ingest.gate.clear()
    for number in range(coap_desk.COMMITS_AT_ONCE):
        assert (await device.ask(put(number))).code == coap.EMPTY
    for number in range(100, 120):
        assert await device.ask(put(number, b"late")) == Message(
            coap.ACK, coap.EMPTY, number, b"", []
        )
    assert ingest.calls == coap_desk.COMMITS_AT_ONCE
    ingest.gate.set()
    await ingest.until(coap_desk.COMMITS_AT_ONCE + 20)
    assert ingest.sizes == [1] * coap_desk.COMMITS_AT_ONCE + [20]


async def test_every_request_is_counted_by_its_answer(device: Device, ingest, meter: Meter) -> None:
    for number in (1, 1, 2):
        await device.ask(put(number))
    await device.ask(Message(coap.CON, coap.GET, 9, b"", PATH))
    counts = {"2.04": 2.0, "repeated": 1.0, "4.05": 1.0}
    for answer, count in counts.items():
        line = f'tidegate_coap_requests_total{{answer="{answer}",source="coap"}} {count}'
        assert line in meter.render().decode().splitlines()


async def test_ipv6_is_as_good(device: Device, ingest) -> None:
    six = Device("::1", device.port)
    assert (await six.ask(put(1))).code == coap.CHANGED
    six.close()


async def test_an_answer_leaves_from_the_address_that_was_asked(device: Device) -> None:
    # a connected socket takes answers from that address alone
    other = Device("127.0.0.2", device.port)
    assert (await other.ask(put(1))).code == coap.CHANGED
    other.close()


async def test_a_datagram_to_many_is_ignored(device: Device, ingest) -> None:
    group, loopback = socket.inet_aton("224.0.1.187"), socket.inet_aton("127.0.0.1")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        # Linux gives what one program joined to every socket on that port
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + loopback)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
        sender.sendto(encode(put(1, b"to many")), ("224.0.1.187", device.port))
    assert (await device.ask(put(2, b"to one"))).code == coap.CHANGED
    assert ingest.payloads() == [b"to one"]


async def test_an_address_in_use_is_a_mistake_in_the_configuration(ingest: FakeIngest) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{sock.getsockname()[1]}"
        source = CoapSource(
            CoapSettings(listen=listen), ingest=ingest, clock=wall_ns, meter=Meter()
        )
        with pytest.raises(ConfigError, match="cannot listen on udp"):
            await source.run()
