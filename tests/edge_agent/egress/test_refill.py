"""What the centre asks for goes out once more: from spool or archive, by the policy, or as gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.archive import Archive, ArchiveOptions
from edge_agent.audit import entries
from edge_agent.egress import Declared
from edge_agent.grant import NONE, RAW
from edge_agent.ledger import Ledger
from edge_agent.policy import Policy
from edge_agent.refill import Refill
from edge_agent.uplink import Uplink
from gateway_core.errors import Unavailable
from gateway_core.forward import forward
from gateway_core.lanes import Lanes
from gateway_core.link import Link, LinkOptions
from gateway_core.meter import Meter
from gateway_core.model import (
    Alarm,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    Record,
    SystemHealth,
)
from gateway_core.spool import Spool, SpoolOptions, open_spool
from gateway_core.wire import REFILL_HEADER, SETTLED_HEADER, Ask
from tests.fakes.centre import FakeCentre, fake_centre

S = 1_000_000_000
NOON = 1_764_072_000 * S
GRANTS = {"t": RAW, "owner": NONE}
DECLARED = {
    "acme/th": Declared("acme/th", "env", "operational", "full", frozenset({"room"}), GRANTS)
}


def reading(n: int) -> Reading:
    time = NOON + n * S
    tags = {"room": "a"} if n % 2 else {}
    return Reading(
        "e1", f"d{n % 3}", "acme/th", "env", time, time + 5, {"t": n + 0.5}, tags, ("t:range",)
    )


OTHERS: list[Record] = [
    FeedHealth("e1", "f1", NOON + S, "offline", ("rtsp_timeout",), 3, 3, None, 0.0),
    SystemHealth("e1", "s1", NOON + 2 * S, "up", rtt_ms=1.25, up_s=60.0),
    Alarm("e1", "d1", "acme/th", "hot", "major", "raised", NOON + 3 * S, {"zh": "热", "en": "hot"}),
    Listed("e1", "device", "d1", NOON + 4 * S, "阀门", "acme/th", "3716", 37.1, 118.2, online=True),
    ProfileUse("e1", "acme/th", "1.0.0", "ab" * 32, NOON + 5 * S),
    Loss("e1", NOON + 6 * S, "old", 3, 9, "damaged", "a page"),
]


class Site:
    """An edge's outlets, with what the centre has been given already."""

    def __init__(self, spool: Spool, archive: Archive, uplink: Uplink, refill: Refill) -> None:
        self.spool = spool
        self.archive = archive
        self.uplink = uplink
        self.refill = refill

    async def deliver(self, *records: Record) -> None:
        """Let records come in, be archived and sent."""
        await self.spool.append(records, source="mqtt:site")
        for sink in (self.archive, self.uplink):
            while self.spool.settled(sink.name) < self.spool.head:
                batch = await self.spool.read(sink.name, 1000)
                receipt = await sink.send(batch)
                await self.spool.settle(sink.name, batch.first, batch.last, receipt)


@contextlib.asynccontextmanager
async def site(folder: Path, centre: FakeCentre, keep_s: float = 86_400.0) -> AsyncIterator[Site]:
    options = SpoolOptions(group_commit_s=0.001, keep_s=keep_s)
    async with (
        open_spool(folder / "spool.db", "e1", options) as spool,
        Link(LinkOptions(centre.url)) as link,
    ):
        await spool.register("archive")
        await spool.register("uplink")
        policy, ledger, meter = Policy(DECLARED), Ledger(folder / "ledger"), Meter()
        archive = Archive(folder / "archive", spool, lambda: NOON, ArchiveOptions(), meter)
        await archive.open()
        uplink = Uplink("e1", spool, policy, ledger, link)
        refill = Refill(spool, archive, uplink, policy, Lanes(share=0.5), lambda: NOON, meter)
        try:
            yield Site(spool, archive, uplink, refill)
        finally:
            ledger.close()


async def answered(site: Site, centre: FakeCentre) -> None:
    """Run the refill until the centre has nothing more to ask and no window is open."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(site.refill.run())
        async with asyncio.timeout(20):
            while site.refill._lacking or site.refill._new or site.refill._works:
                await asyncio.sleep(0.01)
        task.cancel()


def forget(centre: FakeCentre, first: int, last: int) -> None:
    """Let the centre be restored from before these numbers came."""
    for key in [key for key in centre.records if first <= key[2] <= last]:
        del centre.records[key]
    centre.lacks = (first, last)


@pytest.mark.fault("F21")
async def test_what_the_centre_lost_comes_again_once_and_is_entered_as_such(
    tmp_path: Path,
) -> None:
    async with fake_centre() as centre, site(tmp_path, centre) as edge:
        await edge.deliver(*(reading(n) for n in range(1, 12_001)))
        whole = dict(centre.records)
        before = (await edge.spool.books()).consumers["uplink"]
        forget(centre, 2_001, 11_000)
        await edge.uplink.beat()
        await answered(edge, centre)
        assert centre.records == whole
        assert centre.duplicates == 0
        assert (await edge.spool.books()).consumers["uplink"] == before
        assert centre.headers[SETTLED_HEADER] == "12000"
    batches = [one for one in entries(tmp_path / "ledger") if one.kind == "batch"]
    again = [(one.first, one.last) for one in batches if one.again]
    assert again == [(2_001, 7_000), (7_001, 11_000)]


async def test_the_policy_of_now_judges_what_is_sent_again(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre) as edge:
        await edge.deliver(*(reading(n) for n in range(1, 11)))
        edge.refill.adopt(Policy({}))
        forget(centre, 1, 10)
        await edge.uplink.beat()
        await answered(edge, centre)
        last = centre.uploads[-1]
        assert (last.seqs, last.withheld) == ([], {"unknown_profile": 10})
        assert centre.records == {}


async def test_what_the_spool_let_go_comes_from_the_archive_as_it_was(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre, keep_s=0.0) as edge:
        derived = Reading(
            "e1", "d1", "acme/th", "env_5m", NOON, NOON, {"t_mean": 1.5}, derived=True
        )
        mixed: list[Record] = [reading(1), *OTHERS, derived, *(reading(n) for n in range(2, 9))]
        await edge.deliver(*mixed)
        whole = dict(centre.records)
        while (await edge.spool.books()).oldest <= edge.spool.head:
            assert await edge.spool.tidy()
        forget(centre, 1, len(mixed))
        await edge.uplink.beat()
        await answered(edge, centre)
        assert centre.records == whole
        assert centre.uploads[-1].withheld["not_archived"] == 1
        assert {type(record) for record in centre.records.values()} >= {Reading, Alarm, Listed}


async def test_what_is_gone_is_said_once_with_its_reason(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre, keep_s=0.0) as edge:
        await edge.deliver(*(reading(n) for n in range(1, 11)))
        while (await edge.spool.books()).oldest <= edge.spool.head:
            assert await edge.spool.tidy()
        for part in edge.archive.shelf.all():
            edge.archive.shelf.remove(part, "age")
        forget(centre, 3, 10)
        for _ in range(2):
            await edge.uplink.beat()
            await answered(edge, centre)
        assert edge.spool.head == 11
        batch = await edge.spool.read("uplink", 10)
        (loss,) = batch.records
        assert isinstance(loss, Loss)
        assert (loss.epoch, loss.first, loss.last) == (edge.spool.epoch, 3, 10)
        assert "neither spool nor archive" in loss.detail


async def test_what_was_there_before_the_uplink_is_none_of_the_centre_s(tmp_path: Path) -> None:
    forgetful = SpoolOptions(group_commit_s=0.001, keep_s=0.0)
    async with open_spool(tmp_path / "spool.db", "e1", forgetful) as spool:
        await spool.register("archive")
        await spool.append([reading(n) for n in range(1, 6)], source="mqtt:site")
        await spool.settle("archive", 1, 5)
        await spool.tidy()
    async with fake_centre() as centre, site(tmp_path, centre) as edge:
        await edge.deliver(reading(6))
        centre.lacks = (1, 5)
        await edge.uplink.beat()
        await answered(edge, centre)
        assert centre.uploads[-1].withheld == {"before_uplink": 5}
        assert [seq for _, _, seq in centre.records] == [6]


async def test_a_window_is_sent_but_for_what_is_there_and_its_end_is_said(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre) as edge:
        await edge.deliver(*(reading(n) for n in range(1, 101)))
        centre.asks = [
            Ask(id="w1", since=0, until=1 << 62, have={edge.spool.epoch: [(1, 40), (61, 100)]})
        ]
        sent = len(centre.uploads)
        await edge.uplink.beat()
        await answered(edge, centre)
        again = [(u.first, u.last, len(u.records)) for u in centre.uploads[sent + 1 :]]
        assert again == [(41, 60, 20), (100, 100, 0)]
        assert centre.headers[REFILL_HEADER] == "w1 20 20 0 1"
        await edge.uplink.beat()  # the collector had not heard the end: it is said again
        await answered(edge, centre)
        assert centre.headers[REFILL_HEADER] == "w1 20 20 0 1"
        assert edge.refill.progress("w1").ended


async def test_a_collector_that_takes_nothing_is_given_it_later(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre) as edge:
        await edge.deliver(*(reading(n) for n in range(1, 4)))
        whole = dict(centre.records)
        forget(centre, 2, 3)
        await edge.uplink.beat()
        centre.answers = [503]
        with pytest.raises(Unavailable):
            await edge.refill.run()
        await answered(edge, centre)
        assert centre.records == whole


async def test_live_records_go_on_beside_a_refill(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre) as edge:
        await edge.deliver(*(reading(n) for n in range(1, 20_001)))
        forget(centre, 1, 20_000)
        await edge.uplink.beat()
        async with asyncio.TaskGroup() as group:
            lane = group.create_task(forward(edge.spool, edge.uplink, limit=100))
            await edge.spool.append([reading(n) for n in range(20_001, 20_501)], source="mqtt:site")
            await answered(edge, centre)
            while edge.spool.settled("uplink") < 20_500:
                await asyncio.sleep(0.01)
            lane.cancel()
    order = [u.first > 20_000 for u in centre.uploads if u.records]
    again = order[4:]  # behind the first four uploads of all
    assert again.index(True) < len(again) - 1 - again[::-1].index(False), "live records waited"
    assert len(centre.records) == 20_500
    assert centre.duplicates == 0
