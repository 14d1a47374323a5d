"""Everything that leaves the site is entered first, and no entry can be changed unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.audit import entries, verify
from edge_agent.ledger import Departure, Ledger, LedgerOptions
from edge_agent.ledger_entry import GENESIS, Head

NOON = 1_764_072_000_000_000_000  # 2025-11-25T12:00:00Z


def departure(first: int) -> Departure:
    return Departure(
        to="http://centre",
        epoch="ep",
        first=first,
        last=first + 9,
        bytes=512,
        sha256="ab" * 32,
        records={"Reading": 8},
        withheld={"profile": 2},
    )


async def filled(
    folder: Path, count: int = 5, options: LedgerOptions | None = None
) -> tuple[Ledger, Head]:
    ledger = Ledger(folder, lambda: NOON, options or LedgerOptions())
    for index in range(count):
        number = await ledger.enter(departure(10 * index + 1))
        await ledger.mark(number, "accepted", "8 new")
    return ledger, ledger.durable


async def test_a_batch_and_its_outcome_are_two_entries_of_one_chain(tmp_path: Path) -> None:
    ledger, _ = await filled(tmp_path, 1)
    ledger.close()
    batch, outcome = entries(tmp_path)
    assert (batch.n, batch.kind, batch.prev, batch.at) == (
        1,
        "batch",
        GENESIS,
        "2025-11-25T12:00:00.000+00:00",
    )
    assert (batch.first, batch.last, batch.records, batch.withheld) == (
        1,
        10,
        {"Reading": 8},
        {"profile": 2},
    )
    assert (outcome.kind, outcome.of, outcome.outcome) == ("outcome", 1, "accepted")
    audit = verify(tmp_path)
    assert (audit.entries, audit.batches, audit.faults) == (2, 1, [])


async def test_an_entry_is_in_the_file_before_its_batch_may_leave(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, lambda: NOON)
    assert await ledger.enter(departure(1)) == 1
    assert [entry.first for entry in entries(tmp_path)] == [1]
    assert ledger.durable.n == 1
    ledger.close()


@pytest.mark.fault("F14")
async def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    ledger, anchor = await filled(tmp_path, 2)
    ledger.close()
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x01
        file.write_bytes(changed)
        assert verify(tmp_path, anchor).faults, f"byte {place}"


@pytest.mark.parametrize("gone", [0, 1, 4, 8])
async def test_a_removed_entry_is_found(tmp_path: Path, gone: int) -> None:
    ledger, anchor = await filled(tmp_path, 5)
    ledger.close()
    (file,) = tmp_path.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    del lines[gone]
    file.write_bytes(b"".join(lines))
    assert verify(tmp_path, anchor).faults


async def test_reordered_entries_are_found(tmp_path: Path) -> None:
    ledger, _ = await filled(tmp_path, 5)
    ledger.close()
    (file,) = tmp_path.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    lines[3], lines[5] = lines[5], lines[3]
    file.write_bytes(b"".join(lines))
    assert verify(tmp_path).faults


async def test_a_ledger_that_was_cut_or_begun_anew_does_not_fit_its_anchor(tmp_path: Path) -> None:
    ledger, anchor = await filled(tmp_path / "one", 5)
    ledger.close()
    (file,) = (tmp_path / "one").iterdir()
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:4]))
    assert verify(tmp_path / "one").faults == []
    assert verify(tmp_path / "one", anchor).faults == [
        f"{tmp_path / 'one'}: entry 9 is gone or was replaced"
    ]
    assert verify(tmp_path / "none", anchor).faults
    assert Head.parse(str(anchor)) == anchor


@pytest.mark.parametrize("torn", [b'{"n":11,"at":"2025', b"\0" * 300, b"\0" * 20 + b"\n"])
async def test_a_line_torn_by_a_crash_is_cut_off_and_noted(tmp_path: Path, torn: bytes) -> None:
    ledger, anchor = await filled(tmp_path, 5)
    ledger.close()
    (file,) = tmp_path.iterdir()
    with file.open("ab") as raw:
        raw.write(torn)
    again, _ = await filled(tmp_path, 1)
    again.close()
    noted = [entry for entry in entries(tmp_path) if entry.kind == "repaired"]
    assert [(entry.n, entry.bytes) for entry in noted] == [(11, len(torn))]
    assert verify(tmp_path, anchor).faults == []


async def test_the_ledger_keeps_to_its_budget_and_says_what_it_removed(tmp_path: Path) -> None:
    small = LedgerOptions(file_bytes=2000, max_bytes=8000)
    ledger, anchor = await filled(tmp_path, 60, small)
    ledger.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 9000
    audit = verify(tmp_path, anchor)
    assert audit.faults == []
    assert audit.first > 1
    pruned = [entry for entry in entries(tmp_path) if entry.kind == "pruned"]
    assert pruned[-1].last == audit.first - 1
    oldest = min(tmp_path.iterdir())
    oldest.unlink()
    assert verify(tmp_path, anchor).faults


async def test_a_ledger_goes_on_where_an_earlier_life_ended(tmp_path: Path) -> None:
    small = LedgerOptions(file_bytes=1000)
    for _ in range(4):
        ledger, _ = await filled(tmp_path, 3, small)
        ledger.close()
    audit = verify(tmp_path, ledger.durable)
    assert (audit.entries, audit.faults) == (24, [])


async def test_a_file_left_empty_by_a_crash_does_not_break_the_chain(tmp_path: Path) -> None:
    ledger, _ = await filled(tmp_path, 2)
    ledger.close()
    (tmp_path / "ledger-000000000005.jsonl").touch()
    ledger, anchor = await filled(tmp_path, 1)
    ledger.close()
    assert anchor.n == 5
    assert verify(tmp_path, anchor).faults == []
