"""The promise: a simulated device does what its profile's commands tell it, and shows it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from device_profiles.profile import Profile, load_profile
from simulators.sensors.obedience import Obedience
from simulators.sensors.profiled import make_encoders, make_fleet
from simulators.sensors.simulate import SensorOptions, Simulation
from tests.fakes.broker import Mosquitto
from tests.fakes.plug import PLUG
from tests.fakes.real_agent import RealAgent, connected

VENDORS = Path(__file__).parents[3] / "device_profiles" / "vendors"
SIMPLE = PLUG.replace('device: {pattern: "plug-[0-9]+"}\n', "").replace("plug-1", "sim-plug-00001")


def shipped(name: str) -> Profile:
    return load_profile(VENDORS / f"{name}.yaml", strict=False)


def test_a_plug_answers_as_its_profile_expects_and_is_switched() -> None:
    obedience = Obedience(shipped("shelly/plus-plug-s"))
    command = {
        "id": 1,
        "src": "edge/ack/p1",
        "method": "Switch.Set",
        "params": {"id": 0, "on": True},
    }
    assert obedience.filters == ["+/rpc"]
    answer = obedience.hear("p1/rpc", json.dumps(command).encode())
    assert answer is not None
    topic, payload = answer
    assert topic == "edge/ack/p1/rpc"
    assert json.loads(payload)["src"] == "p1"
    assert obedience.values("p1", {"on": False, "power": 3.0}) == {"on": True, "power": 3.0}
    assert obedience.values("p2", {"on": False}) == {"on": False}


def test_what_is_no_command_of_the_profile_is_not_obeyed() -> None:
    obedience = Obedience(shipped("shelly/plus-plug-s"))
    assert obedience.hear("p1/rpc", b'{"id": 1, "method": "Shelly.Reboot"}') is None
    assert obedience.hear("p1/rpc", b"junk") is None
    assert obedience.hear("other/topic", b"{}") is None
    assert obedience.obeyed == 0


async def test_a_simulated_device_confirms_a_command_of_a_real_edge(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    await broker.start()
    agent = RealAgent(tmp_path, broker, SIMPLE)
    agent.start()
    await agent.until(connected)
    profile = load_profile(SIMPLE)
    simulation = Simulation(
        make_fleet(profile, 1),
        make_encoders(profile, mqtt=True, coap=False),
        SensorOptions(mqtt=broker.url, rate=5),
        obedience=Obedience(profile),
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(simulation.run())
        status = await agent.until(lambda status: status["devices"]["known"] == 1)
        assert status["devices"]["known"] == 1
        body = {"device": "sim-plug-00001", "name": "switch", "args": {"on": True}}
        _, found = await agent.post("/command", body)
        found = await agent.get(f"/commands/{found['id']}?wait=20")
        simulation.stop()
        await running
    await agent.kill()
    await broker.stop()
    assert [step["state"] for step in found["transitions"]] == [
        "accepted",
        "sent",
        "acknowledged",
        "confirmed",
    ]
