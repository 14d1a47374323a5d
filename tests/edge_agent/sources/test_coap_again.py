"""A CoAP request that comes again is stored once, and told what it was told before."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_message import Message
from gateway_core.errors import SpoolFull
from tests.fakes.coap_device import Device, heard_by, put
from tests.fakes.ingest import FakeIngest


@pytest.fixture
def ingest() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
async def device(ingest: FakeIngest) -> AsyncIterator[Device]:
    async with heard_by(ingest) as each:
        yield each


async def test_a_retransmission_gets_the_same_answer_and_is_not_stored_again(
    device: Device, ingest
) -> None:
    first = await device.ask(put(7))
    again = await device.ask(put(7))
    assert first == again
    assert len(ingest.stored) == 1


async def test_a_retransmission_during_the_commit_is_not_stored_again(
    device: Device, ingest
) -> None:
    ingest.gate.clear()
    device.send(put(7))
    await ingest.when(lambda: ingest.calls == 1)
    device.send(put(7))
    device.send(put(8, b"other"))
    await ingest.when(lambda: ingest.calls == 2)
    ingest.gate.set()
    assert {(await device.receive()).message_id for _ in range(2)} == {7, 8}
    assert sorted(ingest.payloads()) == [b"other", b"{}"]


async def test_a_plain_request_that_comes_again_is_silent_before_its_commit_and_answered_after(
    device: Device, ingest
) -> None:
    await device.ask(put(6, b"of this kind"))
    ingest.gate.clear()
    device.send(put(7))
    await ingest.when(lambda: ingest.calls == 2)
    device.send(put(7))
    assert (await device.ask(Message(coap.CON, coap.EMPTY, 9))).kind == coap.RST
    ingest.gate.set()
    first = await device.receive()
    assert first == Message(coap.ACK, coap.CHANGED, 7, b"\x42", [])
    assert await device.ask(put(7)) == first
    assert ingest.payloads() == [b"of this kind", b"{}"]


async def test_a_plain_request_that_was_refused_is_told_the_same_again(
    device: Device, ingest
) -> None:
    await device.ask(put(6, b"of this kind"))
    ingest.verdict = lambda _arrival: "not_json"
    first = await device.ask(put(7))
    assert (first.code, first.payload) == (coap.BAD_REQUEST, b"not_json")
    ingest.verdict = lambda _arrival: None
    assert await device.ask(put(7)) == first
    assert ingest.calls == 2


async def test_a_plain_request_that_found_no_room_is_stored_when_it_comes_again(
    device: Device, ingest
) -> None:
    await device.ask(put(6, b"of this kind"))
    ingest.trouble = SpoolFull("no room in this test")
    assert (await device.ask(put(7))).code == coap.UNAVAILABLE
    ingest.trouble = None
    assert (await device.ask(put(7))).code == coap.CHANGED
    assert ingest.payloads() == [b"of this kind", b"{}"]


async def test_the_same_message_id_with_other_words_is_a_new_reading(
    device: Device, ingest
) -> None:
    await device.ask(put(7, b"one"))
    await device.ask(put(7, b"two"))
    assert ingest.payloads() == [b"one", b"two"]
