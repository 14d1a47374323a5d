"""What comes in while the clock is not trusted is stored, marked, and put right once it is.

The keeper, the pipeline and the spool are the real ones; the machine's clocks are the test's.
"""

from __future__ import annotations

import contextlib

import pytest

from edge_agent.clock.keeper import KEY, Keeper, Machine
from gateway_core.clock import NS
from gateway_core.meter import Meter
from gateway_core.model import Alarm, FeedHealth, Reading, SystemHealth
from gateway_core.spool import SpoolOptions, open_spool
from tests.fakes.core import START, refusal
from tests.fakes.edge import Hands

BOOT_1970 = 5 * NS
NOW = 1_800_000_000 * NS
HOUR = 3600 * NS
OPTIONS = SpoolOptions(group_commit_s=0.0, keep_s=3600.0, group_records=10)


class Site:
    """A machine that runs, and the agent's spool and keeper on it."""

    def __init__(self, path, wall: int) -> None:
        self.path, self.clock = path, Hands(wall)
        self.steady, self.service, self.boot = Hands(40 * NS), None, "boot-1"
        self.machine = Machine(self.steady, lambda: self.service, lambda: self.boot)
        self.n = 0

    @contextlib.asynccontextmanager
    async def running(self, **told):
        async with open_spool(self.path, "e1", OPTIONS, self.clock) as self.spool:
            await self.spool.register("up")
            saved = (await self.spool.state(KEY)).get(KEY, b"")
            self.keeper = Keeper(self.spool, self.clock, self.machine, saved, Meter(), **told)
            yield self

    def run(self, seconds: float) -> None:
        self.clock.pass_s(seconds)
        self.steady.pass_s(seconds)

    async def take(self, count: int, own: int = 0, refused=()) -> None:
        """Store readings a second apart, their own time so far from the receipt; 0: none."""
        for _ in range(count):
            self.n += 1
            self.run(1)
            now = self.clock.now
            time = own or now
            state = self.keeper.news()
            records = [Reading("e1", "d1", "p", "env", time, now, {"n": self.n})]
            records = self.keeper.stamp(records)
            await self.spool.append(records, refused, source="s", state=state)

    async def stored(self) -> list[tuple[float, tuple[str, ...]]]:
        """How far each reading's receipt is from the start of the test, and its flags."""
        batch = await self.spool.read_after(0, 1000)
        readings = [each for each in batch.records if isinstance(each, Reading)]
        assert [each.fields["n"] for each in readings] == [*range(1, len(readings) + 1)]
        return [((each.received - NOW) / NS, each.flags) for each in readings]


@pytest.mark.fault("F4")
async def test_what_came_in_1970_gets_its_true_receive_times_once_the_clock_is_set(tmp_path):
    async with Site(tmp_path / "s.db", BOOT_1970).running() as site:
        await site.take(25)
        assert site.keeper.doubtful
        assert site.keeper.holding is False  # nothing was told to wait
        assert {flags for _, flags in await site.stored()} == {("time:unset",)}
        site.clock.now = NOW + 25 * NS
        await site.keeper.attend()
        await site.take(5)
        assert await site.stored() == [
            *((n, ("time:repaired",)) for n in range(1, 26)),
            *((n, ()) for n in range(26, 31)),
        ]
        batch = await site.spool.read("up", 1000)
        assert [each.time for each in batch.records] == [NOW + n * NS for n in range(1, 31)]
        assert (await site.spool.books()).residual == 0
        assert site.keeper.marked == {"unset": 25, "repaired": 25}


@pytest.mark.fault("F4")
async def test_who_is_to_follow_the_clock_is_told_how_far_it_was_set(tmp_path):
    async with Site(tmp_path / "s.db", BOOT_1970).running() as site:
        told = []
        site.keeper.stepped = told.append
        site.run(60)
        site.keeper.news()
        assert told == []
        site.clock.now = NOW
        site.keeper.news()
        (step,) = told
        assert step.by == NOW - (BOOT_1970 + 60 * NS)
        assert step.shown(BOOT_1970 + 30 * NS) == NOW - 30 * NS
        assert step.shown(NOW) == NOW


@pytest.mark.fault("F4")
async def test_an_alarm_and_a_verdict_of_a_doubted_clock_say_so_and_that_they_were_put_right(
    tmp_path,
):
    async with Site(tmp_path / "s.db", BOOT_1970).running() as site:
        said = [
            Alarm("e1", "d1", "p", "hot", "major", "raised", site.clock.now),
            FeedHealth("e1", "f1", site.clock.now, "offline"),
            SystemHealth("e1", "s1", site.clock.now, "down"),
        ]
        stamped = site.keeper.stamp(said)
        assert [each.mark for each in stamped] == ["unset"] * 3
        await site.spool.append(stamped, source="agent", state=site.keeper.news())
        site.clock.now = NOW
        await site.keeper.attend()
        batch = await site.spool.read("up", 10)
        assert [(each.time, each.mark) for each in batch.records] == [(NOW, "repaired")] * 3
        plain = Alarm("e1", "d1", "p", "hot", "major", "cleared", NOW)
        assert site.keeper.stamp([plain]) == [plain]


@pytest.mark.fault("F4")
async def test_a_time_that_the_device_knew_is_kept_and_one_far_ahead_is_replaced(tmp_path):
    async with Site(tmp_path / "s.db", BOOT_1970).running() as site:
        await site.take(1, own=NOW - 3 * NS)
        await site.take(1, own=NOW + 400 * 24 * HOUR)
        site.clock.now = NOW
        await site.keeper.attend()
        known, ahead = (await site.spool.read_after(0, 10)).records
        assert (known.time, known.received, known.flags) == (
            NOW - 3 * NS,
            NOW - NS,
            ("time:repaired",),
        )
        assert (ahead.time, ahead.received) == (NOW, NOW)
        assert ahead.flags == ("time:repaired", "time:replaced")


@pytest.mark.fault("F4")
async def test_a_jump_of_an_hour_and_back_keeps_the_order_and_is_put_right(tmp_path):
    for hours in (1, -1):
        async with Site(tmp_path / f"{hours}.db", NOW).running() as site:
            await site.take(15)
            site.clock.now += hours * HOUR
            await site.take(15)
            assert [flags for _, flags in await site.stored()][15:] == [("time:jumped",)] * 15
            site.clock.now -= hours * HOUR
            await site.take(5)
            await site.keeper.attend()
            assert await site.stored() == [
                *((n, ()) for n in range(1, 16)),
                *((n, ("time:repaired",)) for n in range(16, 31)),
                *((n, ()) for n in range(31, 36)),
            ]


@pytest.mark.fault("F4")
async def test_an_agent_that_was_killed_goes_on_and_puts_right_what_it_took_in_before(tmp_path):
    site = Site(tmp_path / "s.db", BOOT_1970)
    async with site.running():
        await site.take(12)
    site.run(60)
    async with site.running():
        await site.take(3)
        site.clock.now = NOW + 75 * NS
        await site.keeper.attend()
        assert await site.stored() == [
            *((n, ("time:repaired",)) for n in range(1, 13)),
            *((n, ("time:repaired",)) for n in range(73, 76)),
        ]


@pytest.mark.fault("F4")
async def test_after_another_start_of_the_machine_what_nobody_knows_stays_marked(tmp_path):
    site = Site(tmp_path / "s.db", BOOT_1970)
    async with site.running():
        await site.take(12)
    site.boot, site.clock.now, site.steady.now = "boot-2", NOW, 20 * NS
    async with site.running():
        await site.keeper.attend()
        await site.take(2)
        flags = [flags for _, flags in await site.stored()]
        assert flags == [("time:unset",)] * 12 + [()] * 2


@pytest.mark.fault("F4")
async def test_putting_right_that_was_cut_short_goes_on_and_does_nothing_twice(tmp_path):
    site = Site(tmp_path / "s.db", BOOT_1970)
    async with site.running():
        await site.take(700)
        alarm = Alarm("e1", "d1", "p", "hot", "major", "raised", site.clock.now)
        await site.spool.append([alarm], source="s")
        amend = site.spool.amend

        async def one_step(first, change):
            assert await site.spool._do(change(first)) is not None

        site.spool.amend = one_step
        site.clock.now = NOW + 700 * NS
        await site.keeper.attend()
        site.spool.amend = amend
    site.boot = "boot-2"  # how much it was is known: it goes on after a start of the machine too
    for _ in range(2):
        async with site.running():
            await site.keeper.attend()
            assert [at for at, _ in await site.stored()] == [*range(1, 701)]
            assert (await site.spool.read_after(700, 1)).records[0].time == NOW + 700 * NS


@pytest.mark.fault("F4")
async def test_refused_payloads_and_commits_get_their_true_times_too(tmp_path):
    async with Site(tmp_path / "s.db", BOOT_1970).running() as site:
        await site.spool.append([], [refusal(BOOT_1970 - START)], source="s")
        await site.take(1)
        site.clock.now = NOW
        await site.keeper.attend()
        ((_, kept),) = await site.spool.refusals(10)
        assert NOW - 3 * NS <= kept.received <= NOW
        assert await site.spool.committed(NOW - 2 * NS, NOW) is not None


@pytest.mark.fault("F4")
async def test_where_a_time_service_was_once_readings_are_unsynced_until_it_is_back(tmp_path):
    site = Site(tmp_path / "s.db", NOW)
    site.service = True
    async with site.running():
        await site.take(1)
        await site.keeper.attend()
    site.boot, site.service = "boot-2", False
    async with site.running():
        await site.take(1)
        site.service = True
        await site.keeper.attend()
        await site.take(1)
        assert [flags for _, flags in await site.stored()] == [(), (), ()]  # it was right
        assert site.keeper.marked == {"unsynced": 1}


async def test_records_wait_while_the_clock_is_not_set_but_alarms_do_not(tmp_path):
    async with Site(tmp_path / "s.db", BOOT_1970).running(wait_s=300) as site:
        assert site.keeper.holding
        ready = site.keeper.gate()
        alarm = Alarm("e1", "d1", "p", "hot", "major", "raised", site.clock.now)
        await site.spool.append([alarm], source="s")
        await ready()
        assert site.keeper.holding
        site.run(301)
        assert not site.keeper.holding


async def test_what_was_saved_and_cannot_be_read_costs_the_memory_and_not_the_start(tmp_path):
    site = Site(tmp_path / "s.db", NOW)
    async with site.running():
        await site.spool.append((), source="s", state={KEY: b'{"boot": 7, \xff'})
    async with site.running():
        await site.take(1)
        assert [flags for _, flags in await site.stored()] == [()]
