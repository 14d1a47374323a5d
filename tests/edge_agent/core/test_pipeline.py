"""What arrives is stored as readings or as a refusal with a reason, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from edge_agent.arrival import Arrival
from edge_agent.draft import Draft
from edge_agent.listing import Listing
from edge_agent.pipeline import Pipeline
from edge_agent.replay import replay
from edge_agent.ways import pins_of
from gateway_core.errors import SpoolFull
from gateway_core.model import Alarm, Listed, Reading, Record, Refusal
from tests.fakes.edge import ENV, NOW, arrival, open_edge, write_profile

GOOD = '{"temperature": 21.5, "humidity": 40, "battery": 90, "count": 7}'


async def test_a_message_becomes_a_reading_with_all_its_names(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        assert await edge.say("d1", GOOD) == [None]
        fields = {"temperature": 21.5, "humidity": 40.0, "battery": 90, "count": 7}
        assert await edge.readings() == [
            Reading("e1", "d1", "test/env", "env", NOW, NOW, fields, {}, ())
        ]


async def test_a_new_device_is_announced_before_its_first_reading_and_only_once(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", GOOD, GOOD)
        await edge.say("d1", GOOD)
        records = await edge.records()
        assert records[0] == Listed("e1", "device", "d1", NOW, "", "test/env", "3716")
        assert [type(each) for each in records] == [Listed, Reading, Reading, Reading]


async def test_a_source_s_state_is_stored_with_its_arrivals(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.pipeline.ingest([arrival("tg/d1/up", GOOD)], {"mqtt/site/1": b"known"})
        assert await edge.spool.state("mqtt/") == {"mqtt/site/1": b"known"}
        await edge.pipeline.ingest([], {"mqtt/site/1": None})
        assert await edge.spool.state("mqtt/") == {}


async def test_the_same_device_speaks_over_coap(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        told = await edge.pipeline.ingest([arrival("tg/d1", GOOD, source="coap")])
        assert told == [None]
        assert (await edge.readings())[0].device == "d1"


async def test_a_decoder_s_bug_costs_one_message_its_reading_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d2", GOOD)
        broken = edge.ways.find("mqtt", "tg/d1/up").routes[0]

        def explode(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(type(broken), "decode", _only_for(broken, explode))
        told = await edge.pipeline.ingest([arrival("tg/d1/up", GOOD), arrival("tg/d2/up", GOOD)])
        assert told == ["decoder_error", None]
        refusals = await edge.refused()
        assert [(r.reason, r.payload, r.detail) for r in refusals] == [
            ("decoder_error", GOOD.encode(), "ZeroDivisionError")
        ]


def _only_for(broken: object, explode: object) -> object:
    original = type(broken).decode  # type: ignore[attr-defined]

    def decode(self: object, *arguments: object) -> object:
        return explode() if self is broken else original(self, *arguments)  # type: ignore[operator]

    return decode


class FullLog:
    """A spool that is full until told otherwise."""

    def __init__(self) -> None:
        self.full = True
        self.stored: list[tuple[list[Record], dict[str, bytes | None]]] = []

    async def append(
        self,
        records: Sequence[Record],
        refused: Sequence[Refusal] = (),
        *,
        source: str,
        state: Mapping[str, bytes | None] | None = None,
        replayed: object = (),
    ) -> None:
        if self.full:
            raise SpoolFull("no room")
        self.stored.append((list(records), dict(state or {})))


async def test_what_a_full_spool_did_not_take_is_announced_when_it_takes_again(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        log = FullLog()
        pipeline = Pipeline(log, edge.pipeline._reader, edge.registry, edge.rules)
        hot = [arrival("tg/d1/up", '{"temperature": 70}')]
        for _ in range(2):
            with pytest.raises(SpoolFull):
                await pipeline.ingest(hot, {"mqtt/x": b"1"})
        log.full = False
        await pipeline.ingest(hot, {"mqtt/x": b"1"})
        records, state = log.stored[0]
        assert [type(each) for each in records] == [Listed, Alarm, Reading]
        assert sorted(state) == ["alarm/d1", "mqtt/x"]
        await pipeline.ingest(hot)
        assert [type(each) for each in log.stored[1][0]] == [Reading]


async def test_a_tick_pays_what_is_owed(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        edge.pipeline.announce(edge.registry.enlist([Listing("d9", "test/env", "tg/d9/up", "泵")]))
        await edge.pipeline.tick(NOW)
        assert await edge.records() == [Listed("e1", "device", "d9", NOW, "泵", "test/env", "3716")]


async def test_availability_is_recorded_when_it_changes(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        for word in ("online", "online", "offline"):
            await edge.pipeline.ingest([arrival("tg/d1/online", word)])
        told = [each.online for each in await edge.records() if isinstance(each, Listed)]
        assert told == [None, True, False] or told == [True, False]


async def test_a_message_of_a_profile_without_any_of_its_measurements_is_counted(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        assert await edge.say("d1", '{"firmware": "1.2"}') == [None]
        assert await edge.records() == []
        assert b'tidegate_empty_total{source="mqtt:site"} 1.0' in edge.meter.render()


async def test_a_bad_value_is_flagged_and_the_good_ones_are_kept(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        assert await edge.say("d1", '{"temperature": 999, "humidity": 40}') == [None]
        reading = (await edge.readings())[0]
        assert reading.fields == {"humidity": 40.0}
        assert reading.flags == ("temperature:range",)
        assert b'tidegate_flagged_total{code="range"} 1.0' in edge.meter.render()


async def test_the_beginning_of_what_is_too_large_is_kept_and_never_read(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        beginning = Arrival("coap", "tg/d1", GOOD.encode(), NOW, 50, "coap", cut=True)
        assert await edge.pipeline.ingest([beginning]) == ["too_large"]
        (refusal,) = await edge.refused()
        assert (refusal.payload, refusal.reason) == (GOOD.encode(), "too_large")
        done = await replay(edge.spool, edge.pipeline)
        assert (done.tried, done.cut) == (0, 1)
        assert await edge.readings() == []


async def test_held_devices_are_kept_until_they_are_listed_and_then_replayed(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, unknown="hold") as edge:
        assert await edge.say("d1", GOOD) == ["device_held"]
        assert await edge.readings() == []
        edge.registry.enlist([Listing("d1", "test/env")])
        edge.clock.pass_s(3600)
        done = await replay(edge.spool, edge.pipeline, reason="device_held")
        assert (done.tried, done.mended) == (1, 1)
        assert [each.received for each in await edge.readings()] == [NOW]
        assert await edge.refused() == []


async def test_a_replay_keeps_the_instants_of_receipt_whatever_came_since(tmp_path: Path) -> None:
    async with open_edge(tmp_path, unknown="hold") as edge:
        await edge.say("d1", GOOD, GOOD)  # in one read of a socket: one instant
        edge.clock.pass_s(0.01)
        await edge.say("d1", GOOD)
        edge.registry.enlist([Listing("d1", "test/env"), Listing("d2", "test/env")])
        edge.clock.pass_s(0.5)
        await edge.say("d2", GOOD)
        await replay(edge.spool, edge.pipeline)
        times = [each.time - NOW for each in await edge.readings() if each.device == "d1"]
        assert times == [0, 1, 10_000_000]


async def test_a_replay_of_the_past_does_not_change_who_is_online_now(tmp_path: Path) -> None:
    async with open_edge(tmp_path, unknown="hold") as edge:
        await edge.hear("tg/d1/online", "offline")
        edge.registry.enlist([Listing("d1", "test/env")])
        edge.clock.pass_s(60)
        await edge.hear("tg/d1/online", "online")
        await replay(edge.spool, edge.pipeline)
        assert edge.registry.devices["d1"].online is True


async def test_a_replay_leaves_what_it_cannot_mend_as_it_was(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", "not json", GOOD)
        before = await edge.spool.refusals(10)
        done = await replay(edge.spool, edge.pipeline)
        assert (done.tried, done.mended, done.refused) == (1, 0, {"not_json": 1})
        assert await edge.spool.refusals(10) == before


async def test_a_mended_profile_replays_what_it_could_not_read(tmp_path: Path) -> None:
    from device_profiles.catalogue import load_catalogue

    async with open_edge(tmp_path) as edge:
        other = [arrival("other/d1/up", GOOD)]
        assert await edge.pipeline.ingest(other) == ["no_match"]
        mended = ENV.replace('topic: "tg/{id}/up"', 'topic: "other/{id}/up"')
        mended = mended.replace("tg/d1/up", "other/d1/up")
        folder = write_profile(tmp_path / "mended", mended)
        edge.ways.use(load_catalogue([folder], shipped=False))
        assert (await replay(edge.spool, edge.pipeline, reason="no_match")).mended == 1
        assert (await edge.readings())[0].device == "d1"


async def test_a_replay_raises_no_alarm_about_the_past(tmp_path: Path) -> None:
    async with open_edge(tmp_path, unknown="hold") as edge:
        await edge.say("d1", '{"temperature": 70}')
        edge.registry.enlist([Listing("d1", "test/env")])
        await replay(edge.spool, edge.pipeline)
        assert not [each for each in await edge.records() if isinstance(each, Alarm)]


async def test_unknown_devices_are_refused_where_a_person_says_so(tmp_path: Path) -> None:
    async with open_edge(tmp_path, unknown="refuse") as edge:
        assert await edge.say("d1", GOOD) == ["unknown_device"]
        edge.registry.enlist([Listing("d1", "test/env")])
        assert await edge.say("d1", GOOD) == [None]


async def test_a_listed_address_gives_its_device_the_listed_id(tmp_path: Path) -> None:
    async with open_edge(tmp_path, unknown="refuse") as edge:
        listings = [Listing("pump-3", "test/env", "tg/861234/up")]
        edge.registry.enlist(listings)
        edge.ways.pin(pins_of(listings))
        assert await edge.say("861234", GOOD) == [None]
        assert (await edge.readings())[0].device == "pump-3"


async def test_an_address_that_two_devices_are_listed_with_renames_neither(
    tmp_path: Path,
) -> None:
    listings = [Listing("a", "test/env", "tg/x/up"), Listing("b", "test/env", "tg/x/up")]
    assert pins_of(listings) == {}


async def test_more_devices_than_the_limit_are_refused_with_a_reason(tmp_path: Path) -> None:
    async with open_edge(tmp_path, limit=2) as edge:
        told = [(await edge.say(f"d{n}", GOOD))[0] for n in range(3)]
        assert told == [None, None, "too_many_devices"]


async def test_the_books_of_the_spool_balance_over_readings_and_refusals(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.spool.register("uplink")
        await edge.say("d1", GOOD, "not json", GOOD)
        books = await edge.spool.books()
        assert books.accepted == {"mqtt:site": 3}
        assert books.consumers["uplink"].buffered == 3
        assert books.refused == {"not_json": 1}
        assert books.residual == 0


def test_a_draft_owes_only_what_cannot_be_made_again() -> None:
    assert not Draft(records=[Listed("e1", "device", "d1", 1)]).owes
    assert Draft(news=[Listed("e1", "device", "d1", 1)]).owes


@pytest.mark.fault("R15")
async def test_messages_that_came_at_one_instant_are_readings_of_different_instants(
    tmp_path: Path,
) -> None:
    """A broker's backlog comes in one read: of a device without a clock, nothing may coincide."""
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", GOOD, GOOD, "{", GOOD)
        await edge.say("d2", GOOD)
        readings = await edge.readings()
        assert [each.time - NOW for each in readings] == [0, 1, 2, 3]
        assert [each.received - NOW for each in readings] == [0, 1, 2, 3]


@pytest.mark.fault("F2")
async def test_what_the_disk_refused_keeps_its_instant_whatever_was_stored_before_it_came_again(
    tmp_path: Path,
) -> None:
    """Or its value, which is older, would pass for the device's latest."""
    async with open_edge(tmp_path) as edge:
        held = [arrival("tg/d1/up", '{"count": 1}'), arrival("tg/d1/up", '{"count": 2}')]
        append, edge.pipeline._spool = edge.pipeline._spool, Refusing()
        with pytest.raises(SpoolFull):
            await edge.pipeline.ingest(held)
        edge.pipeline._spool = append
        await edge.pipeline.ingest([arrival("tg/d1/up", '{"count": 3}')])
        await edge.pipeline.ingest(held)
        await edge.pipeline.ingest([arrival("tg/d1/up", '{"count": 4}')])
        found = [(each.time - NOW, each.fields["count"]) for each in await edge.readings()]
        assert sorted(found) == [(0, 1), (1, 2), (2, 3), (3, 4)]


class Refusing:
    """A spool that has no room."""

    async def append(self, *_: object, **__: object) -> None:
        raise SpoolFull("no room")


@pytest.mark.fault("F4")
async def test_a_clock_that_was_set_back_is_followed(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", GOOD)
        edge.clock.pass_s(-60)
        await edge.say("d1", GOOD)
        assert [each.time - NOW for each in await edge.readings()] == [0, -60_000_000_000]
