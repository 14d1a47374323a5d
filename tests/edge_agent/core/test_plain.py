"""A run of plain messages is read as each of them would be alone, and ends where one is not plain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_profiles.catalogue import load_catalogue
from device_profiles.route import Route
from edge_agent.arrival import Arrival
from edge_agent.draft import Draft
from edge_agent.memory import SpoolMemory
from edge_agent.reader import Reader
from edge_agent.register import Register
from edge_agent.registry import Registry
from edge_agent.rules import Rules
from edge_agent.taken import Taken
from edge_agent.ways import Ways
from gateway_core.clock import wall_ns
from gateway_core.errors import PayloadError
from gateway_core.meter import Meter

NOW = 1_790_000_000_000_000_000
SECOND = 10**9


def said(device: str, at: int = NOW, **values: Any) -> Arrival:
    return Arrival("mqtt:site", f"tg/{device}/up", json.dumps(values).encode(), at)


def reader_of(folder: Path) -> Reader:
    """A reader of the shipped profiles that has heard of a and b."""
    catalogue, meter = load_catalogue([]), Meter()
    registry = Registry("e1", "", Register(folder / "registry.db"))
    rules = Rules("e1", registry, catalogue.profiles, lambda _source: 0)
    memory = SpoolMemory(wall_ns, meter)
    reader = Reader("e1", registry, Ways(catalogue), rules, meter, 1000, memory)
    for device in ("a", "b"):
        reader.read(said(device, NOW - SECOND, temperature=20.0), Draft())
    return reader


def one_by_one(reader: Reader, arrivals: list[Arrival]) -> Draft:
    draft = Draft()
    for each in arrivals:
        reader.read(each, draft)
    return draft


MESSAGES = [
    said("a", temperature=21.5, battery=90),
    said("a", temperature=61.5, battery=9),
    said("b", ts=NOW / SECOND - 30, temperature=21, humidity=40),
    said("b", ts=17, temperature=22.5),
    said("a", temperature=20.0, seq=4),
    Arrival("coap", "tg/a/up", b'{"battery": 80}', NOW + SECOND, 50, "coap", peer="10.0.0.1:5683"),
    said("a", NOW - 5 * SECOND, temperature=40.5, battery=50),
]


def test_a_run_gives_the_records_and_alarms_of_the_long_way(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    shortly, at_length = reader_of(tmp_path / "1"), reader_of(tmp_path / "2")
    for reader in (shortly, at_length):
        reader.read(Arrival("coap", "tg/a/up", b'{"temperature": 20}', NOW, 50, "coap"), Draft())
    draft, found = Draft(), Taken()
    assert shortly.plain.read(MESSAGES, 0, draft, found) == 7
    expected = one_by_one(at_length, MESSAGES)
    assert draft.records == expected.records
    assert draft.news == expected.news
    assert len(draft.records) == 7
    assert {alarm.rule for alarm in draft.news} == {"hot", "battery_low"}  # type: ignore[union-attr]
    assert found.verdicts == [None] * 7
    assert found.profiles == ["tidegate/env-sensor"] * 7
    assert found.received == [each.received for each in draft.records]  # type: ignore[union-attr]
    assert len(set(found.received)) == 7
    for reader in (shortly, at_length):
        a = reader._registry.devices["a"]
        assert (a.last_seen, a.source, a.peer) == (NOW + SECOND, "coap", "10.0.0.1:5683")


@pytest.mark.parametrize(
    "other",
    [
        said("stranger", temperature=20.0),
        said("a", humidity=140),
        said("a"),
        Arrival("mqtt:site", "tg/a/up", b"{", NOW),
        Arrival("mqtt:site", "tg/a/up", b'{"temperature": 20.0}' + 1000 * b" ", NOW),
        Arrival("mqtt:site", "tg/a/up", b'{"temperature": 20.0}', NOW, cut=True),
        Arrival("mqtt:site", "tg/a/up", b'{"temperature": 20.0}', NOW, only=frozenset({0})),
        Arrival("coap", "tg/a/up", b"\xa0", NOW, 60, "coap"),
        Arrival("mqtt:site", "nobody/reads/this", b"{}", NOW),
    ],
    ids=["unknown", "bad value", "nothing", "no JSON", "long", "cut", "part", "CBOR", "no way"],
)
def test_a_run_ends_before_what_is_not_plain(tmp_path: Path, other: Arrival) -> None:
    reader, draft, found = reader_of(tmp_path), Draft(), Taken()
    batch = [said("a", temperature=20.0), other, said("b", temperature=20.0)]
    assert reader.plain.read(batch, 0, draft, found) == 1
    assert len(draft.records) == 1
    assert reader.plain.read(batch, 1, draft, found) == 1
    assert len(draft.records) == 1
    assert reader.plain.read(batch, 2, draft, found) == 3
    assert [each.device for each in draft.records] == ["a", "b"]  # type: ignore[union-attr]
    assert (found.verdicts, len(found.received)) == ([None, None], 2)


def test_a_refused_message_between_two_runs_takes_no_receive_time(tmp_path: Path) -> None:
    reader, draft, found = reader_of(tmp_path), Draft(), Taken()
    batch = [said("a", temperature=20.0), Arrival("mqtt:site", "tg/a/up", b"{", NOW)]
    assert reader.plain.read(batch, 0, draft, found) == 1
    with pytest.raises(PayloadError):
        reader.read(batch[1], draft)
    assert reader.plain.read([said("a", temperature=21.0)], 0, draft, found) == 1
    assert found.received == [NOW, NOW + 1]


def test_a_decoder_that_fails_leaves_its_message_to_the_long_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, draft = reader_of(tmp_path), Draft()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Route, "time", fail)
    assert reader.plain.read([said("a", temperature=20.0)], 0, draft, Taken()) == 0
    assert draft.records == []
