"""An announcement means what Home Assistant's documentation says, and a wrong one says what is wrong."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.homeassistant.announcement import Entity, parse_announcement
from device_profiles.homeassistant.classes import FIELDS, UNITS, sensor_stored
from device_profiles.units import UnitFault, parse_unit
from gateway_core.errors import PayloadError


def parsed(component: str = "sensor", **spec: Any) -> list[Entity]:
    topic = f"homeassistant/{component}/node/thing/config"
    return parse_announcement(topic, json.dumps(spec).encode())


def test_abbreviations_and_the_base_topic_are_written_out() -> None:
    (short,) = parsed(**{"~": "a/b", "stat_t": "~/s", "avty_t": "~/l", "dev": {"ids": ["x"]}})
    assert (short.topic, short.device, short.name) == ("a/b/s", "x", "thing")
    assert [(p.topic, p.there, p.gone) for p in short.presence] == [("a/b/l", "online", "offline")]


def test_the_base_topic_may_stand_at_the_end() -> None:
    assert parsed(**{"~": "a/b", "state_topic": "s/~"})[0].topic == "s/a/b"


@pytest.mark.parametrize(
    ("spec", "device"),
    [
        ({"device": {"identifiers": ["one", "two"]}, "unique_id": "u"}, "one"),
        ({"device": {"identifiers": "one"}}, "one"),
        ({"device": {"connections": [["mac", "02:5b:26"]]}}, "02~3a5b~3a26"),
        ({"unique_id": "u"}, "u"),
        ({}, "thing"),
        ({"device": {"identifiers": ["泵"]}}, "_~e6~b3~b5"),
    ],
)
def test_the_device_is_who_the_announcement_says(spec: dict[str, Any], device: str) -> None:
    assert parsed(state_topic="s", **spec)[0].device == device


def test_a_unit_is_turned_into_that_of_its_class() -> None:
    stored = sensor_stored("temperature", "°F", numeric=True)
    assert stored.factor is not None
    assert (212 * stored.factor.num + stored.factor.add) / stored.factor.den == 100
    assert sensor_stored("", "kW", numeric=True).field == "power"
    assert (
        sensor_stored("", "steps", numeric=True).field,
        sensor_stored("", "", numeric=False).field,
    ) == ("value", "state")


def test_every_unit_and_every_field_has_a_meaning_in_ucum() -> None:
    for unit in {*UNITS.values(), *FIELDS.values()}:
        parse_unit(unit)


def test_a_unit_of_something_else_is_refused() -> None:
    with pytest.raises(UnitFault):
        sensor_stored("temperature", "kWh", numeric=True)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({}, "state_topic: expected a topic"),
        ({"state_topic": "a/+"}, "is no topic to listen to"),
        ({"state_topic": "$SYS/x"}, "is no topic to listen to"),
        ({"state_topic": "x" * 300}, "at most 256"),
        ({"state_topic": "s", "value_template": "{{ now() }}"}, "'now' is not known"),
        ({"state_topic": "s", "availability_mode": "most"}, "availability_mode 'most'"),
        (
            {"state_topic": "s", "device_class": "energy", "unit_of_measurement": "L"},
            "do not measure",
        ),
        ({"state_topic": "s", "device_class": 3}, "device_class: expected text"),
    ],
)
def test_a_wrong_announcement_says_what_is_wrong(spec: dict[str, Any], why: str) -> None:
    with pytest.raises(PayloadError) as caught:
        parsed(**spec)
    assert caught.value.code == "bad_announcement"
    assert why in caught.value.detail


def test_a_device_with_too_many_entities_is_refused() -> None:
    parts = {f"e{n}": {"p": "sensor", "state_topic": "s"} for n in range(201)}
    with pytest.raises(PayloadError, match="201 entities, at most 200"):
        parse_announcement("homeassistant/device/d/config", json.dumps({"cmps": parts}).encode())


def test_nothing_takes_an_announcement_back() -> None:
    assert parse_announcement("homeassistant/sensor/x/config", b"") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["~", "dev", "ids", "cns", "stat_t", "avty", "t", "cmps", "p", "val_tpl", "dev_cla", "pl_on"]
    ), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(JSON, st.sampled_from(["sensor", "binary_sensor", "device", "light"]))
def test_any_json_is_an_announcement_or_a_payload_error(message: Any, component: str) -> None:
    with contextlib.suppress(PayloadError):
        parse_announcement(f"homeassistant/{component}/x/config", json.dumps(message).encode())


@given(st.binary(max_size=100))
def test_any_bytes_are_an_announcement_or_a_payload_error(payload: bytes) -> None:
    with contextlib.suppress(PayloadError):
        parse_announcement("homeassistant/sensor/x/config", payload)
