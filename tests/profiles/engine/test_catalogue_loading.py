"""The catalogue: folders join what ships, a broken profile hurts no other, stores stay typed."""

from pathlib import Path

import pytest

from device_profiles.catalogue import load_catalogue
from device_profiles.library import decode_once, lint, lint_files, list_profiles, test_files
from gateway_core.errors import ConfigError
from tests.fakes.profile_text import PLAIN, PROFILE, changed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "room.yaml").write_text(PROFILE, "utf-8")
    return tmp_path


def test_a_folder_joins_the_shipped_catalogue(folder):
    catalogue = load_catalogue([folder])
    assert "acme/room" in catalogue.profiles
    assert "shelly/plus-plug-s" in catalogue.profiles
    assert catalogue.faults == ()


def test_the_shipped_catalogue_is_without_fault_and_every_vector_passes():
    catalogue = load_catalogue([])
    assert len(catalogue.profiles) >= 10
    report = test_files([profile.file for profile in catalogue.profiles.values()])
    assert report.passed, [outcome for outcome in report.outcomes if not outcome.passed]


def test_a_broken_profile_is_an_error_or_is_left_out(folder):
    (folder / "broken.yaml").write_text(changed("unit: Cel", "unit: degC"), "utf-8")
    with pytest.raises(ConfigError, match=r"broken\.yaml:13:"):
        load_catalogue([folder], shipped=False)
    catalogue = load_catalogue([folder], shipped=False, strict=False)
    assert list(catalogue.profiles) == ["acme/room"]
    assert [Path(fault.file).name for fault in catalogue.faults] == ["broken.yaml"]


def test_a_later_folder_replaces_a_profile(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.yaml").write_text(changed("version: 1.0.0", "version: 1.1.0"), "utf-8")
    (folder / "acme" / "room.yaml").replace(tmp_path / "room.txt")
    first = tmp_path / "first"
    first.mkdir()
    (first / "room.yaml").write_text(PROFILE, "utf-8")
    assert load_catalogue([first, other], shipped=False).profiles["acme/room"].version == "1.1.0"


def test_one_id_twice_in_a_folder_is_a_fault(folder):
    (folder / "again.yaml").write_text(PROFILE, "utf-8")
    with pytest.raises(ConfigError, match="acme/room is also in"):
        load_catalogue([folder], shipped=False)


def test_a_missing_folder_is_a_fault(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        load_catalogue([tmp_path / "none"])


def test_two_profiles_may_not_disagree_on_a_stored_field(folder):
    text = changed("humidity: {type: float", "humidity: {type: int", PLAIN)
    (folder / "plain.yaml").write_text(text, "utf-8")
    with pytest.raises(
        ConfigError, match=r"measurements\.humidity: env\.humidity is .* here and .* in acme/"
    ):
        load_catalogue([folder], shipped=False)
    assert len(lint_files([folder])) == 1


def test_a_shipped_profile_gives_way_to_a_site_that_stores_a_field_otherwise(folder):
    text = changed("humidity: {type: float", "humidity: {type: int", PLAIN)
    (folder / "acme" / "room.yaml").write_text(text, "utf-8")
    catalogue = load_catalogue([folder])
    assert catalogue.faults == ()
    assert "tidegate/env-sensor" in catalogue.set_aside
    assert "tidegate/env-sensor" not in catalogue.profiles
    assert "shelly/plus-plug-s" in catalogue.profiles


def test_lint_wants_a_vector_that_shows_what_is_refused(tmp_path):
    file = tmp_path / "plain.yaml"
    file.write_text(PLAIN, "utf-8")
    assert lint(file) == []
    text = PLAIN.replace('{points: [], quality: ["open:not_bool"]}', "{quality: []}").replace(
        "{reject: not_json}", "{}"
    )
    file.write_text(text, "utf-8")
    assert [fault.path for fault in lint(file)] == ["tests"]


def test_failing_vectors_are_named_with_what_was_found(tmp_path):
    file = tmp_path / "plain.yaml"
    file.write_text(
        changed("points: [{temperature: 1}]", "points: [{temperature: 2}]", PLAIN), "utf-8"
    )
    report = test_files([file])
    assert not report.passed
    failed = [outcome for outcome in report.outcomes if not outcome.passed]
    assert [(one.name, one.line, one.failures) for one in failed] == [
        ("one", 18, ("point 1: temperature: expected 2, found 1.0",))
    ]


@pytest.mark.parametrize(
    ("recv", "expect"),
    [
        ("{topic: acme/a/b/up, payload: {temperature: 99}}", "{points: []}"),
        (
            "{topic: acme/a/b/up, payload: {temperature: 1}}",
            "{points: [{temperature: 1, humidity: 2}]}",
        ),
        (
            "{topic: acme/a/b/up, payload: {temperature: 1, humidity: 2}}",
            "{points: [{temperature: 1}]}",
        ),
        (
            "{topic: acme/a/b/up, payload: {temperature: 1}}",
            "{points: [{time: 5, temperature: 1}]}",
        ),
        ("{topic: acme/a/b/up, payload: {temperature: 1}}", "{device: a-c}"),
        ("{topic: acme/a/b/up, payload: {temperature: 1}}", "{reject: not_json}"),
        ("{topic: acme/a/b/up, payload: nonsense}", "{points: []}"),
        ("{topic: acme/a, payload: {}}", "{points: []}"),
        ("{topic: acme/a/b/up, payload: {open: true}}", "{points: [{open: true}], online: true}"),
        ("{topic: acme/a/b/up, payload: {temperature: 1}}", '{line: "env a=1"}'),
    ],
)
def test_a_vector_that_does_not_hold_fails(tmp_path, recv, expect):
    file = tmp_path / "plain.yaml"
    first = "{topic: acme/a/b/up, payload: {temperature: 1}}, expect: {points: [{temperature: 1}]}"
    file.write_text(changed(first, f"{recv}, expect: {expect}", PLAIN), "utf-8")
    assert [outcome.passed for outcome in test_files([file]).outcomes] == [False, True, True]


def test_one_message_can_be_decoded_by_hand():
    profile = load_catalogue([]).profiles["tidegate/env-sensor"]
    found = decode_once(
        profile,
        b'{"temperature": 61.5, "humidity": 400}',
        topic="tg/r1/up",
        received=1_700_000_000_000_000_000,
    )
    assert (found.device, found.quality, found.alarms, found.reject) == (
        "r1",
        ("humidity:range",),
        ("+hot",),
        None,
    )
    assert found.lines == (
        "env,device=r1,edge=edge1,profile=tidegate/env-sensor temperature=61.5 1700000000000000000",
    )
    assert decode_once(profile, b"{", topic="tg/r1/up").reject == "not_json"
    assert decode_once(profile, b"{}", topic="other").reject == "no_match"
    assert found.as_dict()["points"] == (
        {"time": 1_700_000_000_000_000_000, "fields": {"temperature": 61.5}, "tags": {}},
    )


def test_the_list_says_what_each_profile_is(folder):
    rows = list_profiles(load_catalogue([folder], shipped=False))
    assert [
        (row.id, row.version, row.measurement, row.via, row.alarms, row.commands, row.tests)
        for row in rows
    ] == [("acme/room", "1.0.0", "env", ("mqtt",), ("hot",), ("set",), 3)]
