"""Every altered bit of a cursor: no record is skipped, and nothing is called lost that is there.

A cursor that was set forward would skip records in silence, which no checksum of theirs can show.
"""

from __future__ import annotations

import apsw
import pytest

from gateway_core.model import Loss
from gateway_core.spool import SpoolDamaged, SpoolOptions, open_spool
from tests.fakes.core import readings

OPTIONS = SpoolOptions(group_records=50, cache_records=1)
RECORDS, SETTLED = 400, 150


@pytest.fixture
async def image(tmp_path):
    path = tmp_path / "whole.db"
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        await spool.register("up")
        await spool.register("slow")
        await spool.append(readings(1, RECORDS), source="s")
        await spool.settle("up", 1, SETTLED)
    return path.read_bytes()


async def waiting(path) -> list[int]:
    """The numbers that a consumer gets from here on; Losses are not among them."""
    for _ in range(2):
        try:
            async with open_spool(path, "edge-a", OPTIONS) as spool:
                found: list[int] = []
                await spool.register("up")
                while spool.settled("up") < spool.head:
                    batch = await spool.read("up", 100)
                    assert not [each for each in batch.records if isinstance(each, Loss)]
                    found += [each.fields["n"] for each in batch.records]
                    await spool.settle("up", batch.first, batch.last)
                return found
        except SpoolDamaged:
            continue
    raise AssertionError("it does not start")


@pytest.mark.fault("F14")
async def test_no_altered_bit_of_a_cursor_skips_a_record(tmp_path, image):
    wanted = list(range(SETTLED + 1, RECORDS + 1))
    for bit in range(63):
        path = tmp_path / f"{bit}.db"
        path.write_bytes(image)
        with apsw.Connection(str(path)) as db:
            db.execute(
                "UPDATE consumer SET settled = (settled | ?1) - (settled & ?1) WHERE name = 'up'",
                (1 << bit,),
            )
        db.close()
        found = await waiting(path)
        assert found[-len(wanted) :] == wanted, f"bit {bit}"
