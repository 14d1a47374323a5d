"""Promise: what came in is kept as it came, behind its commit; what is not kept is counted."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from edge_agent.arrival import Arrival
from edge_agent.raw.reader import RawReader
from edge_agent.raw.store import RawOptions, RawStore
from gateway_core.clock import NS
from gateway_core.meter import Meter
from tests.fakes.edge import NOW, Hands, arrival, open_edge

GOOD = '{"temperature": 21.5}'
ALL_DISK = 1 << 62


def store(folder: Path, meter: Meter | None = None, clock: Hands | None = None, **options: float):
    made = RawStore(folder / "raw", RawOptions(**options), meter, clock or Hands())
    made.start()
    return made


def keep(raw: RawStore, *arrivals: Arrival) -> None:
    raw.offer(
        arrivals,
        [each.received for each in arrivals],
        ["test/env"] * len(arrivals),
        [None] * len(arrivals),
    )


def dropped(meter: Meter) -> dict[str, float]:
    lines = meter.render().decode().splitlines()
    wanted = (line for line in lines if line.startswith("tidegate_raw_dropped_total"))
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in wanted}


async def test_what_the_pipeline_committed_is_there_with_its_profile_or_its_refusal(
    tmp_path: Path,
) -> None:
    raw = store(tmp_path)
    async with open_edge(tmp_path, raw=raw) as edge:
        await edge.pipeline.ingest(
            [
                arrival("tg/d1/up", GOOD),
                arrival("tg/d1/up", "{"),
                arrival("nobody/knows", b"\x00\xff"),
            ]
        )
        await edge.pipeline.ingest(
            [arrival("tg/d2", GOOD, source="coap", content_format=50, received=NOW + 1)]
        )
    raw.close()
    found = list(RawReader(tmp_path / "raw").read())
    assert [(m.profile, m.refusal) for m in found] == [
        ("test/env", ""),
        ("", "not_json"),
        ("", "no_match"),
        ("test/env", ""),
    ]
    assert found[0].arrival == arrival("tg/d1/up", GOOD)
    assert found[2].arrival.payload == b"\x00\xff"
    assert found[3].arrival == Arrival("coap", "tg/d2", GOOD.encode(), NOW + 1, 50, "coap")


async def test_it_knows_the_receive_time_that_the_reading_carries(tmp_path: Path) -> None:
    raw = store(tmp_path)
    async with open_edge(tmp_path, raw=raw) as edge:
        await edge.say("d1", GOOD, GOOD, GOOD)
        carried = [reading.received for reading in await edge.readings()]
    raw.close()
    assert [m.received for m in RawReader(tmp_path / "raw").read()] == carried
    assert carried == [NOW, NOW + 1, NOW + 2]


async def test_what_the_spool_did_not_take_is_not_kept(tmp_path: Path) -> None:
    raw = store(tmp_path)
    async with open_edge(tmp_path, raw=raw) as edge:
        await edge.spool.close()
        with pytest.raises(Exception, match="closed"):
            await edge.say("d1", GOOD)
    raw.close()
    assert list(RawReader(tmp_path / "raw").read()) == []


def test_a_writer_that_is_behind_costs_messages_and_counts_them(tmp_path: Path) -> None:
    meter = Meter()
    raw = RawStore(tmp_path / "raw", RawOptions(pending_bytes=1000), meter, Hands())
    for n in range(30):  # nobody writes yet
        keep(raw, arrival("t", bytes(100), NOW + n))
    raw.start()
    raw.close()
    kept = len(list(RawReader(tmp_path / "raw").read()))
    assert dropped(meter) == {"behind": 30 - kept}
    assert 5 <= kept <= 8


def test_the_oldest_file_makes_room_and_its_messages_are_counted(tmp_path: Path) -> None:
    meter = Meter()
    raw = store(tmp_path, meter, max_bytes=1 << 20, block_bytes=1 << 16, pending_bytes=1 << 30)
    for n in range(64):
        keep(raw, arrival("t", os.urandom(1 << 15), NOW + n))
    raw.close()
    files = list((tmp_path / "raw").iterdir())
    assert sum(path.stat().st_size for path in files) <= 1 << 20
    kept = [m.arrival.received - NOW for m in RawReader(tmp_path / "raw").read()]
    assert kept == list(range(64 - len(kept), 64))
    assert dropped(meter) == {"max_bytes": 64 - len(kept)}


def test_what_is_too_old_goes_without_being_called_dropped(tmp_path: Path) -> None:
    clock, meter = Hands(), Meter()
    raw = store(tmp_path, meter, clock, keep_s=60)
    keep(raw, arrival("t", b"1", NOW))
    raw.close()
    clock.now = NOW + 61 * NS
    raw = store(tmp_path, meter, clock, keep_s=60)
    keep(raw, arrival("t", b"2", clock.now))
    raw.close()
    assert [m.arrival.payload for m in RawReader(tmp_path / "raw").read()] == [b"2"]
    assert dropped(meter) == {}


def test_where_little_disk_is_free_the_spool_goes_first(tmp_path: Path) -> None:
    meter = Meter()
    raw = store(tmp_path, meter)
    keep(raw, arrival("t", b"1"))
    raw.close()
    raw = store(tmp_path, meter, free_bytes=ALL_DISK)
    keep(raw, arrival("t", b"2"), arrival("t", b"3"))
    raw.close()
    assert list((tmp_path / "raw").iterdir()) == []
    assert dropped(meter) == {"disk_low": 3}


def test_a_folder_that_cannot_be_made_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file stands in the way")
    meter = Meter()
    raw = store(tmp_path, meter)
    keep(raw, arrival("t", b"1"))
    raw.close()
    assert dropped(meter) == {"disk": 1}


def test_only_its_own_user_may_read_it(tmp_path: Path) -> None:
    raw = store(tmp_path)
    keep(raw, arrival("t", b"secret"))
    raw.close()
    (file,) = (tmp_path / "raw").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_closing_writes_what_waits_and_ends_the_thread(tmp_path: Path) -> None:
    raw = store(tmp_path, flush_s=3600)
    keep(raw, arrival("t", b"1"))
    raw.close()
    assert len(list(RawReader(tmp_path / "raw").read())) == 1
    assert "raw-writer" not in {thread.name for thread in threading.enumerate()}
