"""Egress: nothing leaves unless it is listed, and coarse values are coarse."""

import pytest

from device_profiles.egress import Coarsen, Release, compile_egress
from tests.fakes.profile_text import room

FIVE_MINUTES = 300_000_000_000


def test_every_field_has_a_rule_and_the_default_is_to_withhold():
    egress = room().egress
    assert egress.data_class == "operational"
    assert egress.rules["temperature"] == Release(
        "aggregate", FIVE_MINUTES, "5m", ("mean", "min", "max")
    )
    assert egress.rules["open"] == Release("raw")
    withheld = {name for name, rule in egress.rules.items() if rule.kind == "none"}
    assert withheld == {"humidity", "energy", "count", "label", "mode", "tamper"}
    assert egress.rules.keys() == room().fields.keys()


def test_alarms_stay_unless_the_profile_says_otherwise():
    assert room().egress.alarms == "none"
    assert (
        room("    open: raw\n", "    open: raw\n  alarms: code-only\n").egress.alarms == "code-only"
    )


def test_a_default_can_be_an_aggregate():
    egress = compile_egress(
        {"class": "public", "default": {"every": "1d", "fns": ["last"]}}, {"a": {}, "b": {}}
    )
    assert egress.rules["b"].fns == ("last",)


@pytest.mark.parametrize(
    ("coarsen", "value", "left"),
    [
        (Coarsen(decimals=2), 22.583576, 22.58),
        (Coarsen(decimals=-2), 1234.5, 1200.0),
        (Coarsen(step=5.0), 12.4, 10.0),
        (Coarsen(decimals=-1), 47, 50),
        (Coarsen(decimals=0), True, True),
        (Coarsen(decimals=0), "x", "x"),
    ],
)
def test_a_coarse_value_keeps_its_type(coarsen, value, left):
    found = coarsen(value)
    assert found == left
    assert type(found) is type(left)


def test_a_raw_value_can_be_coarsened():
    profile = room("open: raw", "humidity: {coarsen: {decimals: 0}}")
    assert profile.egress.rules["humidity"] == Release("raw", coarsen=Coarsen(0))
