"""Memory runs out: the agent is killed by the kernel, or ends itself; nothing acknowledged is lost.

The kernel's part is played in a control group of memory, of version 1 or 2, which needs root: a
neighbour in the same group takes all there is, and the kernel kills the agent. The other part is
played with a limit of the address space (RLIMIT_AS), under which the agent's own allocations fail:
it ends (or a library of C ends it, or the kernel an end that hangs), or it goes on to hear and store; it is never deaf and alive.
Devices publish with QoS 1 all the while; the agent is started again as systemd would.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_core.exhaustion import LONGEST_END_S
from gateway_core.supervise import Patience, supervise
from simulators.sensors.publisher import Publisher
from simulators.sensors.truth import TruthFile, judge, read_truth
from tests.e2e.city import City, Program, wait_for
from tests.e2e.test_listen_kill import speak
from tests.faults.cage import caged

ROUNDS = 1


LARGE = b'{"temperature": 20.5, "note": "%s"}' % (b"x" * 240_000)


def pid_of(program: Program) -> int:
    assert program.process is not None
    return program.process.pid


def starve(edge: Program) -> int:
    """Let the kernel kill the agent for want of memory; return its exit status."""
    assert edge.process is not None
    with caged() as cage, cage.neighbour() as hog:
        assert hog.stdin is not None
        cage.take(pid_of(edge))
        cage.narrow(64 << 20)
        hog.stdin.write(b"go\n")
        hog.stdin.flush()
        status = edge.process.wait(60)
        assert cage.killed >= 1
        return status


async def under_load(
    city: City, edge: Program, truth: Path, end: Callable[[], int]
) -> tuple[list[int], list[tuple[str, int]]]:
    """End the agent again and again while devices speak; return how, and what was promised."""
    over, statuses = asyncio.Event(), []
    url = f"mqtt://{city.at(city.mqtt_port)}"
    fleet = [Publisher(url, f"sim-{n}", window=50) for n in range(4)]
    with TruthFile(truth) as file:
        async with asyncio.TaskGroup() as tasks:
            patience = Patience(first=0.05, longest=0.5)
            running = [tasks.create_task(supervise("fleet", each.run, patience)) for each in fleet]
            speaking = tasks.create_task(speak(fleet, file, over))
            for _ in range(ROUNDS):
                await asyncio.sleep(1)
                statuses.append(await asyncio.to_thread(end))
                await asyncio.to_thread(edge.start)
            over.set()
            await speaking
            for task in running:
                task.cancel()
    return statuses, [(each.device, each.seq) for each in read_truth(truth)]


async def all_arrived(city: City, promised: list[tuple[str, int]]) -> None:
    def arrived() -> bool:
        return len(set(city.delivered())) >= len(promised)

    await asyncio.to_thread(wait_for, "everything", arrived, 120)
    verdict = judge(promised, city.delivered())
    assert (verdict.lost, verdict.duplicated, verdict.examples) == (0, 0, ())
    assert city.edge_status()["residual"] == 0
    assert city.edge_status()["refused"] == {}


@pytest.mark.timeout(400)
@pytest.mark.fault("F15")
async def test_an_agent_that_the_kernel_kills_for_want_of_memory_loses_nothing(
    city: City, tmp_path: Path
) -> None:
    centre, edge = city.centre(), city.edge(direct="anonymous: true")
    await asyncio.to_thread(centre.start)
    await asyncio.to_thread(edge.start)
    statuses, promised = await under_load(city, edge, tmp_path / "truth", lambda: starve(edge))
    assert statuses == [-signal.SIGKILL] * ROUNDS
    assert len(promised) > 100
    await all_arrived(city, promised)


@pytest.mark.timeout(400)
@pytest.mark.fault("F15")
async def test_an_agent_that_gets_no_more_memory_ends_and_starts_again_instead_of_being_deaf(
    city: City, tmp_path: Path
) -> None:
    centre, edge = city.centre(), city.edge(direct="anonymous: true")
    await asyncio.to_thread(centre.start)
    await asyncio.to_thread(edge.start)

    def exhaust() -> int:
        assert edge.process is not None
        limit = (1 << 20, resource.RLIM_INFINITY)  # less than it has: none of it is taken away
        resource.prlimit(pid_of(edge), resource.RLIMIT_AS, limit)
        end = time.monotonic() + LONGEST_END_S + 10
        while edge.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(subprocess.SubprocessError):  # it hangs up on us
                city.say("sim-large", LARGE)
            time.sleep(0.1)
        if edge.process.poll() is None:
            city.say("sim-small", '{"temperature": 20.5}')  # alive, then: it hears and stores
            edge.process.kill()
        return edge.process.wait(30)

    statuses, promised = await under_load(city, edge, tmp_path / "truth", exhaust)
    assert set(statuses) <= {1, -signal.SIGABRT, -signal.SIGALRM, -signal.SIGKILL}
    await all_arrived(city, promised)
