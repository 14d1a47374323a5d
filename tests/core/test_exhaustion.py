"""When memory ran out the program ends, wherever it was noticed; a process shows each place."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

BEGIN = """
import asyncio, resource, threading
from gateway_core.exhaustion import end_when_exhausted, probe_memory
from gateway_core.supervise import supervise

def fail():
    raise MemoryError

async def part():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(fail))

async def callback():
    asyncio.get_running_loop().call_soon(fail)

async def thread():
    threading.Thread(target=fail).start()

async def otherwise():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
    raise RuntimeError("can't start new thread")

async def probe():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
    await supervise("memory", probe_memory)

async def main():
    end_when_exhausted(asyncio.get_running_loop())
    await {where}
    await asyncio.sleep(60)

asyncio.run(main())
"""
OTHERWISE = "supervise('part', otherwise)"


@pytest.mark.fault("F15")
@pytest.mark.parametrize(
    "where", ["supervise('part', part)", "callback()", "thread()", "probe()", OTHERWISE]
)
def test_a_program_without_memory_ends_at_once(where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN.replace("{where}", where)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "out_of_memory: the program ends, to be started afresh",
    )


STUCK = """
import asyncio
from gateway_core.exhaustion import end_within

async def main():
    end_within(0.2)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

asyncio.run(main())
"""


@pytest.mark.fault("F15")
def test_an_end_that_hangs_is_ended_by_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], timeout=50, check=False)
    assert done.returncode == -signal.SIGALRM
