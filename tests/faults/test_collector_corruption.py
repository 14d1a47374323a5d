"""A collector whose intake books were altered starts, says so, and takes uploads."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config import IntakeSection
from collector.dedupe import EpochBook
from collector.reception import STATE, STATE_DAMAGED
from collector.refill import STATE as REFILL
from gateway_core.intervals import Intervals
from gateway_core.spool import open_spool
from gateway_core.units import Address
from tests.fakes.edges import centre, upload

SETTINGS = IntakeSection(listen=(Address("127.0.0.1", 0),))


async def spoil(folder: Path, page: bytes) -> str:
    """Put other bytes in the place of the one page of the books; return its key."""
    (path,) = folder.rglob("spool.db")
    async with open_spool(path, "centre") as spool:
        (key,) = await spool.state(STATE)
        await spool.append([], source="test", state={key: page})
    return key


@pytest.mark.fault("F14")
@pytest.mark.parametrize(
    "page", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"received":[[5,1,2]]}', b'{"stored":"x"}']
)
async def test_a_page_that_cannot_be_read_is_kept_and_its_epoch_begins_anew(tmp_path, page):
    async with centre(tmp_path, SETTINGS) as here:
        await here.edge.send(upload(1, 50))
    key = await spoil(tmp_path, page)
    async with centre(tmp_path, SETTINGS) as here:
        kept = await here.spool.state(STATE_DAMAGED)
        assert kept == {STATE_DAMAGED + key.removeprefix(STATE): page}
        status, _ = await here.edge.send(upload(51, 60))
        assert status == 200
        (book,) = here.intake._reception.edges["e1"].epochs.values()
        assert book.missing() == [(1, 50)]
        assert book.residual == 0


def test_no_altered_bit_of_a_page_goes_unnoticed():
    page = EpochBook(Intervals([(1, 50), (61, 99)]), stored=89, began=5, contact=7).encode()
    assert EpochBook.decode(page).stored == 89
    unnoticed = []
    for at in range(len(page) * 8):
        bad = bytearray(page)
        bad[at // 8] ^= 1 << at % 8
        try:
            unnoticed.append(EpochBook.decode(bytes(bad)))
        except ValueError:
            continue
    whole = EpochBook.decode(page)
    assert [each for each in unnoticed if each != whole] == []


async def test_a_refill_request_that_cannot_be_read_keeps_nobody_from_starting(tmp_path):
    async with centre(tmp_path, SETTINGS) as here:
        bad = {f"{REFILL}e1/1": b"{"}
        await here.spool.append([], source="test", state=bad)
    async with centre(tmp_path, SETTINGS) as here:
        status, _ = await here.edge.send(upload(1, 10))
        assert status == 200
