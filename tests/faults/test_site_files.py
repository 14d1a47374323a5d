"""Damage to the files of an edge that are not tables: archive, raw store, ledger, key, spool's state.

Nothing that was altered is served: on-site history says how many rows are missing and keeps the
damaged file, the raw store passes over a block and says where, the ledger's audit finds it. Whatever
stands in the state of a spool, the agent is built on it and runs.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edge_agent.archive import Archive
from edge_agent.audit import verify
from edge_agent.balance import Balances
from edge_agent.config import load_edge_config
from edge_agent.history import History
from edge_agent.ledger import Departure, Ledger
from edge_agent.question import read_question
from edge_agent.raw.reader import Damage, RawReader
from edge_agent.raw.store import RawStore
from edge_agent.run import replay_offline
from gateway_core.aside import asides
from gateway_core.model import Loss, Reading
from gateway_core.spool import SpoolOptions, open_spool
from tests.edge_agent.raw.test_raw_reader import block, message
from tests.fakes.core import ToldClock
from tests.fakes.edge import ENV, NOW, write_profile
from tests.faults.damage import damage, fresh

S = 1_000_000_000
NOON = 1_764_072_000 * S
AT_ONCE = SpoolOptions(group_commit_s=0.0)


async def history(folder: Path, spool) -> tuple[list[object], tuple[str, ...]]:
    """Every row that a site's history serves, and what it says with it."""
    archive = Archive(folder, spool, lambda: NOON + 86_400 * S)
    asked = read_question(
        {"measurement": "env", "start": "-30d", "limit": 10_000}, NOON + 86_400 * S
    )
    found = await History(archive, spool, folder.parent / "spill").query(asked)
    return found.rows, found.notes


@pytest.mark.fault("F14")
async def test_on_site_history_serves_nothing_altered_and_says_what_is_missing(tmp_path):
    async with open_spool(tmp_path / "spool.db", "e1", AT_ONCE) as spool:
        archive = Archive(tmp_path / "whole", spool, lambda: NOON)
        await spool.register("archive")
        for part in range(2):
            many = [
                Reading("e1", f"d{n % 9}", "a/b", "env", NOON + n * S, NOON, {"t": n * 0.5})
                for n in range(part * 300, part * 300 + 300)
            ]
            await spool.append(many, source="s")
            batch = await spool.read("archive", 1000)
            await archive.send(batch)
            await spool.settle("archive", batch.first, batch.last)
        wanted, _ = await history(tmp_path / "whole", spool)
        assert len(wanted) == 600
        missed = 0
        for seed in range(200):
            folder = fresh(tmp_path / "d", tmp_path / "whole")
            path = random.Random(seed).choice(sorted(folder.rglob("*.parquet")))
            what = damage(path, seed)
            rows, notes = await history(folder, spool)
            assert [row for row in rows if row not in wanted] == [], what
            if rows != wanted:
                missed += 1
                assert len(rows) == 300, what
                assert notes[0].startswith("300 rows are missing"), what
                assert len(asides([folder])) == 1, what
        assert missed == 200


@pytest.mark.fault("F14")
def test_a_damaged_block_of_raw_messages_costs_itself_and_is_told(tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    blocks = [block(*(message(n * 10 + k) for k in range(10)))[0] for n in range(20)]
    (folder / "000000000001.tgraw").write_bytes(b"".join(blocks))
    for seed in range(300):
        here = fresh(tmp_path / "d", folder)
        what = damage(here / "000000000001.tgraw", seed)
        store = RawStore(here, clock=lambda: NOW)
        store.start()
        store.close()
        told: list[Damage] = []
        found = [int(one.arrival.payload) for one in RawReader(here, told.append).read()]
        assert found == sorted(set(found)), what
        assert set(found) <= set(range(200)), what
        if "flip" in what:
            assert len(found) >= 190, what
        short = [each for each in ("cut", "empty") if each in what]  # as a crash leaves the end
        assert told or short or asides([here]) or len(found) == 200, what


@pytest.mark.fault("F14")
async def test_every_damage_to_the_ledger_is_found_and_it_goes_on(tmp_path):
    ledger = Ledger(tmp_path / "whole")
    for n in range(30):
        entry = await ledger.enter(Departure("c", "ep", n * 10 + 1, n * 10 + 10, 99, "0" * 64))
        await ledger.mark(entry, "accepted")
    await ledger.enter(Departure("c", "ep", 301, 310, 99, "0" * 64))
    anchor = ledger.durable
    ledger.close()
    for seed in range(200):
        folder = fresh(tmp_path / "d", tmp_path / "whole")
        (path,) = folder.glob("ledger-*.jsonl")
        before = path.read_bytes()
        what = damage(path, seed)
        again = Ledger(folder)
        await again.enter(Departure("c", "ep", 311, 320, 99, "0" * 64))
        again.close()
        assert verify(folder, anchor).faults, what
        left = b"".join(each.read_bytes() for each in folder.iterdir() if each.is_file())
        if "garbage" in what or "zero" in what:
            assert len(left) >= len(before) - 4096, f"{what}: something was deleted"


@pytest.mark.fault("F14")
async def test_a_damaged_key_is_set_aside_and_the_books_are_closed_with_another(tmp_path):
    clock = ToldClock()
    async with open_spool(tmp_path / "spool.db", "e1", AT_ONCE, clock) as spool:
        (tmp_path / "whole").mkdir()
        key = tmp_path / "whole" / "identity.key"
        whole = (await Balances("e1", spool, key, None, clock).close()).key
        others = 0
        for seed in range(200):
            folder = fresh(tmp_path / "d", tmp_path / "whole")
            what = damage(folder / "identity.key", seed)
            signed = await Balances("e1", spool, folder / "identity.key", None, clock).close()
            if signed.key != whole:
                others += 1
                assert [each for each in asides([folder]) if "identity.key" in each.file], what
        assert others > 150


@pytest.mark.fault("F14")
@pytest.mark.parametrize("how", ["folder", "empty", "gone", "garbage"])
async def test_a_spool_that_is_no_file_any_more_is_a_loss_and_the_agent_starts(tmp_path, how):
    path = tmp_path / "spool.db"
    async with open_spool(path, "e1", AT_ONCE) as spool:
        await spool.append([Reading("e1", "d1", "a/b", "env", 1, 1, {"t": 1})], source="s")
    if how == "garbage":
        path.write_bytes(random.Random(1).randbytes(20_000))
    else:
        path.unlink()
    if how == "folder":
        path.mkdir()
    if how == "empty":
        path.touch()
    async with open_spool(path, "e1", AT_ONCE) as spool:
        await spool.register("up")
        batch = await spool.read_after(0, 10)
    assert [type(each) for each in batch.records] == [Loss]
    assert batch.records[0].reason == "damaged"
    assert len(asides([tmp_path])) == (how in {"folder", "garbage"})
    async with open_spool(path, "e1", AT_ONCE) as spool:  # it is said once
        assert spool.head == 1


STATE = (
    "alarm/d1", "silence/d1", "memory/dedup/x", "held/fragments/x/1", "lineage/test/env",
    "camera/login/h/0123/", "camera/alarm/parent_lost/p", "camera/maintenance/f",
    "aggregate/window/00/60", "aggregate/horizon/00", "balance/last", "balance/sent",
    "balance/n/000000001", "uplink/covered", "uplink/run", "uplink/ledger", "refill/gone",
    "mqtt/site/x", "listen/x/y", "profile/x",
)  # fmt: skip


@pytest.mark.fault("F14")
@pytest.mark.parametrize(
    "value", [b"", b"{", b"null", b"\xff\xfe", b"\xc1", b"\x94\x01", b"[[1,2]]"]
)
async def test_whatever_stands_in_its_state_the_agent_is_built(tmp_path, value):
    write_profile(tmp_path / "profiles", ENV)
    (tmp_path / "edge.yaml").write_text(
        f"edge: {{id: e1, area: '3716', data_dir: {tmp_path}/var}}\nprofiles: [{tmp_path}/profiles]\n"
        f"uplink: {{url: 'http://127.0.0.1:9'}}\nadmin: {{listen: '127.0.0.1:0'}}\n"
    )
    config = load_edge_config(tmp_path / "edge.yaml")
    async with open_spool(tmp_path / "var" / "spool.db", "e1", AT_ONCE) as spool:
        await spool.append([], source="s", state=dict.fromkeys(STATE, value))
    done = await replay_offline(config)
    assert done.tried == 0
