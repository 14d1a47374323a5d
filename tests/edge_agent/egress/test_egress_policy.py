"""What is marked local never leaves: default deny, and the site can only take away."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from device_profiles.catalogue import load_catalogue
from edge_agent.declared import declare
from edge_agent.egress import Declared, SiteEgress
from edge_agent.grant import NONE, RAW, Coarseness, Grant, is_looser, tightest
from edge_agent.policy import Policy, Released
from edge_agent.tighten import load_site_egress
from gateway_core.errors import ConfigError
from gateway_core.model import (
    Alarm,
    Batch,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    Record,
    SystemHealth,
)

MINUTE = 60_000_000_000
MEAN_5M = Grant(every_ns=5 * MINUTE, fns=frozenset({"mean", "count"}))

METER = Declared(
    profile="acme/meter",
    measurement="power",
    data_class="operational",
    alarms="full",
    tags=frozenset({"phase", "owner_phone"}),
    grants={
        "power": RAW,
        "voltage": MEAN_5M,
        "lat": Grant(raw=True, coarsen=Coarseness(2)),
        "owner_phone": NONE,
    },
)


def reading(profile: str = "acme/meter", device: str = "m1", **changes: object) -> Reading:
    values: dict[str, object] = {
        "edge": "e1",
        "device": device,
        "profile": profile,
        "measurement": "power",
        "time": 1,
        "received": 2,
        "fields": {"power": 1.5},
    }
    return Reading(**(values | changes))  # type: ignore[arg-type]


def released(*records: Record, site: SiteEgress | None = None) -> Released:
    return Policy({"acme/meter": METER}, site).release(Batch(10, list(records)))


def test_a_reading_that_may_leave_whole_leaves_as_the_same_object() -> None:
    one = reading()
    assert released(one).records[0] is one


def test_a_local_field_stays_and_its_reading_goes_on_without_it() -> None:
    left = released(reading(fields={"power": 1.5, "owner_phone": "13800000000"}))
    assert left.records == [reading(fields={"power": 1.5})]
    assert (left.seqs, left.trimmed, left.withheld) == ([10], 1, {})


def test_a_reading_with_nothing_but_local_fields_is_withheld_under_its_rule() -> None:
    left = released(reading(), reading(fields={"owner_phone": "13800000000"}))
    assert (left.seqs, left.withheld, left.withheld_count) == ([10], {"profile": 1}, 1)


def test_a_field_that_leaves_as_an_aggregate_does_not_leave_as_a_value() -> None:
    assert released(reading(fields={"voltage": 230.0})).withheld == {"aggregated": 1}


def test_a_field_that_no_profile_declares_does_not_leave() -> None:
    assert released(reading(fields={"extra": 1})).withheld == {"undeclared": 1}


def test_a_reading_of_a_profile_that_is_not_loaded_does_not_leave() -> None:
    assert released(reading(profile="acme/gone")).withheld == {"unknown_profile": 1}


def test_a_reading_under_another_measurement_than_its_profiles_does_not_leave() -> None:
    assert released(reading(measurement="env")).withheld == {"unknown_measurement": 1}


def test_a_flag_of_a_withheld_field_stays_with_it() -> None:
    left = released(reading(flags=("owner_phone:range", "voltage:type", "power:range")))
    assert left.records == [reading(flags=("power:range",))]


def test_what_is_known_against_the_times_of_a_reading_leaves_with_it() -> None:
    left = released(reading(flags=("owner_phone:range", "time:unset")))
    assert left.records == [reading(flags=("time:unset",))]


def test_a_tag_that_the_profile_does_not_name_or_keeps_as_a_field_stays() -> None:
    left = released(reading(tags={"phase": "L1", "owner_phone": "138", "secret": "x"}))
    assert left.records == [reading(tags={"phase": "L1"})]


def test_a_coarsened_value_leaves_rounded() -> None:
    left = released(reading(fields={"lat": 37.38291, "power": 1.23456}))
    assert left.records == [reading(fields={"lat": 37.38, "power": 1.23456})]


def test_what_is_left_of_thinned_readings_leaves_as_the_readings_would() -> None:
    fields = {"power_min": 1.0, "power_count": 3, "lat_max": 37.38291, "voltage_mean": 230.0}
    left = released(
        reading(measurement="power_thinned", derived=True, fields=fields),
        reading(measurement="power_thinned", derived=True, fields={"owner_phone_last": "138"}),
    )
    mine = {"power_min": 1.0, "power_count": 3, "lat_max": 37.38}
    assert left.records == [reading(measurement="power_thinned", derived=True, fields=mine)]
    assert left.withheld_count == 1


def test_an_aggregate_leaves_only_with_what_the_rules_of_today_name() -> None:
    fields = {"voltage_mean": 230.1, "voltage_count": 5, "voltage_max": 240.0}
    left = released(
        reading(measurement="power_5m", derived=True, fields=fields),
        reading(measurement="power_1m", derived=True, fields=fields),
        reading(measurement="power_5m", derived=True, fields={"owner_phone_last": "138"}),
    )
    mine = reading(
        measurement="power_5m",
        derived=True,
        fields={"voltage_mean": 230.1, "voltage_count": 5},
    )
    assert left.records == [mine]
    assert left.withheld == {"stale_aggregate": 2}


def alarm(profile: str = "acme/meter", device: str = "m1") -> Alarm:
    return Alarm("e1", device, profile, "overload", "major", "raised", 1, {"en": "call 138"})


@pytest.mark.parametrize(
    ("profile_says", "site_says", "text"),
    [
        ("full", "full", {"en": "call 138"}),
        ("full", "code-only", {}),
        ("code-only", "full", {}),
        ("none", "full", None),
        ("full", "none", None),
    ],
)
def test_the_stricter_of_profile_and_site_decides_what_leaves_of_an_alarm(
    profile_says: str, site_says: str, text: dict[str, str] | None
) -> None:
    from dataclasses import replace

    meter = replace(METER, alarms=profile_says)  # type: ignore[arg-type]
    site = SiteEgress.model_validate({"alarms": site_says})
    left = Policy({"acme/meter": meter}, site).release(Batch(1, [alarm()]))
    if text is None:
        assert (left.records, left.withheld) == ([], {"alarms": 1})
    else:
        assert [one.text for one in left.records if isinstance(one, Alarm)] == [text]


def test_alarms_of_cameras_leave_and_those_of_unloaded_profiles_do_not() -> None:
    left = released(alarm("camera", "f1"), alarm("acme/gone"))
    assert (left.seqs, left.withheld) == ([10], {"unknown_profile": 1})


FEED = FeedHealth("e1", "f1", 1, "offline", ("rtsp_timeout",))
SYSTEM = SystemHealth("e1", "s1", 1, "down")
LOSS = Loss("e1", 1, "ep", 1, 9, "damaged", "segment 4")
LISTED = Listed("e1", "device", "m1", 1, "Wang's meter", "acme/meter", "3716", 37.1, 118.0)


def test_health_losses_and_inventory_leave_unless_the_site_says_otherwise() -> None:
    assert released(FEED, SYSTEM, LOSS, LISTED).records == [FEED, SYSTEM, LOSS, LISTED]
    quiet = SiteEgress(feeds="none", systems="none", losses="none", inventory="none")
    left = released(FEED, SYSTEM, LOSS, LISTED, site=quiet)
    assert left.records == []
    assert left.withheld == {"feeds": 1, "systems": 1, "losses": 1, "inventory": 1}


def test_the_versions_of_profiles_are_kept_with_the_inventory() -> None:
    use = ProfileUse("e1", "acme/meter", "1.1.0", "ab" * 32, 1)
    assert released(use, site=SiteEgress(inventory="id-only")).records == [use]
    left = released(use, site=SiteEgress(inventory="none"))
    assert (left.records, left.withheld) == ([], {"inventory": 1})


def test_the_site_can_take_places_and_names_out_of_the_inventory() -> None:
    no_place = released(LISTED, site=SiteEgress(inventory="no-position")).records[0]
    assert no_place == Listed("e1", "device", "m1", 1, "Wang's meter", "acme/meter", "3716")
    bare = released(LISTED, site=SiteEgress(inventory="id-only")).records[0]
    assert bare == Listed("e1", "device", "m1", 1, "", "acme/meter", "3716")


def test_nothing_of_a_hidden_device_feed_or_system_leaves() -> None:
    site = SiteEgress(hide=["m1", "f*", "s1"])
    left = released(reading(), alarm(), FEED, SYSTEM, LISTED, reading(device="m2"), site=site)
    assert left.records == [reading(device="m2")]
    assert left.withheld == {"hidden": 5}


def test_a_rule_for_some_devices_leaves_the_others_alone() -> None:
    site = SiteEgress.model_validate({"fields": [{"device": "vip-*", "egress": "none"}]})
    left = released(reading(), reading(device="vip-7"), site=site)
    assert (left.seqs, left.withheld) == ([10], {"site:1": 1})


def test_a_class_can_be_kept_on_site_as_a_whole() -> None:
    site = SiteEgress.model_validate({"classes": {"operational": "none"}})
    assert released(reading(), site=site).withheld == {"class": 1}


def test_grants_only_ever_combine_towards_less() -> None:
    ten = Grant(every_ns=10 * MINUTE, fns=frozenset({"mean", "max"}), coarsen=Coarseness(1))
    assert tightest(RAW, NONE) == NONE
    assert tightest(RAW, ten) == ten
    assert tightest(MEAN_5M, ten) == Grant(
        every_ns=10 * MINUTE, fns=frozenset({"mean"}), coarsen=Coarseness(1)
    )
    assert tightest(Grant(every_ns=MINUTE, fns=frozenset({"max"})), MEAN_5M) == NONE
    assert is_looser(RAW, ten)
    assert not is_looser(ten, RAW)
    assert not is_looser(NONE, NONE)
    assert is_looser(MEAN_5M, ten)


def write(folder: Path, text: str) -> Path:
    file = folder / "egress.yaml"
    file.write_text(text)
    return file


def test_an_entry_that_would_let_out_more_is_refused_with_its_place(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "format: 1\nfields:\n  - profile: acme/meter\n    field: owner_phone\n    egress: raw\n",
    )
    with pytest.raises(ConfigError) as caught:
        load_site_egress(file, {"acme/meter": METER})
    assert str(caught.value) == (
        f"{file}:5:5: fields.0.egress: this file can only tighten: acme/meter lets owner_phone "
        "leave as none; say less than that, or change the profile's egress"
    )


@pytest.mark.parametrize(
    "egress",
    ["raw", "{every: 1m}", "{every: 5m, fns: [mean, max]}", "{every: 5m, fns: [p95]}"],
)
def test_an_aggregate_cannot_be_loosened(tmp_path: Path, egress: str) -> None:
    text = f"fields:\n  - {{profile: acme/meter, field: voltage, egress: {egress}}}\n"
    with pytest.raises(ConfigError, match="can only tighten"):
        load_site_egress(write(tmp_path, text), {"acme/meter": METER})


@pytest.mark.parametrize(
    ("egress", "left"),
    [
        ("none", NONE),
        ("{every: 15m}", Grant(every_ns=15 * MINUTE, fns=frozenset({"mean", "count"}))),
        ("{every: 5m, fns: [mean]}", Grant(every_ns=5 * MINUTE, fns=frozenset({"mean"}))),
        (
            "{coarsen: {decimals: 0}}",
            Grant(every_ns=5 * MINUTE, fns=frozenset({"mean", "count"}), coarsen=Coarseness(0)),
        ),
    ],
)
def test_an_aggregate_can_be_tightened(tmp_path: Path, egress: str, left: Grant) -> None:
    text = f"fields:\n  - {{profile: acme/meter, field: voltage, egress: {egress}}}\n"
    declared = {"acme/meter": METER}
    policy = Policy(declared, load_site_egress(write(tmp_path, text), declared))
    gate = policy.gate("acme/meter", "m1")
    assert gate is not None
    assert gate.grants["voltage"] == left


def test_a_glob_is_a_ceiling_that_opens_nothing(tmp_path: Path) -> None:
    text = "fields:\n  - {profile: 'acme/*', egress: {every: 1h, fns: [mean]}}\n"
    declared = {"acme/meter": METER}
    policy = Policy(declared, load_site_egress(write(tmp_path, text), declared))
    gate = policy.gate("acme/meter", "m1")
    assert gate is not None
    assert gate.grants["owner_phone"] == NONE
    assert gate.grants["power"] == Grant(every_ns=60 * MINUTE, fns=frozenset({"mean"}))


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("{profile: acme/metre, egress: none}", "did you mean acme/meter?"),
        (
            "{profile: acme/meter, field: owner_fone, egress: none}",
            "did you mean owner_phone?",
        ),
    ],
)
def test_a_misspelt_name_is_refused_because_it_would_keep_nothing_in(
    tmp_path: Path, entry: str, hint: str
) -> None:
    file = write(tmp_path, f"fields:\n  - {entry}\n")
    with pytest.raises(ConfigError) as caught:
        load_site_egress(file, {"acme/meter": METER})
    assert hint in str(caught.value)


def test_not_a_number_passes_through_a_gate_that_trims() -> None:
    left = released(reading(fields={"power": math.nan, "owner_phone": "138"}))
    (one,) = left.records
    assert isinstance(one, Reading)
    assert list(one.fields) == ["power"]
    assert math.isnan(one.fields["power"])  # type: ignore[arg-type]


def test_the_example_of_the_reference_tightens_the_profiles_that_ship(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "egress-file.md"
    example = page.read_text("utf-8").split("```yaml\n")[1].split("```")[0]
    declared = declare(load_catalogue([]))
    site = load_site_egress(write(tmp_path, example), declared)
    policy = Policy(declared, site)
    vehicle = policy.gate("jtt/808-2013-vehicle", "v1")
    assert vehicle is not None
    assert vehicle.grants["lat"].coarsen == Coarseness(1)
    vip = policy.gate("shelly/plus-plug-s", "vip-1")
    assert vip is not None
    assert {grant.rank for grant in vip.grants.values()} == {0}
    lab = policy.gate("shelly/plus-plug-s", "lab-1")
    assert lab is not None
    assert lab.hidden


def test_every_shipped_profile_lets_out_no_more_than_it_says() -> None:
    catalogue = load_catalogue([])
    for name, one in declare(catalogue).items():
        rules = catalogue.profiles[name].egress.rules
        assert one.grants.keys() == catalogue.profiles[name].fields.keys()
        assert {field for field, grant in one.grants.items() if grant.raw} == {
            field for field, rule in rules.items() if rule.kind == "raw"
        }
