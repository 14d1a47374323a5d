"""A folder of LoRaWAN devices is read in either layout; what cannot be read is named, and the rest is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_profiles.importers.lorawan import import_lorawan
from gateway_core.errors import ConfigError
from tests.profiles.importers.test_import_lorawan import (
    UPLINK,
    example,
    made,
    proven,
    vendor,
)
from tidegate.cli import main


def test_the_layout_of_chirpstack_is_read(tmp_path: Path) -> None:
    place = tmp_path / "acme"
    (place / "devices").mkdir(parents=True)
    (place / "codecs").mkdir()
    (place / "vendor.toml").write_text('[vendor]\nname = "Acme Sensors"\n')
    (place / "devices" / "acme-probe.toml").write_text(
        '[device]\nname = "Probe"\ndescription = "A probe"\n[[device.firmware]]\nversion = "1"\n'
        'codec = "probe.js"\n[device.metadata]\nproduct_url = "https://example.org/probe"\n'
    )
    script = UPLINK.format("{t: i.bytes[0]}")
    script += "function encodeDownlink(i) { return {bytes: [i.data.n]}; }"
    (place / "codecs" / "probe.js").write_text(script)
    decode = [{"name": "five", "input": {"bytes": [5]}, "expected": {"data": {"t": 5}}}]
    (place / "codecs" / "test_decode_probe.json").write_text(json.dumps(decode))
    encode = [{"name": "Set n", "input": {"data": {"n": 3}}, "expected": {"bytes": [3]}}]
    (place / "codecs" / "test_encode_probe.json").write_text(json.dumps(encode))
    (report,) = import_lorawan(tmp_path, tmp_path / "out")
    profile = proven(report)
    assert (profile.id, profile.vendor, profile.title["en"]) == (
        "acme/acme-probe",
        "Acme Sensors",
        "A probe",
    )
    assert list(profile.commands) == ["set_n"]


def test_tests_in_the_notation_of_javascript_are_read(tmp_path: Path) -> None:
    place = tmp_path / "acme"
    (place / "devices").mkdir(parents=True)
    (place / "codecs").mkdir()
    (place / "devices" / "probe.toml").write_text(
        '[device]\nname = "Probe"\n[[device.firmware]]\nversion = "1"\ncodec = "probe.js"\n'
    )
    (place / "codecs" / "probe.js").write_text(UPLINK.format("{t: i.bytes[0], mode: 'on'}"))
    (place / "codecs" / "test_decode_probe.json").write_text(
        """[
  {
    "name": "hexadecimal",
    "input": { "fPort": 0x01, "bytes": [0xA5, 0x01] },
    "expected": {
      data: {
        t: 165,
        mode: 'on',
      }
    }
  },
]"""
    )
    (report,) = import_lorawan(tmp_path, tmp_path / "out")
    proven(report)
    assert report.agreed == 1
    (place / "codecs" / "test_decode_probe.json").write_text("[{")
    (report,) = import_lorawan(tmp_path, tmp_path / "again")
    assert "test_decode_probe.json: Expecting property name" in report.troubles[0]


BROKEN = {
    "a codec that does not compile": ("function decodeUplink( {", "", "probe.js: SyntaxError"),
    "a codec without a function": ("var x = 1;", "", "probe.js: has no function decodeUplink"),
    "an example without bytes": (
        UPLINK.format("{}"), example({"fPort": 1}, {}), "uplinkDecoder example 1: its input has no bytes",
    ),
    "bytes that are none": (
        UPLINK.format("{}"), example({"bytes": "zz"}, {}), "bytes 'zz' are no hexadecimal digits",
    ),
    "YAML that is none": (UPLINK.format("{}"), "  - [", "probe-codec.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    script, examples, message = BROKEN[name]
    report = made(tmp_path, script, examples or example({"bytes": [1]}, {"data": {}}))
    assert not report.good
    assert message in "\n".join(report.troubles)


def test_one_bad_device_leaves_the_others(tmp_path: Path) -> None:
    place = vendor(tmp_path, UPLINK.format("{t: 1}"), example({"bytes": [1]}, {"data": {"t": 1}}))
    (place / "gone.yaml").write_text("firmwareVersions: [{profiles: {EU: {codec: gone-codec}}}]\n")
    (place / "none.yaml").write_text("firmwareVersions: []\n")
    (place / "torn.yaml").write_text("firmwareVersions: [\n")
    (place / "away-codec.yaml").write_text("uplinkDecoder: {fileName: ../../etc/passwd}\n")
    reports = {one.device: one for one in import_lorawan(place, tmp_path / "out")}
    assert {name: one.good for name, one in reports.items()} == {
        "acme/gone": False, "acme/none": True, "acme/probe": True, "acme/torn": False, "acme/away": False,
    }  # fmt: skip
    assert "leads out of the folder" in reports["acme/away"].troubles[0]


def status(arguments: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


def test_a_device_without_a_codec_is_named_and_is_no_mistake(tmp_path: Path) -> None:
    place = vendor(
        tmp_path, UPLINK.format("{x: 1}"), example({"fPort": 1, "bytes": [1]}, {"data": {"x": 1}})
    )
    (place / "plain.yaml").write_text(
        "name: A button\nfirmwareVersions: [{version: '1.0', profiles: {EU863-870: {id: radio}}}]\n"
    )
    found = {each.device: each for each in import_lorawan(place, tmp_path / "out")}
    assert found["acme/plain"].remarks == ["nobody published a codec: nothing to import"]
    assert (found["acme/plain"].good, found["acme/plain"].profile) == (True, None)
    assert found["acme/probe"].good


def test_the_command_says_what_disagrees_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = vendor(
        tmp_path,
        UPLINK.format("{t: i.bytes[0]}"),
        example({"bytes": [5]}, {"data": {"t": 6}}, "six"),
    )
    arguments = ["profiles", "import", "lorawan", str(place), "-o", str(tmp_path / "out")]
    assert status(arguments) == 1
    text = capsys.readouterr().out
    assert "uplinkDecoder example 1: six\n        data.t: expected 6, found 5" in text
    assert status([*arguments, "--json"]) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert "is there already" in report["troubles"][-1]
    assert status([*arguments[:4], "-o", str(tmp_path / "other"), "--device", "nobody"]) == 2
    assert "there is no device 'nobody'" in capsys.readouterr().err


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(ConfigError, match="expected a vendor's folder"):
        list(import_lorawan(tmp_path, tmp_path / "out"))
