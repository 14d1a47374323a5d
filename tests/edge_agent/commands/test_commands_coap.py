"""The promise: a CoAP device gets its command where it was heard, and its reading confirms it."""

from __future__ import annotations

import json
from pathlib import Path

import aiocoap
from aiocoap import resource

from tests.fakes.broker import Mosquitto
from tests.fakes.ports import free_port
from tests.fakes.real_agent import RealAgent, connected

VALVE = """\
format: 1
id: test/valve
version: 1.0.0
status: stable
vendor: Test
model: VALVE-1
match: [{via: coap, path: "tg/{device}"}]
decode: [{json: {}}]
measurements:
  open: {type: bool, kind: state}
store: {measurement: valve, tags: [edge, device, profile]}
egress: {class: operational, default: none}
commands:
  set:
    role: operator
    args: {open: {type: bool}}
    send: {path: /valve/set, method: put, json: {open: "${open}"}}
    confirm: {measurement: open, equals: "${open}", within: 20s}
tests:
  - {name: open, recv: {path: tg/v1, payload: {open: true}}, expect: {points: [{open: true}]}}
  - {name: "no", recv: {path: tg/v1, payload: {open: 1}}, expect: {points: [], quality: ["open:not_bool"]}}
  - name: set
    command: {name: set, device: v1, args: {open: true}}
    expect: {path: /valve/set, json: {open: true}}
"""


class Setting(resource.Resource):
    """Notes what it is set to."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[bytes, int | None]] = []

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        self.got.append((request.payload, request.opt.content_format))
        return aiocoap.Message(code=aiocoap.CHANGED)


async def test_a_coap_device_is_commanded_where_it_was_heard(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    await broker.start()
    agent = RealAgent(tmp_path, broker, VALVE)
    agent.start()
    await agent.until(connected)
    valve, site = Setting(), resource.Site()
    site.add_resource(["valve", "set"], valve)
    device = await aiocoap.Context.create_server_context(
        site, bind=("::1", free_port("::1")), transports=["udp6"]
    )

    async def say(*, is_open: bool) -> None:
        uri = f"coap://[::1]:{agent.coap}/tg/v1"
        payload = json.dumps({"open": is_open}).encode()
        message = aiocoap.Message(code=aiocoap.POST, uri=uri, payload=payload, content_format=50)
        assert (await device.request(message).response).code == aiocoap.CHANGED

    await say(is_open=False)
    await agent.until(lambda status: status["devices"]["known"] == 1)
    body = {"device": "v1", "name": "set", "args": {"open": True}}
    status, found = await agent.post("/command", body)
    assert status == 202
    while found["state"] != "acknowledged":
        found = await agent.get(f"/commands/{found['id']}")
    await say(is_open=True)
    found = await agent.get(f"/commands/{found['id']}?wait=20")
    await device.shutdown()
    await agent.kill()
    await broker.stop()
    assert [step["state"] for step in found["transitions"]] == [
        "accepted",
        "sent",
        "acknowledged",
        "confirmed",
    ]
    assert valve.got == [(b'{"open":true}', 50)]
