"""1,000 damages to spool files: each is noticed or harmless, and exactly what is lost is reported.

A bit is flipped, a page zeroed or the file cut short, anywhere in the database or its write-ahead
log. The spool opens again every time (after a second start at most), serves nothing wrong, and the
`Loss` records name exactly the numbers that are not served: nothing is missing in silence and
nothing that was served is called lost. The one thing that no reader can know is the end of a log
whose very last commit is torn: that is also what a power cut leaves.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3

import pytest

from gateway_core.model import Loss
from gateway_core.spool import SpoolDamaged, SpoolOptions, open_spool
from gateway_core.spool.schema import PAGE
from tests.fakes.core import reading, readings

OPTIONS = SpoolOptions(group_records=20, cache_records=1, max_bytes=8 << 20)
RECORDS, GROUP, SETTLED = 400, 20, 40
DAMAGES, PARTS = 1_000, 4
FRAME = PAGE + 24
LAST_COMMIT = 8 * FRAME


@pytest.fixture
async def closed(tmp_path):
    """A spool that was closed in order: one file."""
    async with open_spool(tmp_path / "closed.db", "edge-a", OPTIONS) as spool:
        await fill(spool)
    return {"s.db": (tmp_path / "closed.db").read_bytes()}


@pytest.fixture
async def killed(tmp_path):
    """A spool whose program was killed: the newest is in the write-ahead log alone."""
    async with open_spool(tmp_path / "killed.db", "edge-a", OPTIONS) as spool:
        await fill(spool)
        return {
            "s.db": (tmp_path / "killed.db").read_bytes(),
            "s.db-wal": (tmp_path / "killed.db-wal").read_bytes(),
        }


async def fill(spool) -> None:
    await spool.register("up")
    for n in range(1, RECORDS, GROUP):
        await spool.append(readings(n, n + GROUP - 1), source="s", state={f"k{n}": b"v"})
    await spool.settle("up", 1, SETTLED)


def damaged(files: dict[str, bytes], seed: int) -> tuple[dict[str, bytes], str]:
    """Damage one of the files; return them, and what was done."""
    dice = random.Random(seed)
    name = dice.choice(sorted(files))
    image = bytearray(files[name])
    most = len(image) - (LAST_COMMIT if name.endswith("-wal") else 0)
    at, how = dice.randrange(most), dice.choice(["flip"] * 8 + ["zero", "cut"])
    if how == "flip":
        image[at] ^= 1 << dice.randrange(8)
    elif how == "zero":
        at -= at % PAGE
        image[at : min(at + PAGE, most)] = bytes(min(PAGE, most - at))
    elif name.endswith("-wal"):
        how = "whole"  # a log that is cut short is a power cut, which loses nothing acknowledged
    else:
        del image[at:]
    return files | {name: bytes(image)}, f"seed {seed}: {name} {how} at {at}"


async def served(path) -> list[object]:
    """Everything that a consumer gets, over as many starts as it takes."""
    found: list[object] = []
    for _ in range(3):
        try:
            async with open_spool(path, "edge-a", OPTIONS) as spool:
                await spool.register("up")
                while spool.settled("up") < spool.head:
                    batch = await spool.read("up", 150)
                    found += batch.records
                    await spool.settle("up", batch.first, batch.last)
                assert (await spool.books()).residual == 0
                return found
        except SpoolDamaged:  # a bad page was met on the way: the next start saves the rest
            continue
    raise AssertionError("it does not start")


async def judge(folder, files: dict[str, bytes], seed: int) -> bool:
    """Damage, open and read; return whether anything was lost."""
    altered, what = damaged(files, seed)
    folder.mkdir()
    for name, image in altered.items():
        (folder / name).write_bytes(image)
    found = await served(folder / "s.db")
    losses = [each for each in found if isinstance(each, Loss)]
    good = {each.fields["n"]: each for each in found if not isinstance(each, Loss)}
    assert [n for n, each in good.items() if each != reading(n)] == [], what
    wanted = set(range(SETTLED + 1, RECORDS + 1))
    if any(each.epoch == "" for each in losses):  # of such a file not even its extent is left
        assert good == {}, what
        assert (folder / "s.db.damaged-1").exists(), what
    else:
        lost = {n for each in losses for n in range(each.first, each.last + 1)}
        assert wanted - good.keys() - lost == set(), f"{what}: missing in silence"
        assert lost & good.keys() == set(), f"{what}: served, and called lost"
        assert "cut" in what or "zero" in what or len(lost) <= 5 * GROUP, f"{what}: too much lost"
    shutil.rmtree(folder)
    return bool(losses)


@pytest.mark.fault("F14", "R12")
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
async def test_each_damage_is_noticed_or_harmless_and_what_is_lost_is_named(
    tmp_path, closed, killed, part
):
    lost = 0
    for seed in range(part, DAMAGES, PARTS):
        files = closed if seed % 3 else killed
        lost += await judge(tmp_path / f"d{seed}", files, seed)
    assert lost > 5


@pytest.mark.fault("F14")
@pytest.mark.parametrize("segment", [7, 10, 14])
async def test_an_altered_key_hides_nothing_that_stands_beyond_it(tmp_path, closed, segment):
    for name, image in closed.items():
        (tmp_path / name).write_bytes(image)
    with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as db:
        (root,) = db.execute("select rootpage from sqlite_schema where name = 'segment'").fetchone()
    image = bytearray((tmp_path / "s.db").read_bytes())
    page = (root - 1) * PAGE
    cell = page + int.from_bytes(image[page + 8 + 2 * segment : page + 10 + 2 * segment], "big")
    assert image[cell + 1] & 0x80  # the key is a varint of two bytes
    image[cell + 1] ^= 0x40  # 8,192 more: search for the next ones ends before it
    (tmp_path / "s.db").write_bytes(image)
    found = await served(tmp_path / "s.db")
    kept = {each.fields["n"] for each in found if not isinstance(each, Loss)}
    assert set(range(SETTLED + 1, RECORDS + 1)) - kept <= set(
        range(segment * GROUP + 1, segment * GROUP + GROUP + 1)
    )


@pytest.mark.fault("F14")
async def test_a_damaged_log_is_saved_behind_the_damage_too(tmp_path, killed):
    log = bytearray(killed["s.db-wal"])
    log[32 + 24 + 5 * FRAME + 100] ^= 1  # SQLite itself would forget all that came after it
    for name, image in (killed | {"s.db-wal": bytes(log)}).items():
        (tmp_path / name).write_bytes(image)
    found = await served(tmp_path / "s.db")
    kept = [each.fields["n"] for each in found if not isinstance(each, Loss)]
    assert len(kept) >= RECORDS - GROUP
    assert kept[-1] == RECORDS
    assert (tmp_path / "s.db.damaged-1-wal").exists()
