"""Every process that was started is ended, even one that does not want to and what it started."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import psutil
import pytest

from gateway_core.errors import ConfigError, GatewayError
from tidegate.demo.children import Children
from tidegate.demo.plan import Plan, checked_listen, console_port, console_url, free_ports

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(grandchild.pid, flush=True)
time.sleep(600)
"""


async def test_a_process_that_ignores_sigterm_and_its_own_children_are_ended(
    tmp_path: Path,
) -> None:
    async with Children(tmp_path, patience_s=0.2) as children:
        child = await children.start("stubborn", [sys.executable, "-c", STUBBORN], tmp_path)
        async with asyncio.timeout(60):
            while not child.tail():
                await asyncio.sleep(0.05)
        grandchild = psutil.Process(int(child.tail()))
        assert grandchild.is_running()
    assert child.process.returncode == -9
    _, alive = psutil.wait_procs([grandchild], timeout=10)
    assert alive == []


async def test_a_process_that_ends_by_itself_is_named_with_its_last_words(tmp_path: Path) -> None:
    async def work() -> None:
        await children.start("sad", [sys.executable, "-c", "exit('no disk')"], tmp_path)
        await asyncio.Event().wait()

    async with Children(tmp_path) as children:
        with pytest.raises(GatewayError, match=r"sad ended by itself with 1(.|\n)*no disk"):
            await children.guard(work())


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    children = Children(tmp_path)
    children._tether = []
    async with children:
        with pytest.raises(GatewayError, match="ghost: /nonexistent cannot be started"):
            await children.start("ghost", ["/nonexistent"], tmp_path)


def plan(**changed: object) -> Plan:
    usual = {
        "seconds": 10,
        "devices": 7,
        "feeds": 5,
        "systems": 0,
        "edges": 3,
        "rate": 100,
        "port": 0,
        "listen": "127.0.0.1",
    }
    return Plan(**(usual | changed))


def test_a_console_port_that_is_taken_is_replaced_and_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        chosen, as_asked = console_port(plan(port=port))
    assert chosen != port
    assert not as_asked
    assert console_port(plan(port=port)) == (port, True)


def test_ports_that_are_free_are_all_different() -> None:
    stream = socket.SOCK_STREAM
    assert len(set(free_ports("127.0.0.1", [stream] * 50))) == 50


def test_everything_belongs_to_exactly_one_edge() -> None:
    parts = [plan().share(7, edge) for edge in range(3)]
    assert [n for part in parts for n in part] == list(range(7))


def test_a_city_on_an_ipv6_address_is_on_ipv6_alone() -> None:
    found = plan(listen="::1")
    assert found.loopback == "::1"
    assert console_url(found, 8080) == "http://[::1]:8080"
    assert console_url(plan(listen="0.0.0.0"), 8080) == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"rate": 1}, "give 2 or more"),
        ({"edges": 0}, "at least 1"),
        ({"edges": 8}, "at least one of --devices for each"),
        ({"seconds": 0}, "must be above 0"),
        ({"feeds": -1}, "0 or more"),
        ({"port": 70000}, "0 to 65535"),
    ],
)
def test_a_plan_that_could_not_end_well_is_refused_with_advice(
    changed: dict[str, object], advice: str
) -> None:
    with pytest.raises(ConfigError, match=advice):
        plan(**changed)


def test_an_address_that_is_none_is_refused_with_an_example() -> None:
    assert checked_listen("[::1]") == "::1"
    with pytest.raises(ConfigError, match="such as ::1, found 'localhost'"):
        checked_listen("localhost")
