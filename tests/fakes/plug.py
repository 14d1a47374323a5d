"""A plug behind a broker that can be switched, for tests of commands; its profile beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt

from tests.fakes.broker import Mosquitto

PLUG = """\
format: 1
id: test/plug
version: 1.0.0
status: stable
vendor: Test
model: PLUG-1
match:
  - {via: mqtt, topic: "{site}/{device}/state", payload: json}
device: {pattern: "plug-[0-9]+"}
decode: [{json: {}}]
measurements:
  "on": {type: bool, kind: state}
  level: {type: float, unit: "%"}
store: {measurement: plug, tags: [edge, device, profile]}
egress: {class: operational, default: none}
commands:
  switch:                                  # answered, and shown by the next reading
    role: operator
    args: {"on": {type: bool}}
    send: {topic: "{site}/{device}/cmd", json: {id: "{command}", switch: "${on}"}}
    ack: {topic: "{site}/{device}/ack", match: 'id == command', refuse: {error: busy}, within: 3s}
    confirm: {measurement: "on", equals: "${on}", within: 3s}
  dim:                                     # shown by the next reading only
    role: engineer
    args: {level: {type: float, unit: "%", range: [0, 100]}}
    send: {topic: "{site}/{device}/cmd", json: {dim: "${level}"}}
    confirm: {measurement: level, equals: "${level}", tolerance: 0.5, within: 2s}
  ping:                                    # answered only
    role: operator
    idempotent: true
    send: {topic: "{site}/{device}/cmd", json: {id: "{command}"}}
    ack: {topic: "{site}/{device}/ack", match: {id: "{command}"}, within: 20s}
  probe:                                   # as ping, but once is enough
    role: operator
    send: {topic: "{site}/{device}/cmd", json: {id: "{command}"}}
    ack: {topic: "{site}/{device}/ack", match: {id: "{command}"}, within: 20s}
  beep:                                    # nobody says what became of it
    role: operator
    send: {topic: "{site}/{device}/cmd", text: beep}
tests:
  - {name: on, recv: {topic: s1/plug-1/state, payload: {"on": true}}, expect: {points: [{"on": true}]}}
  - {name: "no", recv: {topic: s1/plug-1/state, payload: {"on": 1}}, expect: {points: [], quality: ["on:not_bool"]}}
  - {name: junk, recv: {topic: s1/plug-1/state, hex: "7b"}, expect: {reject: not_json}}
  - name: switched
    command: {name: switch, device: plug-1, args: {"on": true}, captures: {site: s1, command: c1}}
    expect: {topic: s1/plug-1/cmd, json: {id: c1, switch: true}}
"""


class Plug:
    """One device.

    Attributes:
        got: Payloads of the commands that came, with the seconds of message expiry left.
        answers: Whether it answers on its topic.
        obeys: Whether it does as it is told.
        error: Given in its answers; empty for none.
    """

    def __init__(self, broker: Mosquitto, name: str = "plug-1", site: str = "s1") -> None:
        self.got: list[tuple[str, int | None]] = []
        self.answers = True
        self.obeys = True
        self.error = ""
        self.name = name
        self._broker = broker
        self._base = f"{site}/{name}"
        self._client: aiomqtt.Client | None = None
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def plugged_in(self) -> AsyncIterator[None]:
        """Be connected within the block, and say once that it is off."""
        async with (
            aiomqtt.Client(
                self._broker.host, self._broker.port, protocol=aiomqtt.ProtocolVersion.V5
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            self._client = client
            await client.subscribe(f"{self._base}/cmd", qos=1)
            await self.say({"on": False})
            task = group.create_task(self._serve(client))
            try:
                yield
            finally:
                task.cancel()
                self._client = None

    async def say(self, state: dict[str, Any]) -> None:
        """Publish a state."""
        assert self._client is not None
        await self._client.publish(f"{self._base}/state", json.dumps(state), qos=1)

    async def acknowledge(self, command: str) -> None:
        """Answer a command, late."""
        assert self._client is not None
        await self._client.publish(f"{self._base}/ack", json.dumps({"id": command}), qos=1)

    async def until(self, count: int) -> None:
        """Return when so many commands have come."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: len(self.got) >= count)

    async def _serve(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            text = bytes(message.payload).decode()
            expiry = getattr(message.properties, "MessageExpiryInterval", None)
            self.got.append((text, expiry))
            await self._obey(client, text)
            async with self._changed:
                self._changed.notify_all()

    async def _obey(self, client: aiomqtt.Client, text: str) -> None:
        wanted = json.loads(text) if text.startswith("{") else {}
        if self.answers and "id" in wanted:
            answer = {"id": wanted["id"], **({"error": self.error} if self.error else {})}
            await client.publish(f"{self._base}/ack", json.dumps(answer), qos=1)
        if self.obeys and "switch" in wanted:
            await self.say({"on": wanted["switch"]})
        if self.obeys and "dim" in wanted:
            await self.say({"level": wanted["dim"] + 0.3})
