"""Whatever the clock says, order is by number and nothing is lost: a boot in 1970, a jump of 30 days.

A machine without a battery starts in 1970 and learns the time later; one that was set wrong is put
back. The spool is told the time by a clock of the test's.
"""

from __future__ import annotations

import pytest

from gateway_core.clock import NS
from gateway_core.model import Loss
from gateway_core.spool import SpoolOptions, open_reader, open_spool
from tests.fakes.core import START, ToldClock, readings

DAY = 86_400.0
JUMPS = {
    "boot in 1970": -START / NS + 5,
    "back": -30 * DAY,
    "ahead": 30 * DAY,
    "to 2100": 73 * 365 * DAY,
}
OPTIONS = SpoolOptions(group_commit_s=0.0, keep_s=3600.0)


@pytest.mark.fault("F4")
@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS.keys())
async def test_a_clock_that_jumps_changes_neither_order_nor_what_is_kept(tmp_path, jump):
    path, clock = tmp_path / "s.db", ToldClock()
    async with open_spool(path, "edge-a", OPTIONS, clock) as spool:
        await spool.register("up")
        await spool.append(readings(1, 10), source="s")
        clock.pass_seconds(jump)
        await spool.append(readings(11, 20), source="s")
        await spool.tidy()
        epoch = spool.epoch
    async with open_spool(path, "edge-a", OPTIONS, clock) as spool:  # started again there
        clock.pass_seconds(-jump + 60)
        await spool.append(readings(21, 30), source="s")
        await spool.tidy()
        batch = await spool.read("up", 100)
        assert batch.records == readings(1, 30)
        assert spool.epoch == epoch
        await spool.settle("up", 1, 30)
        await spool.tidy()
        assert (await spool.books()).residual == 0
    with open_reader(path) as reader:
        left = reader.read_after(0, 100)
        assert left is None or not any(isinstance(each, Loss) for each in left.records)


@pytest.mark.fault("F4")
async def test_what_was_stored_in_1970_is_held_until_everybody_has_it(tmp_path):
    clock = ToldClock()
    clock.now = 5 * NS
    async with open_spool(tmp_path / "s.db", "edge-a", OPTIONS, clock) as spool:
        await spool.register("up")
        await spool.append(readings(1, 10), source="s")
        clock.now = START  # the network told the time: all of it is 56 years old now
        assert await spool.tidy() == 0
        assert (await spool.read("up", 100)).records == readings(1, 10)
        await spool.settle("up", 1, 10)
        assert await spool.tidy() == 1
