"""What is asked ahead keeps its order, ends in spite of faults, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import msgspec

from tests.fakes.codecs_held import UPLINK, Held, catalogue, opened
from tests.fakes.edge import arrival


async def test_whose_codecs_are_several_is_read_before_what_one_of_them_decodes_later(
    tmp_path: Path,
) -> None:
    held = {"mine": Held(), "other": Held(hangs=True)}
    async with opened(tmp_path, held, "{via: chirpstack-v4}") as (edge, foresight):
        edge.registry.admit("aa", "test/mine", "mqtt:site", "x", 1)
        unknown, known = (
            arrival(f"application/a1/device/{eui}/event/up", UPLINK.format(eui))
            for eui in ("bb", "aa")
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(foresight.ingest([unknown]))
            while held["mine"].asked < 1:
                await asyncio.sleep(0.001)
            later = tasks.create_task(foresight.ingest([known]))
            await asyncio.sleep(0)
            await foresight.answers([known])  # asked after that, answered after that
            assert (held["other"].asked, later.done()) == (0, False)
            held["other"].open.set()
        assert [one.device for one in await edge.readings()] == ["bb", "aa"]


async def test_a_load_behind_a_slow_one_of_the_same_codec_is_parted_too(tmp_path: Path) -> None:
    held = {"mine": Held(), "other": Held(hangs=True)}
    async with opened(tmp_path, held, "{via: chirpstack-v4}") as (edge, foresight):
        edge.registry.admit("aa", "test/mine", "mqtt:site", "x", 1)
        first, second = (
            arrival(f"application/a1/device/{eui}/event/up", UPLINK.format(eui))
            for eui in ("bb", "aa")
        )
        assert await foresight.apart([first]) == ([], [[first]])
        assert await foresight.apart([second]) == ([], [[second]])


async def test_no_more_than_500_messages_of_several_batches_go_to_a_codec_together(
    tmp_path: Path,
) -> None:
    held = {"good": Held()}
    held["good"].open.clear()
    async with opened(tmp_path, held) as (_edge, foresight), asyncio.TaskGroup() as tasks:
        for first in (0, 1, 201, 401):
            count = 200 if first else 1
            batch = [arrival("good/c", (first + n).to_bytes(2)) for n in range(count)]
            tasks.create_task(foresight.ingest(batch))
            await asyncio.sleep(0)
        held["good"].open.set()
    assert held["good"].together == [1, 400, 200]


async def test_a_fault_in_asking_refuses_its_message_and_holds_up_nothing(tmp_path: Path) -> None:
    held = {"torn": Held(), "good": Held()}
    async with opened(tmp_path, held) as (edge, foresight):
        held["torn"].call = None  # type: ignore[method-assign,assignment]
        async with asyncio.timeout(20):
            batch = [arrival("torn/b", b"\x01"), arrival("good/c", b"\x02")]
            assert await foresight.ingest(batch) == ["decoder_error", None]
        assert [one.device for one in await edge.readings()] == ["c"]


async def test_what_is_cut_off_is_refused_and_no_codec_sees_it(tmp_path: Path) -> None:
    held = {"good": Held()}
    async with opened(tmp_path, held) as (_edge, foresight):
        torn = msgspec.structs.replace(arrival("good/c", b"\x01"), cut=True)
        assert await foresight.ingest([torn]) == ["too_large"]
        assert held["good"].asked == 0


async def test_nothing_is_remembered_of_what_was_read_or_of_a_codec_that_went(
    tmp_path: Path,
) -> None:
    held = {"good": Held()}
    async with opened(tmp_path, held) as (edge, foresight):
        edge.ways.use(catalogue(tmp_path / "next", held))
        batch = [arrival("good/c", b"\x01")]
        await foresight.apart(batch)
        assert await foresight.ingest(batch) == [None]
        edge.ways.use(catalogue(tmp_path / "last", {}))
        await asyncio.sleep(0)  # for the task that asked
        gc.collect()
        assert (len(foresight._asked), len(foresight._lines)) == (0, 0)
