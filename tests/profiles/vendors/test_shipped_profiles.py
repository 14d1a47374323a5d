"""The promise: every profile that ships loads, proves itself, and agrees with all the others."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml12

from device_profiles.catalogue import SHIPPED, load_catalogue, profile_files
from device_profiles.examples import run_tests

CATALOGUE = load_catalogue([])
PROFILES = sorted(CATALOGUE.profiles)
SHARED_TOPICS = {"application/+/device/+/event/up", "v3/+/devices/+/up"}


def test_the_catalogue_has_no_faults_and_every_file_is_in_it() -> None:
    assert CATALOGUE.faults == ()
    files = profile_files(SHIPPED)
    assert [f"{f.parent.name}/{f.stem}" for f in files] == PROFILES
    assert len(files) >= 52


@pytest.mark.parametrize("name", PROFILES)
def test_every_vector_passes(name: str) -> None:
    outcomes = run_tests(CATALOGUE.profiles[name])
    assert [(o.name, o.failures) for o in outcomes if not o.passed] == []
    assert len(outcomes) >= 3


def source(name: str) -> dict:
    return yaml12.read_yaml(str(Path(SHIPPED) / f"{name}.yaml"))


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_names_its_documentation_and_licence_and_refuses_something(name: str) -> None:
    data = source(name)
    assert data["docs"]
    assert data["license"] == "CC0-1.0"
    assert any("reject" in test.get("expect", {}) for test in data["tests"])


@pytest.mark.parametrize("name", PROFILES)
def test_every_alarm_is_raised_and_cleared_by_a_vector(name: str) -> None:
    data = source(name)
    seen = {
        mark
        for test in data["tests"]
        for step in (test, *test.get("steps", []))
        for mark in step.get("expect", {}).get("alarms", [])
    }
    wanted = {sign + alarm for alarm in data.get("alarms", {}) for sign in "+-"}
    assert wanted - seen == set()


@pytest.mark.parametrize("name", PROFILES)
def test_what_may_identify_a_person_never_leaves_raw(name: str) -> None:
    egress = source(name)["egress"]
    if egress["class"] == "personal":
        assert egress["default"] == "none"
        numbers = {k for k, v in source(name)["measurements"].items() if v["type"] == "float"}
        assert not [k for k, v in egress["allow"].items() if v == "raw" and k in numbers]


def test_only_network_servers_share_a_topic_among_profiles() -> None:
    owners: dict[str, set[str]] = {}
    for profile in CATALOGUE.profiles.values():
        for entry in profile.entries:
            if entry.role == "ignore":
                continue
            owners.setdefault(f"{entry.via == 'coap'} {entry.template.filter}", set()).add(
                profile.id
            )
    shared = {topic.split(" ")[1] for topic, ids in owners.items() if len(ids) > 1}
    apart = {"+/online", "+/events/rpc"}  # by what stands in their first level
    assert shared == SHARED_TOPICS | apart


@pytest.mark.parametrize(
    ("topic", "owner"),
    [
        ("tg/a/up", "tidegate/env-sensor"),
        ("shellyplusplugs-a8032abe54dc/events/rpc", "shelly/plus-plug-s"),
        ("shellypro3em-a8032abe54dc/online", "shelly/pro-3em"),
        ("tele/plug/SENSOR", "tasmota/energy-plug"),
        ("tele/climate/hall/SENSOR", "tasmota/climate-sensor"),
        ("shellyhtg3-84fce6123456/events/rpc", "shelly/ht-gen3"),
        ("shellies/shellyplug-s-7A12BC/relay/0/power", "shelly/plug-s-gen1"),
        ("zigbee2mqtt/bridge/logging", "aqara/mccgq11lm-z2m"),
        ("dtu/861234567890123/dlt645/up", "dlt/645-2007-meter"),
        ("dtu/861234567890123/1/sdm120/r0000-32", "eastron/sdm120-dtu"),
    ],
)
def test_a_topic_leads_to_its_profile(topic: str, owner: str) -> None:
    assert CATALOGUE.mqtt(topic)[0].profile.id == owner


def test_the_quick_start_sensor_forwards_everything_and_needs_no_clock() -> None:
    profile = CATALOGUE.profiles["tidegate/env-sensor"]
    (route,) = CATALOGUE.mqtt("tg/room-1/up")
    decoded = route.decode(
        b'{"temperature": 21.5, "humidity": 40, "seq": 7}', 1_700_000_000_000_000_000
    )
    (point,) = decoded.readings
    assert (decoded.device, point.time) == ("room-1", 1_700_000_000_000_000_000)
    assert point.fields == {"temperature": 21.5, "humidity": 40.0, "seq": 7}
    assert profile.measurement == "env"
    for content_format, payload in (
        (None, b'{"seq": 7}'),
        (50, b'{"seq": 7}'),
        (60, b"\xa1cseq\x07"),
    ):
        (route,) = CATALOGUE.coap("tg/room-1/up", content_format)
        assert route.decode(payload, 1, content_format).readings[0].fields == {"seq": 7}
