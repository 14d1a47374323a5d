"""The short look at calm devices changes nothing: alarms are those of the rules run on everything."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from device_profiles.alarms import AlarmMemory, AlarmRules
from device_profiles.catalogue import load_catalogue
from device_profiles.profile import Profile
from edge_agent.calm import Calm
from edge_agent.draft import Draft
from edge_agent.register import Register
from edge_agent.registry import Registry
from edge_agent.rules import Rules
from gateway_core.model import Alarm, Value
from tests.fakes.edge import ENV, NOW, write_profile

SECOND = 1_000_000_000
RATE = ENV.replace(
    "  damp:", "  rising: {severity: minor, raise: rate_temperature > 1.0}\n  damp:"
).replace("test/env", "test/rate")


def profile_of(folder: Path, text: str = ENV) -> Profile:
    catalogue = load_catalogue([write_profile(folder, text)], shipped=False)
    (profile,) = catalogue.profiles.values()
    return profile


def rules_of(folder: Path, profile: Profile) -> tuple[Rules, Registry]:
    registry = Registry("e1", "", Register(folder / "registry.db"))
    return Rules("e1", registry, {profile.id: profile}, lambda _source: 0), registry


@pytest.mark.parametrize("seed", range(20))
def test_rules_tell_what_the_engine_tells_whatever_comes_in_whatever_order(
    tmp_path: Path, seed: int
) -> None:
    profile = profile_of(tmp_path / "profiles")
    rules, registry = rules_of(tmp_path, profile)
    device = registry.admit("d1", profile.id, "mqtt:site", "tg/d1/up", NOW)
    engine, memory = AlarmRules(profile), AlarmMemory({}, {}, {})
    chance = random.Random(seed)
    draft, expected, now = Draft(), [], NOW
    for _ in range(300):
        now += chance.choice((1, 5, 20)) * SECOND
        time = now + chance.choice((0, 0, 0, -10, -60, 3600)) * SECOND
        fields: dict[str, Value] = {}
        if chance.random() < 0.9:
            fields["temperature"] = chance.choice((20.0, 20.0, 58.0, 70.0))
        if chance.random() < 0.9:
            fields["humidity"] = chance.choice((40.0, 40.0, 85.0, 95.0))
        if chance.random() < 0.2:
            fields["count"] = 1
        device.last_seen = now
        if chance.random() < 0.05:
            rules.use({profile.id: profile})
        rules.step(device, profile.id, fields, time, draft)
        if engine.concerns(fields):
            memory, changes = engine.step(memory, fields, time, now)
            expected += changes
        rules.tick(now, draft)
        expected += engine.tick(memory, now)
    told = [(each.rule, each.state) for each in draft.news if isinstance(each, Alarm)]
    assert told == expected
    assert len(told) > 10


def test_a_device_is_calm_only_after_a_reading_that_says_everything(tmp_path: Path) -> None:
    calm = Calm.of(profile_of(tmp_path))
    assert calm is not None
    both: dict[str, Value] = {"temperature": 20.0, "humidity": 40.0}
    known = calm.known(NOW, both)
    assert calm.after(NOW, {**both, "count": 3}, known) == (NOW, 40.0, 20.0)
    assert calm.after(NOW, {"temperature": 20.0}, known) is None
    assert calm.after(NOW, {"temperature": 61.0, "humidity": 40.0}, known) is None


def test_a_device_that_never_says_everything_is_calm_after_all_that_it_says(tmp_path: Path) -> None:
    calm = Calm.of(profile_of(tmp_path))
    assert calm is not None
    one: dict[str, Value] = {"temperature": 20.0}
    assert calm.after(NOW, one, None) == (NOW, None, 20.0)
    known = calm.known(NOW, one)
    assert calm.after(NOW, {"temperature": 21.0}, known) == (NOW, None, 21.0)
    assert calm.after(NOW, {"humidity": 40.0}, known) is None
    assert calm.after(NOW, {"temperature": 61.0}, known) is None
    assert calm.forget(AlarmMemory(dict(one), {"temperature": NOW}, {}), NOW, one)
    assert not calm.forget(AlarmMemory(dict(one), {"temperature": NOW}, {}), NOW, {"count": 1})


def test_a_rule_that_looks_at_a_rate_leaves_no_device_calm(tmp_path: Path) -> None:
    assert Calm.of(profile_of(tmp_path, RATE)) is None


@pytest.mark.parametrize(
    ("condition", "calm", "not_calm"),
    [
        ("temperature > 60.0", (60.0, -40.0), (60.1,)),
        ("temperature >= 60.0", (59.9, -40.0), (60.0, 61.0)),
        ("temperature < 5.0", (5.0, 80.0), (4.9,)),
        ("temperature <= 5.0", (5.1, 80.0), (5.0, -1.0)),
        ("count > 9007199254740992", (9007199254740992, 0), (9007199254740993,)),
        ("count == 3", (2, 4), (3,)),
        ("temperature > 60.0 || temperature < 5.0", (60.0, 5.0), (61.0, 4.0)),
    ],
)
def test_a_device_is_calm_just_up_to_where_its_rule_begins_to_hold(
    tmp_path: Path, condition: str, calm: tuple[Value, ...], not_calm: tuple[Value, ...]
) -> None:
    rule = f"  hot: {{severity: major, raise: {condition}}}\n"
    lines = ENV.splitlines(keepends=True)
    text = "".join(rule if line.startswith("  hot:") else line for line in lines)
    found = Calm.of(profile_of(tmp_path, text))
    assert found is not None
    name = condition.partition(" ")[0]
    beside: dict[str, Value] = {"humidity": 40.0}
    assert all(found.after(NOW, {**beside, name: value}, None) for value in calm)
    assert not any(found.after(NOW, {**beside, name: value}, None) for value in not_calm)
