"""The promise: a command reaches its device at most once and never late, and its end is known.

The real agent, a real mosquitto, and a device that speaks MQTT.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.broker import Mosquitto
from tests.fakes.plug import PLUG, Plug
from tests.fakes.real_agent import RealAgent, connected


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def agent(tmp_path: Path, broker: Mosquitto) -> AsyncIterator[RealAgent]:
    made = RealAgent(tmp_path, broker, PLUG)
    made.start()
    await made.until(connected)
    yield made
    await made.kill()


@pytest.fixture
async def plug(agent: RealAgent, broker: Mosquitto) -> AsyncIterator[Plug]:
    """A device that the agent has heard once."""
    made = Plug(broker)
    async with made.plugged_in():
        await agent.until(lambda status: status["devices"]["known"] == 1)
        yield made


@pytest.fixture
async def known(agent: RealAgent, broker: Mosquitto) -> None:
    """A device that the agent has heard once, and that is away."""
    await broker.publish("s1/plug-1/state", '{"on": false}')
    await agent.until(lambda status: status["devices"]["known"] == 1)


async def order(agent: RealAgent, name: str, device: str = "plug-1", **more: Any) -> dict[str, Any]:
    status, found = await agent.post("/command", {"device": device, "name": name, **more})
    assert status == 202, found
    return dict(found)


async def outcome(agent: RealAgent, found: dict[str, Any]) -> dict[str, Any]:
    """Return a command once it has ended."""
    while not found["ended"]:
        found = await agent.get(f"/commands/{found['id']}?wait=20")
    return found


def steps(found: dict[str, Any]) -> list[str]:
    return [each["state"] for each in found["transitions"]]


async def test_a_command_is_acknowledged_by_the_device_and_confirmed_by_its_next_reading(
    agent: RealAgent, plug: Plug
) -> None:
    found = await outcome(agent, await order(agent, "switch", args={"on": True}, by="the test"))
    assert steps(found) == ["accepted", "sent", "acknowledged", "confirmed"]
    assert (found["role"], found["by"], found["address"]) == (
        "operator",
        "the test",
        "s1/plug-1/cmd",
    )
    assert [text for text, _ in plug.got] == [f'{{"id":"{found["id"]}","switch":true}}']


async def test_the_broker_is_told_how_long_it_may_keep_the_command(
    agent: RealAgent, plug: Plug
) -> None:
    await outcome(agent, await order(agent, "switch", args={"on": True}, ttl_s=60))
    ((_, expiry),) = plug.got
    assert expiry is not None
    assert 50 <= expiry <= 60


async def test_a_device_that_says_no_refuses(agent: RealAgent, plug: Plug) -> None:
    plug.error = "busy"
    found = await outcome(agent, await order(agent, "switch", args={"on": True}))
    assert (found["state"], found["reason"]) == ("refused", "device_refused")


async def test_a_device_that_answers_and_does_nothing_leaves_it_unconfirmed(
    agent: RealAgent, plug: Plug
) -> None:
    plug.obeys = False
    found = await outcome(agent, await order(agent, "switch", args={"on": True}))
    assert steps(found) == ["accepted", "sent", "acknowledged", "unconfirmed"]
    assert found["reason"] == "no_confirmation"


async def test_a_reading_within_the_tolerance_confirms_and_one_that_says_otherwise_does_not(
    agent: RealAgent, plug: Plug
) -> None:
    good = await outcome(agent, await order(agent, "dim", args={"level": 40}))
    assert steps(good) == ["accepted", "sent", "confirmed"]
    plug.obeys = False
    other = await order(agent, "dim", args={"level": 90})
    await plug.until(2)
    await plug.say({"level": 40.0})
    other = await outcome(agent, other)
    assert other["state"] == "unconfirmed"
    assert other["detail"] == "expected level = 90.0; the last reading said 40.0"


async def test_an_answer_that_does_not_come_leaves_it_unconfirmed(
    agent: RealAgent, plug: Plug
) -> None:
    plug.answers = plug.obeys = False
    found = await outcome(agent, await order(agent, "switch", args={"on": True}))
    assert (found["state"], found["reason"]) == ("unconfirmed", "no_confirmation")


async def test_where_no_answer_is_declared_the_brokers_word_is_the_last(
    agent: RealAgent, plug: Plug
) -> None:
    found = await outcome(agent, await order(agent, "beep"))
    assert (found["state"], found["ended"]) == ("sent", True)


async def test_a_device_that_is_not_there_fails_at_once(
    agent: RealAgent, broker: Mosquitto
) -> None:
    await broker.publish("s1/plug-7/state", '{"on": false}')
    await agent.until(lambda status: status["devices"]["known"] == 1)
    found = await outcome(agent, await order(agent, "beep", device="plug-7"))
    assert (found["state"], found["reason"]) == ("failed", "no_subscriber")


@pytest.mark.parametrize(
    ("device", "name", "args", "status", "code"),
    [
        ("plug-1", "dim", {"level": 101}, 422, "arg_range"),
        ("plug-1", "dim", {}, 422, "missing_arg"),
        ("plug-1", "dim", {"level": "much"}, 422, "arg_type"),
        ("plug-1", "dim", {"level": 1, "speed": 2}, 422, "unknown_arg"),
        ("plug-1", "explode", {}, 404, "unknown_command"),
        ("plug-9", "dim", {"level": 1}, 404, "unknown_device"),
    ],
)
async def test_a_wrong_request_is_answered_with_its_code_and_nothing_is_sent(
    agent: RealAgent,
    plug: Plug,
    device: str,
    name: str,
    args: dict[str, Any],
    status: int,
    code: str,
) -> None:
    body = {"device": device, "name": name, "args": args}
    told, found = await agent.post("/command", body)
    assert (told, found["code"]) == (status, code)
    assert plug.got == []
    assert await agent.get("/commands") == {"commands": []}


async def test_a_command_waits_for_its_broker_within_its_time_to_live(
    agent: RealAgent, known: None, broker: Mosquitto
) -> None:
    await plug_out_of_reach(agent, broker)
    found = await order(agent, "ping", ttl_s=60)
    await asyncio.sleep(0.5)
    assert (await agent.get(f"/commands/{found['id']}"))["state"] == "accepted"
    agent.halt()  # the device is back before the agent sees its broker again
    await broker.start()
    again = Plug(broker)
    async with again.plugged_in():
        agent.go_on()
        found = await outcome(agent, found)
    assert steps(found) == ["accepted", "sent", "acknowledged"]
    assert len(again.got) == 1


async def test_a_command_whose_time_is_over_before_the_broker_is_back_is_never_sent(
    agent: RealAgent, known: None, broker: Mosquitto
) -> None:
    await plug_out_of_reach(agent, broker)
    found = await outcome(agent, await order(agent, "beep", ttl_s=1))
    assert (found["state"], found["reason"]) == ("expired", "ttl_over")
    await broker.start()
    again = Plug(broker)
    async with again.plugged_in():
        await agent.until(connected)
        await asyncio.sleep(1.0)
    assert again.got == []


async def plug_out_of_reach(agent: RealAgent, broker: Mosquitto) -> None:
    await broker.stop()
    await agent.until(lambda status: not connected(status))


async def test_a_command_that_was_accepted_is_sent_once_after_the_agent_was_killed(
    agent: RealAgent, known: None, broker: Mosquitto
) -> None:
    await plug_out_of_reach(agent, broker)
    found = await order(agent, "switch", args={"on": True}, ttl_s=60)
    await agent.end(signal.SIGKILL)
    await broker.start()
    again = Plug(broker)
    async with again.plugged_in():
        agent.start()
        found = await outcome(agent, await until_there(agent, found))
        await asyncio.sleep(0.5)
    assert steps(found) == ["accepted", "sent", "acknowledged", "confirmed"]
    assert len(again.got) == 1


async def until_there(agent: RealAgent, found: dict[str, Any]) -> dict[str, Any]:
    await agent.until(connected)
    return dict(await agent.get(f"/commands/{found['id']}"))


async def test_a_command_that_was_sent_is_not_sent_again_after_the_agent_was_killed(
    agent: RealAgent, plug: Plug
) -> None:
    plug.answers = plug.obeys = False
    found = await order(agent, "switch", args={"on": True})
    await plug.until(1)
    await agent.end(signal.SIGKILL)
    agent.start()
    found = await outcome(agent, await until_there(agent, found))
    assert found["state"] == "unconfirmed"
    assert steps(found).count("sent") == 1
    assert len(plug.got) == 1


async def test_an_idempotent_command_is_sent_again_after_the_agent_was_killed(
    agent: RealAgent, plug: Plug
) -> None:
    plug.answers = False
    found = await order(agent, "ping", ttl_s=60)
    await plug.until(1)
    await agent.end(signal.SIGKILL)
    plug.answers = True
    agent.start()
    found = await outcome(agent, await until_there(agent, found))
    assert steps(found) == ["accepted", "sent", "accepted", "sent", "acknowledged"]
    assert len(plug.got) == 2


async def test_an_answer_that_comes_after_the_restart_still_counts(
    agent: RealAgent, plug: Plug
) -> None:
    plug.answers = False
    found = await order(agent, "probe")
    await plug.until(1)
    await agent.end(signal.SIGKILL)
    agent.start()
    await agent.until(connected)
    await plug.acknowledge(found["id"])
    found = await outcome(agent, await until_there(agent, found))
    assert steps(found) == ["accepted", "sent", "acknowledged"]
    assert len(plug.got) == 1


async def test_status_and_metrics_count_the_commands(agent: RealAgent, plug: Plug) -> None:
    await outcome(agent, await order(agent, "switch", args={"on": True}))
    status = await agent.get("/status")
    assert (status["commands"], status["commands_open"]) == ({"confirmed": 1}, 0)
    assert status["residual"] == 0
