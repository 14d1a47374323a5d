"""A bad codec holds up its own device and nobody else; what it decodes stays in order."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from edge_agent.arrival import Apart
from edge_agent.foresight import Foresight
from edge_agent.sources.commit_line import CommitLine
from edge_agent.sources.redelivery import Redelivery, fingerprint
from gateway_core.meter import Meter
from tests.fakes.codecs_held import UPLINK, Held, catalogue, opened
from tests.fakes.edge import NOW, Edge, arrival


class Line:
    """A commit line over an edge, and what it acknowledged."""

    def __init__(self, foresight: Foresight) -> None:
        self.acked: list[int] = []
        self.line = CommitLine(
            "mqtt:site",
            foresight.ingest,
            Redelivery("mqtt/site/", 100, {}),
            Meter(),
            most_messages=1000,
            most_bytes=10**6,
            apart=Apart(foresight.apart),
        )
        self.line.on_acknowledged = self.acked.extend
        self._sent = 0

    def receive(self, *messages: tuple[str, bytes | str]) -> None:
        """Let a load of messages come in."""
        for topic, payload in messages:
            self._sent += 1
            one = arrival(topic, payload)
            self.line.open.arrivals.append(one)
            self.line.open.words.append(self._sent)
            self.line.open.marks.append(fingerprint(self._sent, topic, one.payload))
        self.line.go()


async def _until(edge: Edge, count: int) -> list[str]:
    """Return the devices of the readings, once there are so many."""
    while len(found := await edge.readings()) < count:
        await asyncio.sleep(0.005)
    return [reading.device for reading in found]


async def test_who_shares_a_batch_with_a_codec_that_hangs_is_stored_before_it_ends(
    tmp_path: Path,
) -> None:
    held = {"good": Held(), "bad": Held(hangs=True)}
    async with opened(tmp_path, held) as (edge, foresight), asyncio.TaskGroup() as tasks:
        line = Line(foresight)
        line.line.start(tasks)
        line.receive(
            ("tg/a/up", '{"temperature": 20}'), ("bad/b", b"\x01"), ("good/c", b"\x02"),
            ("tg/d/up", '{"temperature": 21}'),
        )  # fmt: skip
        line.receive(("tg/a/up", '{"temperature": 22}'), ("good/c", b"\x03"))
        assert await _until(edge, 5) == ["a", "c", "d", "a", "c"]
        assert held["bad"].asked == 0
        assert line.acked == []  # MQTT 5.0 section 4.6: in the order of receipt
        held["bad"].open.set()
        await line.line.drained()
        assert line.acked == [1, 2, 3, 4, 5, 6]
        assert [(one.reason, one.address) for one in await edge.refused()] == [
            ("codec_timeout", "bad/b")
        ]


async def test_many_loads_with_a_bad_message_each_do_not_stop_the_line(tmp_path: Path) -> None:
    held = {"bad": Held(hangs=True)}
    async with opened(tmp_path, held) as (edge, foresight), asyncio.TaskGroup() as tasks:
        line = Line(foresight)
        line.line.start(tasks)
        for n in range(30):
            line.receive((f"tg/d{n}/up", '{"temperature": 20}'), ("bad/b", bytes([n])))
            await asyncio.sleep(0)
        assert len(await _until(edge, 30)) == 30
        assert held["bad"].asked == 0
        held["bad"].open.set()
        await line.line.drained()
        assert line.acked == list(range(1, 61))
        assert len(await edge.refused()) == 30


async def test_what_is_stored_behind_a_codec_that_hangs_holds_up_nothing_that_comes_later(
    tmp_path: Path,
) -> None:
    held = {"bad": Held(hangs=True)}
    async with opened(tmp_path, held) as (edge, foresight), asyncio.TaskGroup() as tasks:
        line = Line(foresight)
        line.line.start(tasks)
        line.receive(("bad/b", b"\x01"))
        for n in range(30):  # one after the other: they are stored, and cannot be acknowledged
            line.receive((f"tg/d{n}/up", '{"temperature": 20}'))
            async with asyncio.timeout(10):
                await _until(edge, n + 1)
        assert (held["bad"].asked, line.acked) == (0, [])
        held["bad"].open.set()
        await line.line.drained()
        assert line.acked == list(range(1, 32))


async def test_what_one_codec_decodes_is_read_in_the_order_of_receipt(tmp_path: Path) -> None:
    held = {"good": Held()}
    held["good"].open.clear()
    async with opened(tmp_path, held) as (edge, foresight), asyncio.TaskGroup() as tasks:
        line = Line(foresight)
        line.line.start(tasks)
        for n in range(40):
            line.receive(("good/c", bytes([n])), ("tg/a/up", '{"temperature": 20}'))
            await asyncio.sleep(0)
        await _until(edge, 40)  # all of the other device
        held["good"].open.set()
        await line.line.drained()
        assert line.acked == list(range(1, 81))
        values = [one.fields["n"] for one in await edge.readings() if one.device == "c"]
        assert values == list(range(40))


async def test_no_other_profiles_codec_sees_the_message_of_a_known_device(tmp_path: Path) -> None:
    held = {"mine": Held(), "other": Held()}
    async with opened(tmp_path, held, "{via: chirpstack-v4}") as (edge, foresight):
        edge.registry.admit("aa", "test/mine", "mqtt:site", "x", 1)
        topic = "application/a1/device/aa/event/up"
        assert await foresight.ingest([arrival(topic, UPLINK.format("aa"))]) == [None]
        assert (held["mine"].asked, held["other"].asked) == (1, 0)
        assert [(one.device, one.profile) for one in await edge.readings()] == [("aa", "test/mine")]


async def test_a_replay_asks_before_it_reads_too(tmp_path: Path) -> None:
    held = {"bad": Held(hangs=True)}
    async with opened(tmp_path, held) as (edge, foresight):
        held["bad"].open.set()
        assert await foresight.ingest([arrival("bad/b", b"\x07")]) == ["codec_timeout"]
        ((number, _),) = await edge.spool.refusals(10)
        held["bad"].open.clear()
        replaying = asyncio.create_task(edge.pipeline.replay([arrival("bad/b", b"\x07")], [number]))
        assert await foresight.ingest([arrival("tg/a/up", '{"temperature": 20}')]) == [None]
        assert not replaying.done()
        held["bad"].hangs = False
        held["bad"].open.set()
        assert await replaying == [None]
        assert [one.device for one in await edge.readings()] == ["a", "b"]


async def test_an_edge_without_javascript_has_no_thread_for_it(tmp_path: Path) -> None:
    async with opened(tmp_path, {}) as (edge, foresight):
        batch = [arrival("tg/a/up", '{"temperature": 20}')]
        assert await foresight.apart(batch) == (batch, [])
        assert await foresight.ingest(batch) == [None]
        assert [one.name for one in threading.enumerate() if one.name.startswith("codec")] == []
        assert [one.device for one in await edge.readings()] == ["a"]


async def test_a_message_that_is_read_late_is_not_asked_about_again(tmp_path: Path) -> None:
    held = {"bad": Held(hangs=True)}
    async with opened(tmp_path, held) as (_edge, foresight), asyncio.TaskGroup() as tasks:
        line = Line(foresight)
        line.line.start(tasks)
        line.receive(("bad/b", b"\x01"))
        later = arrival("tg/a/up", '{"temperature": 20}', NOW + 999_999_999)
        await foresight.ingest([later])
        held["bad"].open.set()
        await line.line.drained()
        assert held["bad"].asked == 1


async def test_codecs_prove_themselves_by_their_vectors_before_devices_speak(
    tmp_path: Path,
) -> None:
    held = {"good": Held()}
    async with opened(tmp_path, held) as (_edge, foresight):
        await foresight.prove(catalogue(tmp_path / "again", held).profiles.values())
        assert held["good"].asked == 3
