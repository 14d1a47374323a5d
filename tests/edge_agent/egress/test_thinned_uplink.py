"""The promise: a withheld value is in the books, and a repeated upload is the same to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.egress import Declared
from edge_agent.grant import RAW, Thin
from edge_agent.ledger import Ledger
from edge_agent.policy import Policy
from edge_agent.uplink import Uplink
from gateway_core.clock import NS
from gateway_core.errors import Unavailable
from gateway_core.link import Link, LinkOptions
from gateway_core.model import Reading
from gateway_core.spool import SpoolOptions, open_spool
from tests.fakes.centre import fake_centre

RULES = Policy(
    {
        "p": Declared(
            "p", "env", "public", "full", frozenset(), {"t": RAW}, {"t": Thin(0.5, 600 * NS)}
        )
    }
)


def reading(second: int, value: float) -> Reading:
    return Reading("e1", "d1", "p", "env", second * NS, second * NS, {"t": value})


async def test_withheld_values_balance_the_books_and_a_repeated_upload_is_the_same(
    tmp_path: Path,
) -> None:
    options = SpoolOptions(group_commit_s=0.001)
    async with (
        fake_centre() as centre,
        open_spool(tmp_path / "spool.db", "e1", options) as spool,
        Link(LinkOptions(centre.url)) as link,
    ):
        ledger = Ledger(tmp_path / "ledger")
        uplink = Uplink("e1", spool, RULES, ledger, link)
        await spool.register(uplink.name)
        values = (20.0, 20.2, 20.4, 21.0, 20.8)
        await spool.append([reading(n, v) for n, v in enumerate(values)], source="mqtt:site")
        batch = await spool.read(uplink.name, 100)
        centre.answers = [500]
        with pytest.raises(Unavailable):
            await uplink.send(batch)
        await spool.settle(uplink.name, 1, 5, await uplink.send(batch))
        books = (await spool.books()).consumers["uplink"]
        ledger.close()
    assert centre.bodies[0] == centre.bodies[1]
    assert [upload.withheld for upload in centre.uploads] == [{"deadband": 3}]
    assert sorted(seq for _, _, seq in centre.records) == [1, 4]
    assert (books.delivered, books.dropped, books.residual) == (2, {"deadband": 3}, 0)
