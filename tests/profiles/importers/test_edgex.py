"""An EdgeX device profile becomes a profile that lints and passes; nothing of it is dropped in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.examples import run_tests
from device_profiles.importers.edgex import import_edgex
from device_profiles.importers.edgex_units import as_ucum
from device_profiles.importers.imported import field_name
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError
from tidegate.cli import main

THERMOSTAT = """\
apiVersion: "v3"
name: "Thermostat-Device"
manufacturer: "Acme Corp."
model: "TH-100"
labels: [hvac]
deviceResources:
  - name: AmbientTemperature
    description: Air temperature
    attributes: {startingAddress: 4}
    properties: {valueType: Float32, readWrite: R, units: C, scale: 0.1, minimum: -40, maximum: 85}
  - name: Mode
    isHidden: true
    properties: {valueType: Uint16, readWrite: RW, defaultValue: "0", mask: 255, shift: -2}
  - name: fan.speed
    properties: {valueType: Uint16, readWrite: R, units: rpm, maximum: "3000", assertion: "5"}
  - name: Occupied
    properties: {valueType: Bool, readWrite: R}
  - name: Setpoint
    properties: {valueType: Float64, readWrite: W, units: C}
  - name: History
    properties: {valueType: Int16Array, readWrite: R}
  - name: Power
    properties: {valueType: Int32, readWrite: R, units: furlongs}
deviceCommands:
  - name: Status
    readWrite: R
    resourceOperations:
      - {deviceResource: AmbientTemperature}
      - {deviceResource: Mode, mappings: {"0": "OFF", "1": HEAT}}
  - name: SetMode
    readWrite: W
    resourceOperations: [{deviceResource: Mode, defaultValue: "1"}]
isSystem: true
"""


def test_the_profile_made_lints_and_passes_its_vectors() -> None:
    made = import_edgex(THERMOSTAT)
    profile = load_profile(made.text, "made.yaml")
    assert made.id == profile.id == "acme-corp/th-100"
    assert [outcome.failures for outcome in run_tests(profile)] == [()] * 5


def test_types_units_limits_and_texts_are_taken_over() -> None:
    fields = load_profile(import_edgex(THERMOSTAT).text, "made.yaml").fields
    assert {name: (f.type, f.unit, f.low, f.high, f.values) for name, f in fields.items()} == {
        "ambient_temperature": ("float", "Cel", -40, 85, ()),
        "mode": ("enum", "", None, None, ("OFF", "HEAT")),
        "fan_speed": ("int", "/min", 0, 3000, ()),
        "occupied": ("bool", "", None, None, ()),
        "power": ("int", "1", None, None, ()),
    }


def test_what_edgex_has_applied_is_not_applied_again_and_is_said() -> None:
    text = import_edgex(THERMOSTAT).text
    assert "# EdgeX has applied scale 0.1" in text
    assert "scale:" not in text


def test_everything_without_an_equal_is_named_with_its_place() -> None:
    remarks = [str(each) for each in import_edgex(THERMOSTAT).remarks]
    places = {each.split(": ")[1] for each in remarks}
    assert places == {
        "labels",
        "deviceResources.0.attributes",
        "deviceResources.0.properties.units",
        "deviceResources.1.isHidden",
        "deviceResources.1.properties.defaultValue",
        "deviceResources.2.properties.units",
        "deviceResources.2.properties.assertion",
        "deviceResources.4.properties.readWrite",
        "deviceResources.5.properties.valueType",
        "deviceResources.6.properties.units",
        "deviceCommands.1",
        "deviceCommands.1.resourceOperations.0.defaultValue",
        "isSystem",
    }
    assert remarks[0].startswith("<EdgeX profile>:5:1: labels: ")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1", "no EdgeX device profile"),
        ("deviceResources: []", "has a 'name'"),
        ("name: x\ndeviceResources: [{name: a}]", "'name' and 'properties'"),
        ("name: x\ndeviceResources: [{name: a, properties: {valueType: Int17}}]", "Int17"),
        ("name: x\ndeviceResources: [{name: a, properties: {value: {type: Int16}}}]", "version 1"),
        (
            "name: x\ndeviceResources: [{name: a, properties: {valueType: Binary, readWrite: R}}]",
            "no resource that can be read",
        ),
    ],
)
def test_what_is_no_device_profile_is_refused_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        import_edgex(text)


def test_everyday_units_become_ucum_and_no_guess_is_made_of_others() -> None:
    said = ("C", "degF", "°C", "%RH", "kWh", "rpm", "m/s", "W", "parsnips", "")
    assert [as_ucum(each) for each in said] == [
        "Cel", "[degF]", "Cel", "%", "kW.h", "/min", "m/s", "W", None, None,
    ]  # fmt: skip


def test_names_become_small_letters_and_stay_different() -> None:
    assert field_name("AirTemp-2") == "air_temp_2"
    assert field_name("CO2Level") == "co2_level"
    assert field_name("2nd") == "v_2nd"
    assert field_name("温度") == "v"
    assert field_name("a", {"a", "a_2"}) == "a_3"


RESOURCE = st.fixed_dictionaries(
    {
        "name": st.text(min_size=1, max_size=20),
        "properties": st.fixed_dictionaries(
            {
                "valueType": st.sampled_from(
                    ["Bool", "String", "Int8", "Uint64", "Float32", "Float64Array"]
                ),
                "readWrite": st.sampled_from(["R", "W", "RW", "WR"]),
            },
            optional={
                "units": st.text(max_size=8),
                "minimum": st.one_of(st.integers(-5, 5), st.floats(), st.text(max_size=5)),
                "maximum": st.one_of(st.integers(-5, 5), st.floats(), st.text(max_size=5)),
                "scale": st.one_of(st.floats(), st.text(max_size=4)),
                "assertion": st.text(max_size=4),
            },
        ),
    }
)


@given(name=st.text(min_size=1, max_size=30), resources=st.lists(RESOURCE, min_size=1, max_size=4))
@settings(max_examples=40)
def test_any_device_profile_gives_one_that_passes_or_a_fault(
    name: str, resources: list[object]
) -> None:
    text = json.dumps({"name": name, "deviceResources": resources})
    try:
        made = import_edgex(text)
    except ConfigError:
        return
    assert all(outcome.passed for outcome in run_tests(load_profile(made.text, "made.yaml")))


def tidegate(*arguments: str) -> int:
    """Run a command; return its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(str(ended.value.code))


def test_the_command_writes_a_file_that_passes_and_remarks_to_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "thermostat.yaml", tmp_path / "made" / "thermostat.yaml"
    source.write_text(THERMOSTAT)
    command = ("profiles", "import", "edgex", str(source), "--output", str(out))
    assert tidegate(*command) == 0
    assert f"remark: {source}:5:1: labels: " in capsys.readouterr().err
    assert tidegate("profiles", "lint", str(out)) == 0
    assert tidegate("profiles", "test", str(out)) == 0
    assert tidegate(*command) == 1
    assert "is there already" in capsys.readouterr().err
