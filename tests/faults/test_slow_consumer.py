"""A consumer that takes one batch while hundreds of thousands of records come: memory stays flat.

What waits for it is on disk. The number of records that are kept decoded is bounded, and so is
what waits for a commit, whoever produces faster than the disk.
"""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from gateway_core.forward import forward
from gateway_core.model import Batch, Reading, Receipt
from gateway_core.spool import SpoolOptions, open_spool

MIB = 1 << 20
OPTIONS = SpoolOptions(group_commit_s=0.001, cache_records=5_000)
BATCH, WARM, MORE = 1_000, 50, 200


def held() -> int:
    """Return the memory that this process has in use, in bytes."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def batch(first: int) -> list[Reading]:
    return [
        Reading("e1", f"dev-{n % 997}", "p", "env", n, n, {"temperature": n / 7, "note": f"n{n}"})
        for n in range(first, first + BATCH)
    ]


class Slow:
    """A sink that takes a batch and then no more until it is told to."""

    name = "slow"

    def __init__(self) -> None:
        self.taken = 0
        self.go_on = asyncio.Event()

    async def send(self, batch: Batch) -> Receipt:
        if self.taken:
            await self.go_on.wait()
        self.taken += len(batch.records)
        return Receipt()


@pytest.mark.fault("F12")
async def test_two_hundred_thousand_records_behind_a_slow_consumer_cost_no_memory(
    tmp_path: Path,
) -> None:
    sink = Slow()
    async with open_spool(tmp_path / "s.db", "e1", OPTIONS) as spool, asyncio.TaskGroup() as tasks:
        forwarding = tasks.create_task(forward(spool, sink, limit=BATCH))
        for at in range(WARM):
            await spool.append(batch(at * BATCH), source="s")
        before = held()
        for at in range(WARM, WARM + MORE):
            await spool.append(batch(at * BATCH), source="s")
        grown = held() - before
        assert sink.taken == BATCH
        assert grown < 32 * MIB, f"{grown / MIB:.0f} MiB"  # decoded they would be over 100
        sink.go_on.set()
        while spool.settled("slow") < spool.head:
            await asyncio.sleep(0.05)
        forwarding.cancel()
        assert sink.taken == (WARM + MORE) * BATCH
        assert (await spool.books()).residual == 0
