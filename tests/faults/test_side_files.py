"""Damage to the files beside an edge's spool: it starts, keeps what is sound, and says what is not.

Registry, commands and what pictures are like are plain SQLite files, which notice no altered value
by themselves. Whatever is done to one: it opens, nothing in it is other than what was written, what
is missing has a finding, and the damaged file is still there. One whose owner is another is whole:
the program ends with what to do.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from edge_agent.cameras.baseline import Sample
from edge_agent.cameras.baselines import BaselineStore
from edge_agent.commands.book import CommandBook
from edge_agent.commands.order import Order
from edge_agent.register import Register
from gateway_core.aside import asides
from gateway_core.errors import ConfigError, GatewayError
from tests.faults.damage import damage, fresh, locked_away

DAMAGES = 200
ORDER = Order(
    id="01", device="d1", profile="p", name="open", args={"to": 1.5}, role="operator", by="me",
    via="mqtt:site", address="a", payload=b"\x00\xff" * 20, answer="", accepted=1, expires=2,
    state="accepted", changed=1,
)  # fmt: skip
SLOT = (Sample(1, 0.5, 12.0, 3.0, 1.0, 0.0, 0.0, b"l" * 9, b"c" * 40, b"e" * 40),) * 4
SCHEMA_PAGE = 4096
"""Of a file whose description of itself is damaged, nothing is known to be sound."""


def device(n: int) -> dict[str, object]:
    return {
        "id": f"d{n:03d}", "profile": "test/env", "address": f"tg/d{n:03d}/up", "name": "门口",
        "lat": 37.0 + n, "lon": 118, "origin": "seen", "first_seen": n, "last_seen": 10 + n,
        "online": True, "source": "mqtt:site", "heard": "", "peer": "", "said": "",
    }  # fmt: skip


def feed(n: int) -> dict[str, object]:
    return {"id": f"cam-{n:03d}", "state": "online", "judged": n, "faults": ""}


def order(n: int) -> Order:
    return replace(ORDER, id=f"{n:03d}", ended=n % 3 == 0, changed=n)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    folder = tmp_path / "whole"
    register = Register(folder / "registry.db")
    rows = [tuple(device(n).values()) for n in range(150)]
    register.save(rows, map(feed, range(150)), (), ("epoch", 7))
    register.close()
    book = CommandBook(folder / "commands.db")
    for n in range(60):
        book.enter(order(n))
    book.close()
    return folder


@pytest.mark.fault("F14")
def test_a_damaged_registry_holds_only_what_was_written_and_the_rest_is_asked_of_the_spool(
    tmp_path, whole
):
    mended = 0
    for seed in range(DAMAGES):
        folder = fresh(tmp_path / "d", whole)
        what = damage(folder / "registry.db", seed)
        register = Register(folder / "registry.db")
        devices, feeds, mark = register.devices(dict), register.feeds(), register.mark()
        register.close()
        assert [row for row in devices if _plain(row) != device(int(row["id"][1:]))] == [], what
        assert [row for row in feeds if _plain(row) != feed(int(row["id"][4:]))] == [], what
        found = asides([folder])
        if found or (len(devices), len(feeds)) != (150, 150):
            mended += 1
            assert mark == ("", 0), f"{what}: what is missing would never be looked for"
            assert found or "empty" in what or "cut at 0 " in what, what
        if "flip" in what and at_of(what) >= SCHEMA_PAGE:
            assert len(devices) >= 100 or len(feeds) >= 100, f"{what}: too much lost"
    assert mended > DAMAGES // 4


def at_of(what: str) -> int:
    return int(what.split(" at ")[1].split(maxsplit=1)[0])


def _plain(row):
    return {name: value for name, value in row.items() if name != "crc"}


@pytest.mark.fault("F14")
def test_no_altered_order_is_ever_sent_and_the_sound_ones_go_on(tmp_path, whole):
    wanted = {each.id: each for each in map(order, range(60))}
    mended = 0
    for seed in range(DAMAGES):
        folder = fresh(tmp_path / "d", whole)
        what = damage(folder / "commands.db", seed)
        book = CommandBook(folder / "commands.db")
        found = {each.id: each for each in book.latest(100)}
        book.close()
        assert [each for name, each in found.items() if wanted.get(name) != each] == [], what
        if found != wanted:
            mended += 1
            (aside,) = asides([folder]) or [None]
            assert aside or "empty" in what or "cut at 0 " in what, what
            if aside and "flip" in what and at_of(what) >= SCHEMA_PAGE:
                assert [n for n in wanted.keys() - found.keys() if n not in aside.why] == [], what
        if "flip" in what and at_of(what) >= SCHEMA_PAGE:
            assert len(found) >= 15, f"{what}: too much lost"
    assert mended > DAMAGES // 10


@pytest.mark.fault("F14")
async def test_damaged_baselines_are_learned_anew_and_never_altered(tmp_path):
    (tmp_path / "whole").mkdir()
    async with BaselineStore(tmp_path / "whole" / "pictures.db") as store:
        for n in range(40):
            await store.put(f"cam-{n}", 7, SLOT)
    for seed in range(DAMAGES):
        folder = fresh(tmp_path / "d", tmp_path / "whole")
        what = damage(folder / "pictures.db", seed)
        async with BaselineStore(folder / "pictures.db") as store:
            known = [await store.all(f"cam-{n}") for n in range(40)]
            await store.put("cam-new", 7, SLOT)
            assert await store.all("cam-new") == {7: SLOT}, what
        assert [slots for slots in known if slots not in ({}, {7: SLOT})] == [], what


@pytest.mark.fault("F14")
@pytest.mark.parametrize(
    ("name", "kind"), [("registry.db", Register), ("commands.db", CommandBook)]
)
def test_a_file_of_somebody_else_is_left_alone_and_said_how_to_get_back(whole, name, kind):
    before = (whole / name).read_bytes()
    for folder in whole.parents:
        if folder.name.startswith("pytest-"):
            folder.chmod(0o755)
    with locked_away(whole / name), pytest.raises(GatewayError) as told:
        kind(whole / name)
    assert isinstance(told.value, ConfigError)
    assert str(whole / name) in str(told.value)
    assert "chown" in str(told.value)
    assert (whole / name).read_bytes() == before
