"""A vendor's LoRaWAN folder becomes profiles that lint, whose examples are tests that pass.

Where an example disagrees with its codec, the import says which and where, and writes the rest.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_profiles.examples import run_tests
from device_profiles.importers.lorawan import DeviceReport, import_lorawan
from device_profiles.lint import lint
from device_profiles.profile import Profile, load_profile

UPLINK = "function decodeUplink(i) {{ return {{data: {}}}; }}"


def example(given: object, output: object, description: str = "one") -> str:
    return (
        f"    - description: {json.dumps(description)}\n"
        f"      input: {json.dumps(given)}\n      output: {json.dumps(output)}\n"
    )


def vendor(folder: Path, script: str | bytes, examples: str, more: str = "") -> Path:
    """Write a folder in the layout of the device repository, with one device called probe."""
    place = folder / "acme"
    place.mkdir()
    (place / "index.yaml").write_text("name: Acme Sensors\nendDevices: [probe]\n")
    (place / "probe.yaml").write_text(
        "name: A probe\nproductURL: https://example.org/probe\nfirmwareVersions:\n"
        "  - {version: '1.0', profiles: {EU863-870: {id: radio, codec: probe-codec}}}\n"
    )
    (place / "radio.yaml").write_text("macVersion: 1.0.3\n")
    (place / "probe.js").write_bytes(script if isinstance(script, bytes) else script.encode())
    head = "uplinkDecoder:\n  fileName: probe.js\n  examples:\n"
    (place / "probe-codec.yaml").write_text(head + examples + more)
    return place


def made(tmp_path: Path, script: str | bytes, examples: str, more: str = "") -> DeviceReport:
    (report,) = import_lorawan(vendor(tmp_path, script, examples, more), tmp_path / "out")
    return report


def proven(report: DeviceReport) -> Profile:
    """Return the profile that was made, which lints and whose vectors pass."""
    assert (report.differences, report.troubles) == ([], [])
    path = Path(report.profile or "")
    assert lint(path) == []
    profile = load_profile(path)
    outcomes = run_tests(profile)
    assert [one.failures for one in outcomes if not one.passed] == []
    assert report.vectors == len(outcomes)
    return profile


def specs(profile: Profile) -> dict[str, Any]:
    found: dict[str, Any] = profile.document.data["measurements"]
    return found


WEATHER = UPLINK.format(
    "{temperature: i.bytes[0] / 10, battery: 3.6, counter: i.bytes[1], rain: i.bytes[1] > 0,"
    " status: ['ok', 'fault'][i.bytes[1] & 1], air: {humidity: 50, 'due point': 1}, odd: 7}"
)


def weather(first: int, second: int) -> dict[str, Any]:
    return {
        "data": {
            "temperature": first / 10, "battery": 3.6, "counter": second, "rain": second > 0,
            "status": "fault" if second & 1 else "ok", "air": {"humidity": 50, "due point": 1}, "odd": 7,
        }
    }  # fmt: skip


def test_examples_become_measurements_and_vectors(tmp_path: Path) -> None:
    examples = example({"fPort": 1, "bytes": [215, 0]}, weather(215, 0), "mild")
    examples += example({"fPort": 1, "bytes": [10, 1]}, weather(10, 1), "cold")
    profile = proven(made(tmp_path, WEATHER, examples))
    assert (profile.id, profile.vendor, profile.title["en"]) == (
        "acme/probe",
        "Acme Sensors",
        "A probe",
    )
    assert [entry.via for entry in profile.entries] == [
        "chirpstack-v4",
        "ttn-v3",
        "milesight-gateway",
    ]
    assert specs(profile) == {
        "temperature": {"type": "float", "unit": "Cel"},
        "battery": {"type": "float", "unit": "V", "kind": "diagnostic"},
        "counter": {"type": "int", "unit": "1", "kind": "counter"},
        "rain": {"type": "bool"},
        "status": {"type": "enum", "values": ["fault", "ok"]},
        "air_humidity": {"from": "air.humidity", "type": "float", "unit": "%"},
        "air_due_point": {"from": "air.due point", "type": "float", "unit": "1"},
        "odd": {"type": "float", "unit": "1"},
    }
    assert 'odd: {"type": "float", "unit": "1"}  # review: unit?' in profile.document.text
    assert profile.document.data["egress"] == {"class": "operational", "default": "none"}
    names = [test["name"] for test in profile.tests]
    assert names[:3] == [
        "a network server's message that is not JSON",
        "a network server's message that names no device",
        "a gateway's message that is not JSON",
    ]
    assert {
        "mild, decodeUplink",
        "mild, by ttn-v3",
        "mild, by milesight-gateway",
        "cold, by chirpstack-v4",
    } <= set(names)


def test_an_example_that_disagrees_is_named_and_the_others_are_written(tmp_path: Path) -> None:
    examples = example({"fPort": 1, "bytes": [5]}, {"data": {"t": 6, "u": 1}}, "wrong")
    examples += example({"fPort": 1, "bytes": [7]}, {"data": {"t": 7}}, "right")
    report = made(tmp_path, UPLINK.format("{t: i.bytes[0]}"), examples)
    (difference,) = report.differences
    assert Path(difference.file).name == "probe-codec.yaml"
    assert (difference.example, difference.description) == ("uplinkDecoder example 1", "wrong")
    assert difference.where == (
        "data.t: expected 6, found 5",
        "data.u: expected 1, found nothing",
    )
    assert (report.examples, report.agreed, report.good) == (2, 1, False)
    outcomes = run_tests(load_profile(Path(report.profile or "")))
    assert all(one.passed for one in outcomes)
    assert not any("wrong" in one.name for one in outcomes)


STRANGE = {
    "NaN": ("{t: i.bytes[0] ? 0 / 0 : 1}", {"data": {"t": None}}),
    "nothing": ("{}", {"data": {}}),
    "list": ("[{v: 1}, {v: 2}]", {"data": [{"v": 1}, {"v": 2}]}),
    "text of numbers": ("{t: '21.5', v: '3.6 V'}", {"data": {"t": "21.5", "v": "3.6 V"}}),
    "very long text": ("{t: 1, s: 'x'.repeat(2000)}", {"data": {"t": 1, "s": "x" * 2000}}),
    "huge numbers": ("{a: 12345678901234567890, b: 1e300}", {"data": {"a": 12345678901234567000, "b": 1e300}}),
    "odd keys": (
        "{'a.b': 1, '': 2, '$': 3, '123': 4, 'ü': 5, '\"': 6, TempC: 7, tempC: 8}",
        {"data": {"a.b": 1, "": 2, "$": 3, "123": 4, "ü": 5, '"': 6, "TempC": 7, "tempC": 8}},
    ),
    "records of their own time": (
        "{t: 1, history: [{timestamp: 5, t: 2}]}",
        {"data": {"t": 1, "history": [{"timestamp": 5, "t": 2}]}},
    ),
    "a time": ("{time: 21, t: 1}", {"data": {"time": 21, "t": 1}}),
    "words of YAML": ("{true: 1, Null: 2, on: 3, y: 4}", {"data": {"true": 1, "Null": 2, "on": 3, "y": 4}}),
    "warnings": ("{t: 1}, warnings: ['w'], errors: []", {"data": {"t": 1}, "warnings": ["w"]}),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_whatever_a_codec_gives_its_profile_passes(tmp_path: Path, name: str) -> None:
    script, output = STRANGE[name]
    proven(made(tmp_path, UPLINK.format(script), example({"fPort": 1, "bytes": [5]}, output)))


def test_a_value_called_time_is_not_the_time_of_its_point(tmp_path: Path) -> None:
    report = made(
        tmp_path,
        UPLINK.format("{time: i.bytes[0]}"),
        example({"bytes": [21]}, {"data": {"time": 21}}),
    )
    assert specs(proven(report)).keys() == {"device_time"}


def test_a_list_or_object_in_a_values_place_is_flagged(tmp_path: Path) -> None:
    script = UPLINK.format("{t: [1, [], {a: 1}][i.bytes[0]], v: 2}")
    examples = "".join(
        example({"fPort": 1, "bytes": [at]}, {"data": {"t": value, "v": 2}}, f"number {at}")
        for at, value in enumerate([1, [], {"a": 1}])
    )
    profile = proven(made(tmp_path, script, examples))
    expects = {test["name"]: test["expect"] for test in profile.tests if "recv" in test}
    assert expects["number 1, by chirpstack-v4"]["quality"] == ["t:not_number"]


def test_a_date_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    script = UPLINK.format("{at: new Date(1e12), text: '2001-09-09T01:46:40Z'}")
    written = {"at": "2001-09-09T03:46:40+02:00", "text": "2001-09-09T01:46:40Z"}
    proven(made(tmp_path, script, example({"bytes": [1]}, {"data": written})))
    other = {"at": "2001-09-09T01:46:41Z", "text": "2001-09-09T01:46:40Z"}
    (tmp_path / "other").mkdir()
    report = made(tmp_path / "other", script, example({"bytes": [1]}, {"data": other}))
    assert report.differences[0].where[0].startswith("data.at: expected")


def test_functions_in_a_file_of_their_own_are_tried_and_named(tmp_path: Path) -> None:
    more = "downlinkEncoder:\n  fileName: encoder.js\n  examples:\n"
    more += example({"data": {"n": 3}}, {"bytes": [3], "fPort": 2}, "three")
    more += example({"data": {"n": 4}}, {"bytes": [5], "fPort": 2}, "five")
    place = vendor(
        tmp_path, UPLINK.format("{t: 1}"), example({"bytes": [1]}, {"data": {"t": 1}}), more
    )
    (place / "encoder.js").write_text(
        "function encodeDownlink(i) { return {bytes: [i.data.n], fPort: 2}; }"
    )
    (report,) = import_lorawan(place, tmp_path / "out")
    assert (report.examples, report.agreed, report.troubles) == (3, 2, [])
    assert report.differences[0].where == ("bytes.0: expected 5, found 4",)
    assert report.remarks == [
        "encoder.js: a profile has one codec, so encodeDownlink of it is left out"
    ]
    assert list(load_profile(Path(report.profile or "")).commands) == []


def test_a_vendors_name_stands_in_the_list_of_vendors(tmp_path: Path) -> None:
    place = vendor(tmp_path, UPLINK.format("{t: 1}"), example({"bytes": [1]}, {"data": {"t": 1}}))
    (place / "index.yaml").write_text("endDevices: [probe]\n")
    (tmp_path / "index.yaml").write_text("vendors:\n  - {id: acme, name: Acme of the list}\n")
    (report,) = import_lorawan(place, tmp_path / "out")
    assert proven(report).vendor == "Acme of the list"


BYTES = ["01 A5", "0x01,0xA5", "01a5", ["0x01", "0xA5"], [1, 165]]


@pytest.mark.parametrize("written", BYTES)
def test_bytes_are_read_however_they_are_written(tmp_path: Path, written: object) -> None:
    report = made(
        tmp_path,
        UPLINK.format("{t: i.bytes[1]}"),
        example({"bytes": written}, {"data": {"t": 165}}),
    )
    proven(report)


def test_expected_errors_a_missing_port_and_a_receive_time_are_kept(tmp_path: Path) -> None:
    script = """function decodeUplink(i) {
      if (i.bytes.length === 0) return {errors: ['empty']};
      return {data: {port: i.fPort === undefined, year: i.recvTime ? i.recvTime.getFullYear() : 0}};
    }"""
    examples = example({"bytes": []}, {"errors": ["empty"]}, "nothing")
    examples += example({"bytes": [1]}, {"data": {"port": True, "year": 0}}, "no port")
    examples += example(
        {"bytes": [1], "fPort": 2, "recvTime": "2020-08-02T20:00:00+05:00"},
        {"data": {"port": False, "year": 2020}},
        "at a time",
    )
    profile = proven(made(tmp_path, script, examples))
    (refused,) = [test for test in profile.tests if test["name"] == "nothing, by chirpstack-v4"]
    assert refused["expect"] == {"reject": "codec_error"}


def test_downlinks_and_the_common_vocabulary_are_vectors_too(tmp_path: Path) -> None:
    script = (
        UPLINK.format("{t: i.bytes[0]}")
        + """
    function normalizeUplink(i) { return {data: {air: {temperature: i.data.t}}}; }
    function encodeDownlink(i) { return {bytes: [i.data.led === 'green' ? 1 : 0], fPort: 2}; }
    function decodeDownlink(i) { return {data: {led: i.bytes[0] ? 'green' : 'red'}}; }"""
    )
    examples = example({"fPort": 1, "bytes": [5]}, {"data": {"t": 5}})
    examples += "      normalizedOutput: {data: [{air: {temperature: 5}}]}\n"
    more = "downlinkEncoder:\n  fileName: probe.js\n  examples:\n"
    more += example({"data": {"led": "green"}}, {"bytes": [1], "fPort": 2}, "Turn green")
    more += "downlinkDecoder:\n  fileName: probe.js\n  examples:\n"
    more += example({"bytes": [1], "fPort": 2}, {"data": {"led": "green"}}, "Turned green")
    profile = proven(made(tmp_path, script, examples, more))
    functions = [test["codec"]["function"] for test in profile.tests if "codec" in test]
    assert functions == ["decodeUplink", "normalizeUplink", "encodeDownlink", "decodeDownlink"]
    sent = profile.encode_command("turn_green", "24e124136b502217", {}, {"app": "a1"})
    assert json.loads(sent.payload) == {
        "devEui": "24e124136b502217", "confirmed": False, "fPort": 2, "data": "AQ==",
    }  # fmt: skip


def test_a_codec_with_hidden_state_gets_a_context_a_message(tmp_path: Path) -> None:
    examples = example({"fPort": 1, "bytes": [5]}, {"data": {"n": 1}})
    examples += example({"fPort": 1, "bytes": [6]}, {"data": {"n": 1}}, "two")
    profile = proven(made(tmp_path, "var n = 0; " + UPLINK.format("{n: ++n}"), examples))
    assert profile.document.data["decode"][0]["js"]["fresh"] is True


def test_a_codec_is_copied_to_the_byte(tmp_path: Path) -> None:
    script = b"\xef\xbb\xbf// 28 \xb0C\r\n" + UPLINK.format("{t: 1}").encode()
    profile = proven(made(tmp_path, script, example({"bytes": [1]}, {"data": {"t": 1}})))
    assert (Path(profile.file).parent / "probe.js").read_bytes() == script
