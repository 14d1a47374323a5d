"""What leaves nothing is told as a range, so the centre never waits for it."""

from __future__ import annotations

from pathlib import Path

from edge_agent.covered import Untold
from edge_agent.ledger import Ledger
from edge_agent.policy import Policy
from edge_agent.uplink import STATE_COVERED, Uplink
from gateway_core.link import Link, LinkOptions
from gateway_core.model import Batch
from gateway_core.spool import open_spool
from tests.edge_agent.egress.test_egress_uplink import DECLARED, SECRET, reading, site
from tests.fakes.centre import fake_centre


async def test_a_range_of_which_nothing_leaves_is_told_with_the_next_that_does(
    tmp_path: Path,
) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        one.uplink._told_at = one.now
        local = [reading(1, owner_phone=SECRET), reading(2, owner_phone=SECRET)]
        receipt = await one.uplink.send(Batch(1, local))  # type: ignore[arg-type]
        assert receipt.dropped == {"policy": 2}
        assert receipt.state[STATE_COVERED] is not None
        assert centre.bodies == []
        receipt = await one.uplink.send(Batch(3, [reading(3)]))
        assert receipt.state[STATE_COVERED] is None
        (upload,) = centre.uploads
        assert (upload.first, upload.last, upload.seqs) == (1, 3, [3])
        assert upload.withheld == {"profile": 2}


async def test_a_site_that_keeps_everything_tells_its_range_now_and_then(tmp_path: Path) -> None:
    async with fake_centre() as centre, site(tmp_path, centre.url) as one:
        one.uplink._told_at = one.now
        for first in range(1, 31):
            await one.uplink.send(Batch(first, [reading(first, owner_phone=SECRET)]))
            one.now += 1_000_000_000
        assert [(each.first, each.last) for each in centre.uploads] == [(1, 11), (12, 21)]
        assert all(not each.records for each in centre.uploads)


def test_untold_ranges_merge_survive_and_repeat_without_effect() -> None:
    untold = Untold()
    untold.add(1, 5, {"profile": 5})
    untold.add(9, 9, {"profile": 1})
    untold.add(1, 5, {"profile": 5})
    untold.add(6, 8, {"site:1": 3})
    again = Untold(untold.encode() or b"")
    (only,) = again.all()
    assert (only.first, only.last, only.withheld) == (1, 9, {"profile": 6, "site:1": 3})
    assert again.before(10) == only
    again.drop([only])
    assert again.encode() is None


async def test_untold_ranges_that_a_bad_disk_made_unreadable_stop_nothing(tmp_path: Path) -> None:
    async with (
        open_spool(tmp_path / "spool.db", "e1") as spool,
        Link(LinkOptions("http://[::1]:1")) as link,
    ):
        ledger = Ledger(tmp_path / "ledger")
        Uplink("e1", spool, Policy(DECLARED), ledger, link, state=b"\xc1\x00")
        ledger.close()
