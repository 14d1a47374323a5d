"""The channels of one recorder are asked on one connection with one login, if it lets us."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random

from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.pacing import Pace
from edge_agent.cameras.rtsp_client import Channels, Plan
from edge_agent.cameras.settings import PatrolSettings
from tests.fakes.cameras import Recorder, ScriptedDevice, patrolling

QUICK = PatrolSettings(connect_s=1.0, answer_s=0.3)
LOGIN = Credential("viewer", "hunter2")
SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"


@dataclass
class Recording:
    """How a recorder behaves.

    Attributes:
        each: Requests that it answers on one connection before it does what ``then`` says.
        then: ``close`` or ``silence``.
        nonces: ``kept`` for ever, one for each ``connection``, or good ``once``; empty for none.
    """

    each: int = 10**9
    then: str = "close"
    nonces: str = ""
    refused: int = 0
    made: int = 0

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonce = self._nonce() if self.nonces != "kept" else "kept"
        for _ in range(self.each):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            cseq = re.search(r"CSeq: (\d+)", head)[1]  # type: ignore[index]
            if head.startswith("OPTIONS"):
                writer.write(f"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n".encode())
            elif not self.nonces or f'nonce="{nonce}"' in head:
                body = f"Content-Length: {len(SDP)}\r\n\r\n".encode() + SDP
                writer.write(f"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n".encode() + body)
                nonce = self._nonce() if self.nonces == "once" else nonce
            else:
                self.refused += "Authorization" in head
                wants = f'WWW-Authenticate: Digest realm="r", nonce="{nonce}", qop="auth"\r\n\r\n'
                writer.write(f"RTSP/1.0 401 X\r\nCSeq: {cseq}\r\n{wants}".encode())
        if self.then == "silence":
            await reader.read()

    def _nonce(self) -> str:
        self.made += 1
        return f"n{self.made}"


@asynccontextmanager
async def recorder(behaviour: Recording) -> AsyncIterator[ScriptedDevice]:
    async with ScriptedDevice(behaviour.script) as device:
        yield device


def channels_of(device: ScriptedDevice, count: int, credential: Credential | None) -> list[Feed]:
    feed = replace(device.feed(credential), onvif_port=None)
    return [replace(feed, id=f"ch{number}") for number in range(1, count + 1)]


async def sweep(
    device: ScriptedDevice, logins: Logins, credential: Credential | None = LOGIN
) -> tuple[list[str], bool]:
    with Channels(logins, QUICK) as channels:
        found = [
            (await channels.check(feed, Plan())).outcome
            for feed in channels_of(device, 8, credential)
        ]
        return found, channels.refuses


async def test_eight_channels_take_one_connection_and_one_challenge() -> None:
    behaviour = Recording(nonces="kept")
    async with recorder(behaviour) as device:
        assert await sweep(device, Logins()) == (["ok"] * 8, False)

    assert device.connections == 1
    assert device.received.count(b"DESCRIBE ") == 9, "the first asks for the challenge"
    assert behaviour.refused == 0


async def test_a_nonce_of_each_connection_serves_its_channels_after_one_refusal() -> None:
    behaviour, logins = Recording(nonces="connection"), Logins()
    async with recorder(behaviour) as device:
        for _ in range(4):
            assert await sweep(device, logins) == (["ok"] * 8, False)

    assert device.connections == 4
    assert behaviour.refused == 1, "the nonce of the first connection, tried on the second"
    assert device.received.count(b"DESCRIBE ") == 4 * 9


async def test_nonces_that_are_good_once_are_learned_and_cost_no_more_refusals() -> None:
    behaviour, logins = Recording(nonces="once"), Logins()
    async with recorder(behaviour) as device:
        for _ in range(4):
            assert await sweep(device, logins) == (["ok"] * 8, False)

    assert behaviour.refused == 2
    assert logins.permit(channels_of(device, 1, LOGIN)[0], 0.0) == "free"


async def test_a_device_that_hangs_up_after_each_channel_is_asked_anew_and_refuses() -> None:
    async with recorder(Recording(each=2)) as device:
        assert await sweep(device, Logins(), None) == (["ok"] * 8, True)

    assert device.connections == 8


async def test_a_device_that_answers_one_channel_a_connection_costs_one_wait() -> None:
    async with recorder(Recording(each=2, then="silence")) as device:
        assert await sweep(device, Logins(), None) == (["ok"] * 8, True)

    assert device.connections == 8


async def test_the_patrol_asks_all_channels_of_a_recorder_on_one_connection() -> None:
    kept = Recorder()
    async with recorder(Recording(nonces="kept")) as device:
        feeds = {feed.id: feed for feed in channels_of(device, 8, LOGIN)}
        async with patrolling(feeds, kept, sweep_s=3.0):
            await kept.until(lambda: list(kept.states().values()) == ["online"] * 8)
            assert device.connections == 1


async def test_the_patrol_asks_each_channel_apart_where_the_device_refuses_to_share() -> None:
    kept = Recorder()
    async with recorder(Recording(each=2)) as device:
        feeds = {feed.id: feed for feed in channels_of(device, 8, None)}
        async with patrolling(feeds, kept, sweep_s=1.0) as patrol:
            await kept.until(lambda: list(kept.states().values()) == ["online"] * 8)
            assert patrol._looks.channels(feeds["ch1"]) == frozenset()

    assert device.connections >= 8


def test_channels_of_one_device_have_their_first_turn_together() -> None:
    pace = Pace(60.0, Random(1))
    keys = [f"{device}-{channel}" for device in "abc" for channel in range(4)]
    pace.spread(keys, 0.0, 60.0, lambda key: key[0])

    turns = {key: pace.due_in(key, 0.0) for key in keys}
    assert {turns[f"a-{n}"] for n in range(4)} == {turns["a-0"]}
    assert sorted({turns[f"{device}-0"] for device in "abc"}) == [0.0, 20.0, 40.0]
