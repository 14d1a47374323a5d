"""The real agent with a real broker: what the broker acknowledged is in the spool, whatever stops."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.broker import Mosquitto
from tests.fakes.edge import ENV, write_profile
from tests.fakes.real_agent import RealAgent, connected

COAP_CLIENT = shutil.which("coap-client") or "coap-client-notls"
MINE = ENV.replace("tg/{id}", "plant/{id}").replace("tg/d1", "plant/d1")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker", host="::1")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def agent(tmp_path: Path, broker: Mosquitto) -> AsyncIterator[RealAgent]:
    made = RealAgent(tmp_path, broker, MINE)
    made.start()
    await made.until(connected)
    yield made
    await made.kill()


async def test_what_a_shell_publishes_is_found_by_a_query_on_site(
    agent: RealAgent, broker: Mosquitto
) -> None:
    await broker.publish("plant/d1/up", '{"temperature": 21.5}', '{"temperature": 22.5}')
    await agent.until(lambda status: status["accepted"].get("mqtt:site") == 4)
    question = {"measurement": "env", "fields": ["temperature"], "where": {"device": ["d1"]}}
    status, table = await agent.post("/query", question)
    assert status == 200
    place = table["columns"].index("temperature")
    assert [row[place] for row in table["rows"]] == [21.5, 22.5]


async def test_the_books_of_a_running_agent_balance_and_show_refusals(
    agent: RealAgent, broker: Mosquitto
) -> None:
    await broker.publish("plant/d1/up", '{"temperature": 21.5}', "junk", '{"temperature": 1}')
    status = await agent.until(lambda s: s["accepted"].get("mqtt:site") == 4)
    assert status["refused"] == {"not_json": 1}
    assert status["residual"] == 0
    assert status["devices"] == {"known": 1, "listed": 0, "silent": 0, "offline": 0}
    async with (
        aiohttp.ClientSession() as session,
        session.get(agent.url + "/metrics") as answer,
    ):
        metrics = (await answer.text()).splitlines()
    assert 'tidegate_accepted_total{source="mqtt:site"} 4.0' in metrics
    assert 'tidegate_refused_total{reason="not_json"} 1.0' in metrics
    assert "tidegate_residual 0.0" in metrics
    assert any(line.startswith("tidegate_spool_bytes ") for line in metrics)


async def test_the_books_can_be_added_up_from_the_first_scrape_on(
    agent: RealAgent, broker: Mosquitto
) -> None:
    async def scraped() -> dict[str, float]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(agent.url + "/metrics") as answer,
        ):
            lines = (await answer.text()).splitlines()
        sums: dict[str, float] = {}
        for line in lines:
            if not line.startswith("#"):
                name, _, value = line.replace("{", " ", 1).partition(" ")
                sums[name] = sums.get(name, 0.0) + float(value.rpartition(" ")[2])
        return sums

    def balance(found: dict[str, float], consumers: int) -> float:
        left = ("delivered_total", "buffered", "quarantined_total", "dropped_total")
        gone = sum(found[f"tidegate_{name}"] for name in left)
        return consumers * found["tidegate_accepted_total"] - gone

    first = await scraped()
    assert first.keys() >= {"tidegate_refused_total", "tidegate_residual", "tidegate_spool_bytes"}
    assert balance(first, 2) == 0
    await broker.publish("plant/d1/up", '{"temperature": 21.5}', "bad")
    await agent.until(lambda status: status["accepted"].get("mqtt:site") == 3)
    later = await scraped()
    assert later["tidegate_refused_total"] == first["tidegate_refused_total"] + 1
    assert balance(later, 2) == 0


async def test_healthz_names_every_part(agent: RealAgent) -> None:
    told = await agent.get("/healthz")
    assert told["status"] == "ok"
    assert told["spool"] == "ok"
    assert set(told["parts"]) >= {"admin", "archive", "aggregate", "coap", "mqtt:site", "rules"}


async def test_the_status_says_why_a_broker_is_away_until_it_is_back(
    agent: RealAgent, broker: Mosquitto
) -> None:
    await broker.stop()
    away = await agent.until(lambda status: bool(status["interrupted"]))
    (told,) = away["interrupted"]
    assert (told["part"], told["tries"] >= 1, told["ago_s"] >= 0) == ("mqtt:site", True, True)
    assert str(broker.port) in told["why"] or "closed" in told["why"]
    await broker.start()
    back = await agent.until(connected)
    assert back["interrupted"] == []


async def test_a_coap_client_of_another_maker_is_heard(agent: RealAgent) -> None:
    process = await asyncio.create_subprocess_exec(
        *(COAP_CLIENT, "-m", "post", "-t", "50", "-e", '{"temperature": 19.5}'),
        f"coap://[::1]:{agent.coap}/plant/d7",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    await process.wait()
    status = await agent.until(lambda s: s["accepted"].get("coap") == 3)
    assert status["devices"]["known"] == 1


async def test_after_kill_9_everything_acknowledged_is_there_and_nothing_twice(
    tmp_path: Path, agent: RealAgent, broker: Mosquitto
) -> None:
    for round_ in range(3):
        payloads = [f'{{"temperature": 20, "count": {round_ * 100 + n}}}' for n in range(100)]
        async with asyncio.TaskGroup() as group:
            group.create_task(broker.publish("plant/d1/up", *payloads))
            await asyncio.sleep(0)
            await agent.kill()
        agent.start()
        await agent.until(connected)
    await broker.publish("plant/d1/up", '{"count": 300}')
    await agent.until(lambda status: status["accepted"].get("mqtt:site", 0) >= 302)
    question = {"measurement": "env", "fields": ["count"], "where": {"device": ["d1"]}}
    _, table = await agent.post("/query", question)
    place = table["columns"].index("count")
    assert sorted(row[place] for row in table["rows"]) == list(range(301))


async def test_sigterm_ends_it_in_order_with_status_0(agent: RealAgent) -> None:
    assert await agent.end() == 0
    assert "agent_stopped" in agent.log()
    assert "Traceback" not in agent.log()


HANGS = """
import asyncio, sys
from edge_agent import __main__ as program
from edge_agent.parts import Parts
from gateway_core.exhaustion import end_within

async def for_ever(parts, flush):
    await asyncio.sleep(3600)

Parts.stop = for_ever
program.end_within = lambda: end_within(1.0)
sys.exit(program.main())
"""


async def test_an_agent_that_hangs_in_its_end_is_ended_by_the_kernel(tmp_path: Path) -> None:
    agent = RealAgent(tmp_path, None, MINE)
    agent.program = ("-c", HANGS)
    agent.start()
    await agent.until(lambda _status: True)
    assert await agent.end() == -signal.SIGALRM


async def test_sighup_takes_a_new_profile_in_and_asks_the_broker_for_its_topics(
    agent: RealAgent, broker: Mosquitto
) -> None:
    other = MINE.replace("plant/", "harbour/").replace("test/env", "test/harbour")
    write_profile(agent.folder / "profiles", other, "harbour.yaml")
    agent.hang_up()
    async with asyncio.timeout(40):
        while "harbour" not in broker.log():
            await asyncio.sleep(0.05)
    await agent.until(connected)
    await broker.publish("harbour/h1/up", '{"temperature": 5}')
    await agent.until(lambda status: status["devices"]["known"] == 1)


async def test_a_mistake_in_a_file_leaves_the_running_agent_as_it_was(agent: RealAgent) -> None:
    write_profile(agent.folder / "profiles", "format: 1\nid: oops\n", "oops.yaml")
    status, problem = await agent.post("/reload", {})
    assert status == 422
    assert "oops.yaml" in problem["detail"]
    assert (await agent.get("/healthz"))["status"] == "ok"


async def test_a_mistake_in_the_configuration_ends_with_status_2_and_its_place(
    tmp_path: Path, broker: Mosquitto
) -> None:
    agent = RealAgent(tmp_path, broker, MINE, more="spol: {}\n")
    agent.start()
    assert agent._process is not None
    assert await asyncio.to_thread(agent._process.wait, 30) == 2
    assert f"{agent.config}:6:1: spol" in agent.log()


async def test_a_tap_shows_what_comes_in_over_ipv6(agent: RealAgent, broker: Mosquitto) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{agent.url}/tap?topic=plant/+/up&field=temperature") as stream,
    ):
        await broker.publish("plant/d1/up", '{"temperature": 21.5}')
        async with asyncio.timeout(20):
            while not (line := (await stream.content.readline()).strip()):
                pass
    assert json.loads(line)["fields"] == {"temperature": 21.5}


async def test_questions_that_cannot_be_read_are_answered_with_what_to_do(
    agent: RealAgent,
) -> None:
    status, problem = await agent.post("/query", {"measurement": "env", "start": "yesterday"})
    assert (status, problem["status"]) == (400, 400)
    assert "yesterday" in problem["detail"]
    status, problem = await agent.post("/query", [1, 2])
    assert status == 400
    status, problem = await agent.post("/replay", {"raeson": "x"})
    assert status == 400
