"""Promise: kill -9 at any moment loses nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import random
import sys

import pytest

from gateway_core.spool import open_spool

PROGRAM = """
import asyncio, pathlib, sys
from gateway_core.spool import open_spool
from tests.fakes.core import reading

async def main():
    async with open_spool(pathlib.Path(sys.argv[1]), "edge-a") as spool:
        async def source(name):
            n = 0
            while True:
                n += 1
                span = await spool.append([reading(n)] * 3, source=name, state={name: b"%d" % n})
                print(name, n, span.first, span.last, flush=True)
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(source(name))

asyncio.run(main())
"""


@pytest.mark.fault("F1", "R3")
@pytest.mark.parametrize("seed", range(5))
async def test_every_acknowledged_append_is_there_after_kill_nine(tmp_path, seed):
    path = tmp_path / "s.db"
    wanted = random.Random(seed).randrange(20, 200)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(path), stdout=asyncio.subprocess.PIPE
    )
    acknowledged = [await process.stdout.readline() for _ in range(wanted)]
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    acknowledged += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]

    async with open_spool(path, "edge-a") as spool:
        books = await spool.books()
        state = await spool.state()
        for line in acknowledged:
            name, n, first, last = line.decode().split()
            batch = await spool.read_after(int(first) - 1, 3)
            assert [record.fields["n"] for record in batch.records] == [int(n)] * 3
            assert batch.last == int(last)
            assert int(state[name]) >= int(n)
    assert books.head == sum(books.accepted.values())
