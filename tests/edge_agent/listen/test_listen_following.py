"""Whoever follows a client is told what it sends and what becomes of it, and nothing of others."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from edge_agent.arrival import Arrival
from edge_agent.following import MOST_LINES, Followed, follow
from edge_agent.sources.listen import source as listener
from edge_agent.sources.listen.house import House
from gateway_core.errors import SpoolFull
from tests.edge_agent.listen.conftest import Talk, listening
from tests.edge_agent.listen.test_listen_clients import mosquitto
from tests.edge_agent.listen.test_listen_protocol import V5, V311, publish
from tests.edge_agent.listen.test_listen_sessions import LASTING, WILL
from tests.fakes.ingest import FakeIngest


def told(data: bytes) -> list[dict[str, Any]]:
    """Decode lines; times are the clock's and of no interest here."""
    lines = [json.loads(line) for line in data.splitlines() if line]
    return [{k: v for k, v in line.items() if k not in {"time", "client"}} for line in lines]


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
async def test_a_message_is_told_with_topic_size_and_verdict_once_it_is_stored(
    version: str,
) -> None:
    ingest = FakeIngest()
    ingest.verdict = lambda arrival: "bad_json" if arrival.payload == b"{" else None
    async with listening(ingest) as source:
        trail = source.house.followed.begin("d1")
        for client, qos, text in (("d1", "1", "21.5"), ("d2", "1", "7"), ("d1", "0", "{")):
            said = ("-V", version, "-i", client, "-q", qos, "-t", f"tg/{client}/up", "-m", text)
            await mosquitto("mosquitto_pub", source, *said)
        await ingest.until(3)
        while source.house.followed.awaited or source.visits:
            await trail.grown.wait()
            trail.grown.clear()
    lines = told(trail.take())
    assert [line for line in lines if line["kind"] == "message"] == [
        {"kind": "message", "topic": "tg/d1/up", "qos": 1, "size": 4, "result": "stored"},
        {
            "kind": "message",
            "topic": "tg/d1/up",
            "qos": 0,
            "size": 1,
            "result": "refused",
            "reason": "bad_json",
        },
    ]
    connected = [line for line in lines if line["kind"] == "connected"]
    assert len(connected) == 2
    assert connected[0] == {
        "kind": "connected",
        "version": version.removeprefix("mqttv").replace("311", "3.1.1"),
        "identity": None,
        "session_present": False,
    }


async def test_what_a_client_left_to_be_said_is_told_with_its_verdict() -> None:
    ingest = FakeIngest()
    async with listening(ingest) as source:
        trail = source.house.followed.begin("a")
        reader, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
        writer.write(WILL)
        await reader.readexactly(4)
        writer.close()
        await ingest.until(1)
        while source.house.followed.awaited:
            await trail.grown.wait()
            trail.grown.clear()
    lines = told(trail.take())
    assert [line["kind"] for line in lines] == ["connected", "disconnected", "will"]
    assert lines[-1] == {"kind": "will", "topic": "t/a", "size": 3, "result": "stored"}


def test_what_came_again_and_what_is_not_allowed_are_told_at_once(
    house: House, client: Any
) -> None:
    trail = house.followed.begin("a")
    first: Talk = client("a")
    first.say(LASTING)
    first.say(publish(V5, "t/a", b"1"))
    first.leave()
    again: Talk = client("a")
    again.say(LASTING)
    again.say(publish(V5, "t/a", b"1", 0x3A) + publish(V5, "t/other", b"22", packet_id=2))
    lines = told(trail.take())
    assert [line["kind"] for line in lines] == [
        "connected",
        "disconnected",
        "connected",
        "message",
        "message",
    ]
    assert [line["session_present"] for line in lines if line["kind"] == "connected"] == [
        False,
        True,
    ]
    assert [line.get("result") for line in lines[-2:]] == ["again", "denied"]
    assert lines[-1]["reason"] == "no right to publish to 't/other'"
    assert (lines[-1]["topic"], lines[-1]["size"]) == ("t/other", 2)


def test_a_client_that_is_turned_away_or_sent_away_is_told_with_the_code(
    house: House, client: Any
) -> None:
    trail = house.followed.begin("a")
    silent: Talk = client()
    silent.say(V311)
    silent.say(b"\xf0\x00")
    # a Will for a topic that it has no right to
    will = bytes.fromhex("101a 0004 4d515454 04 06 003c 0001 61 0004 742f6f74 0005 6f74686572")
    client("a").say(will)
    lines = told(trail.take())
    assert [(line["kind"], line["code"]) for line in lines if "code" in line] == [
        ("ended", "0x82"),
        ("turned_away", "0x87"),
    ]


def test_nobody_is_told_of_a_client_that_is_not_followed_any_more(
    house: House, client: Any
) -> None:
    trail = house.followed.begin("a")
    house.followed.end(trail)
    talk: Talk = client()
    talk.say(V311)
    talk.say(publish(V311, "t/a"))
    assert trail.take() == b""
    assert house.followed.awaited == {}
    assert house.followed.clients == {}


@pytest.mark.parametrize("trouble", [SpoolFull("full"), RuntimeError("a bad disk")])
async def test_nothing_is_awaited_for_ever_of_a_listener_that_ended_before_it_was_stored(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "FINISH_S", 0.1)
    ingest = FakeIngest()
    ingest.trouble = trouble
    with contextlib.suppress(ExceptionGroup):
        async with listening(ingest) as source:
            followed = source.house.followed
            followed.begin("a")
            elsewhere = Arrival("mqtt_listen:others", "t/a", b"x", 1)
            followed.sent("a", 1, elsewhere)
            _, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
            writer.write(V311 + publish(V311, "t/a"))
            await ingest.when(lambda: ingest.calls > 0)
    writer.close()
    assert list(followed.awaited) == [id(elsewhere)]


def test_a_reader_that_is_slow_is_told_how_much_it_missed() -> None:
    followed = Followed()
    trail = followed.begin("a")
    for number in range(MOST_LINES + 3):
        followed.tell("a", "message", size=number)
    lines = told(trail.take())
    assert lines[0] == {"kind": "skipped", "count": 3}
    assert [line["size"] for line in lines[1:]] == list(range(3, MOST_LINES + 3))
    assert trail.take() == b""


async def test_following_ends_with_its_reader() -> None:
    followed = Followed()
    lines = follow(followed, "a", beat_s=0.01)
    assert await anext(lines) == b"\n"
    assert list(followed.clients) == ["a"]
    await lines.aclose()
    assert followed.clients == {}
