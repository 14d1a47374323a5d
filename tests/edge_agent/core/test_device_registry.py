"""What a device is known by survives a crash, and registry.db is only a copy of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlite_utils
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.listing import Listing
from edge_agent.registry import shown
from gateway_core.model import FeedHealth, Listed
from tests.fakes.edge import NOW, arrival, open_edge

GOOD = '{"temperature": 21.5}'


def rows(path: Path, table: str) -> list[dict[str, object]]:
    """Return a table as any SQLite tool would see it, without the checksums."""
    connection = sqlite3.connect(path)
    try:
        found = sqlite_utils.Database(connection)[table].rows
        return [{key: value for key, value in row.items() if key != "crc"} for row in found]
    finally:
        connection.close()


async def test_a_device_that_registered_itself_is_known_after_a_restart(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", GOOD)
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
    async with open_edge(tmp_path) as edge:
        device = edge.registry.devices["d1"]
        assert (device.profile, device.last_seen, device.source) == ("test/env", NOW, "mqtt:site")
        await edge.say("d1", GOOD)
        assert sum(isinstance(each, Listed) for each in await edge.records()) == 1


async def test_what_was_not_saved_is_found_again_in_the_spool(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", GOOD)
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
        await edge.say("d2", GOOD)
        await edge.pipeline.ingest([arrival("tg/d2/online", "offline")])
    async with open_edge(tmp_path) as edge:
        assert sorted(edge.registry.devices) == ["d1", "d2"]
        assert edge.registry.devices["d2"].online is False


async def test_a_lost_registry_file_is_made_anew(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", GOOD)
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
    (tmp_path / "registry.db").unlink()
    async with open_edge(tmp_path) as edge:
        assert list(edge.registry.devices) == ["d1"]


async def test_a_file_that_is_no_database_is_set_aside_and_made_anew(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"not a database at all, but long enough to be one")
    async with open_edge(tmp_path) as edge:
        assert edge.registry.devices == {}
    assert (tmp_path / "registry.db.damaged-1").read_bytes().startswith(b"not a database")


async def test_the_file_is_a_plain_table_of_devices(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        edge.registry.enlist([Listing("d1", "test/env", "tg/d1/up", "三号泵", 37.4, 118.0)])
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
    assert rows(tmp_path / "registry.db", "devices") == [
        {
            "id": "d1", "profile": "test/env", "address": "tg/d1/up", "name": "三号泵",
            "lat": 37.4, "lon": 118.0, "origin": "listed", "first_seen": 0, "last_seen": 0,
            "online": None, "source": "", "heard": "", "peer": "", "said": "",
        }
    ]  # fmt: skip


async def test_only_what_is_new_or_changed_in_the_list_is_announced(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        one, two = Listing("d1", "test/env"), Listing("d2", "test/env")
        assert [each.id for each in edge.registry.enlist([one, two])] == ["d1", "d2"]
        assert edge.registry.enlist([one, two]) == []
        named = Listing("d2", "test/env", name="North pump")
        assert [each.name for each in edge.registry.enlist([one, named])] == ["North pump"]


async def test_a_device_taken_off_the_list_is_unknown_again(tmp_path: Path) -> None:
    async with open_edge(tmp_path, unknown="refuse") as edge:
        edge.registry.enlist([Listing("d1", "test/env")])
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
        assert await edge.say("d1", GOOD) == [None]
        edge.registry.enlist([])
        assert await edge.say("d1", GOOD) == ["unknown_device"]
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
    assert rows(tmp_path / "registry.db", "devices") == []


async def test_feeds_are_kept_with_their_last_verdict(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        verdict = FeedHealth("e1", "cam-1", NOW, "offline", ("rtsp_timeout", "ping_lost"))
        await edge.pipeline.record("cameras", [verdict])
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
    assert rows(tmp_path / "registry.db", "feeds") == [
        {"id": "cam-1", "state": "offline", "judged": NOW, "faults": "rtsp_timeout ping_lost"}
    ]


async def test_five_thousand_new_devices_are_one_append(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        arrivals = [arrival(f"tg/d{n}/up", GOOD) for n in range(5000)]
        assert set(await edge.pipeline.ingest(arrivals)) == {None}
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
        assert edge.spool.head == 10_000
        assert len(edge.registry.devices) == 5000
    assert len(rows(tmp_path / "registry.db", "devices")) == 5000


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"offline", "offline"),
        ('{"state": "offline", "why": "电池"}'.encode(), '{"state": "offline", "why": "电池"}'),
        (b'{"state": "offline",\r\n "why": "\\u0007"}', '{"state": "offline", "why": "\\u0007"}'),
    ],
)
async def test_the_words_of_an_availability_message_survive_a_restart(
    tmp_path: Path, said: bytes, kept: str
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", GOOD)
        await edge.pipeline.ingest([arrival("tg/d1/online", said.decode())])
        assert edge.registry.devices["d1"].said == kept
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
    async with open_edge(tmp_path) as edge:
        assert (edge.registry.devices["d1"].online, edge.registry.devices["d1"].said) == (
            False,
            kept,
        )
        await edge.pipeline.ingest([arrival("tg/d1/online", "online")])
        assert edge.registry.devices["d1"].said == "online"


async def test_words_that_were_not_saved_are_none_rather_than_the_wrong_ones(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.pipeline.ingest([arrival("tg/d1/online", "online")])
        await edge.registry.save((edge.spool.epoch, edge.spool.head))
        await edge.pipeline.ingest([arrival("tg/d1/online", "offline")])
    async with open_edge(tmp_path) as edge:
        assert edge.registry.devices["d1"].online is False
        assert edge.registry.devices["d1"].said == ""


@given(st.binary(max_size=2000) | st.text(max_size=900).map(str.encode))
def test_what_is_shown_of_a_message_is_short_and_printable(payload: bytes) -> None:
    text = shown(payload)
    assert len(text) <= 200
    assert text.isprintable()


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"\xff\x00", ""),
        (b"a\x1b[31m\nb", "a [31m b"),
        ("\u202eabc".encode(), "abc"),
        ("泵".encode() * 400, "泵" * 200),
        (b"x" + "泵".encode() * 400, "x" + "泵" * 199),
    ],
)
def test_what_is_no_text_is_not_shown(payload: bytes, text: str) -> None:
    assert shown(payload) == text
