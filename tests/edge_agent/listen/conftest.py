"""Listeners on free ports, and conversations without a socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from edge_agent.following import Followed
from edge_agent.sources.commit_line import Load
from edge_agent.sources.listen.conversation import Conversation, House
from edge_agent.sources.listen.packets import Broken
from edge_agent.sources.listen.policy import Policy
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.settings import ListenSettings
from edge_agent.sources.listen.source import ListenSource
from gateway_core.clock import wall_ns
from gateway_core.meter import Meter
from tests.fakes.ingest import FakeIngest

NOW = 1_795_000_000_000_000_000


class Talk:
    """A client at a conversation; every commit happens at once unless ``held``."""

    def __init__(self, house: House, identity: str | None = None) -> None:
        self.identity = identity
        self.load: Load[Any, Any] = Load()
        self.stored: list[tuple[str, bytes]] = []
        self.ended = False
        self.held = False
        self._house = house
        self._rest = b""
        self.talk = Conversation(house, self._end)

    def say(self, data: bytes) -> bytes:
        """Send bytes; return what comes back, the acknowledgements at last."""
        self._rest += data
        try:
            self._read()
            if self.talk.asked is not None:
                self.talk.admit(self.talk.asked.client_id or "auto-1", self.identity)
                self._read()
        except Broken as why:
            self.talk.goodbye(why)
            self.ended = True
        return self.commit()

    def commit(self) -> bytes:
        """Store what was said, unless commits are held; return replies and acknowledgements."""
        out = b"".join(self.talk.replies)
        self.talk.replies.clear()
        if self.held:
            return out
        load, self.load = self.load, Load()
        state = self._house.sessions.enter(load.marks, settled=True)
        self._house.sessions.stored(state)
        self.stored += [(each.address, each.payload) for each in load.arrivals]
        self.talk.acknowledged(sum(count for _, _, count in load.words))
        return out + b"".join(answer for _, answer, _ in load.words)

    def _read(self) -> None:
        used = self.talk.read(self._rest, self.load, NOW)
        self._rest = self._rest[used:]

    def leave(self) -> None:
        """Close the connection without a word."""
        self.talk.left(NOW)

    def _end(self, talk: Conversation) -> None:
        self.ended = True


@pytest.fixture
def house() -> House:
    settings = ListenSettings(anonymous=True, receive_maximum=4, max_packet=4096)
    return House(settings, Sessions("listen/devices/", 4, 100, {}, NOW), Policy())


@pytest.fixture
def client(house: House) -> Callable[..., Talk]:
    return lambda identity=None: Talk(house, identity)


@contextlib.asynccontextmanager
async def listening(ingest: FakeIngest, **more: Any) -> AsyncIterator[ListenSource]:
    """Run a listener on a free port of 127.0.0.1."""
    settings = ListenSettings.model_validate(
        {"listen": "127.0.0.1:0", "anonymous": True, "max_packet": 4096} | more
    )
    source = ListenSource(
        settings,
        ingest=ingest,
        clock=wall_ns,
        meter=Meter(),
        saved_state=dict(ingest.state),
        followed=Followed(),
    )
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(source.run())
        await source.opened.wait()
        yield source
        task.cancel()


async def exchange(source: ListenSource, said: bytes) -> bytes:
    """Say something on a connection of its own; return what is answered until its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
    writer.write(said)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer
