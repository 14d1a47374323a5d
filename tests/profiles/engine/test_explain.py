"""The promise: the annotated dump shows which byte or member became what, and what nobody read."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

from device_profiles.catalogue import load_catalogue
from device_profiles.explain import explain
from device_profiles.influence import influence
from device_profiles.js.runtime import shared
from device_profiles.profile import load_profile
from gateway_core.errors import PayloadError
from tests.fakes.clean_profile import BYTES, JSON
from tests.fakes.profile_text import PROFILE

JS = Path(__file__).parents[1] / "js"
SHIPPED = load_catalogue([]).profiles


def ranges(found, block=-1):
    return {(r.start, r.end): (r.kind, r.path, r.value) for r in found.blocks[block]["ranges"]}


def became(found, path):
    (member,) = [member for member in found.values if member.path == path]
    return [(use.use, use.name, use.value, use.unit, use.flag) for use in member.became]


def test_the_bytes_of_a_keyed_stream_are_named_to_the_last_one():
    found = explain(
        load_profile(BYTES),
        bytes.fromhex("01 02 00 d7 02 06 65 53 f1 00 03 e8"),
        topic="acme/n1/raw",
    )
    shown = [(r.start, r.end, r.kind, r.path, r.value) for r in found.blocks[0]["ranges"]]
    assert shown == [
        (0, 1, "condition", "when", 1),
        (0, 1, "key", "01", "01"),
        (1, 2, "length", "01", 2),
        (2, 4, "field", "temperature", 215),
        (4, 5, "key", "02", "02"),
        (5, 6, "length", "02", 6),
        (6, 10, "field", "history[0].at", 1700000000),
        (10, 12, "field", "history[0].temperature", 1000),
    ]
    assert became(found, "temperature") == [("field", "temperature", 21.5, "Cel", "")]
    assert became(found, "history[0].temperature") == [
        ("field", "temperature", None, "Cel", "range")
    ]
    assert became(found, "history[0].at") == [("time", "each.time", None, "", "")]


def test_bytes_that_nobody_reads_are_shown_as_such():
    text = BYTES.replace("      rest: error", "").replace("each:", "      rest: ignore\neach:", 1)
    found = explain(load_profile(text), bytes.fromhex("09 00 d7 05 aa bb"), topic="acme/n1/raw")
    assert ranges(found)[4, 6] == ("unread", "", None)


def test_members_of_json_say_what_they_became_or_that_they_were_ignored():
    payload = json.dumps(
        {"ts": 1700000000, "temperature": 99, "meter": {"total": 2500}, "status": 4, "x": 1}
    )
    found = explain(load_profile(PROFILE), payload.encode(), topic="acme/s1/n1/up")
    assert became(found, "ts") == [("time", "time.from", None, "", "")]
    assert became(found, "temperature") == [("field", "temperature", None, "Cel", "range")]
    assert became(found, "meter.total") == [("field", "energy", 2.5, "kW.h", "")]
    assert became(found, "status") == [("field", "tamper", True, "", "")]
    assert became(found, "x") == []
    assert found.blocks == ()


def test_what_would_leave_the_site_is_said_of_each_field_that_came():
    found = explain(
        load_profile(JSON),
        b'{"temperature": 61, "people": 2}',
        topic="acme/s1/n1/up",
        received=10**18,
    )
    assert found.egress == {
        "temperature": "mean of every 5m",
        "people": "stays on site",
        "alarms": "full",
    }
    assert found.devices[0]["alarms"] == ["+hot"]
    assert found.time == "received"


def test_an_envelope_is_unwrapped_and_the_devices_own_bytes_are_shown():
    payload = {"deviceInfo": {"devEui": "24e124136c191967"}, "fPort": 85, "data": "AXVcA2c0AQ=="}
    found = explain(
        SHIPPED["milesight/em300-th"],
        json.dumps(payload).encode(),
        topic="application/a1/device/24e124136c191967/event/up",
    )
    assert (found.match["via"], found.fport, found.captures["device"]) == (
        "chirpstack-v4",
        85,
        "24e124136c191967",
    )
    assert (found.blocks[0]["what"], found.blocks[0]["length"]) == ("device's bytes", 7)
    assert ranges(found)[5, 7] == ("field", "temperature", 308)


def test_a_message_that_is_refused_shows_how_far_it_was_read():
    found = explain(load_profile(BYTES), bytes.fromhex("01 02 00 d7 02 06 65"), topic="acme/n1/raw")
    assert found.reject == "truncated"
    assert ranges(found)[2, 4] == ("field", "temperature", 215)
    assert ranges(found)[4, 7] == ("unread", "", None)
    assert explain(load_profile(BYTES), b"", topic="other").match is None


def test_bytes_behind_a_javascript_codec_are_found_by_what_they_change(tmp_path):
    codec = (JS / "em300-th.js").read_bytes()
    tmp_path.joinpath("em300-th.js").write_bytes(codec)
    path = tmp_path / "em300-th.yaml"
    path.write_text(
        (JS / "em300-th.yaml").read_text().replace("DIGEST", hashlib.sha256(codec).hexdigest())
    )
    payload = {"deviceInfo": {"devEui": "24e124136c191967"}, "fPort": 85, "data": "AXVcA2c0AQ=="}
    try:
        found = explain(
            load_profile(path),
            json.dumps(payload).encode(),
            topic="application/a1/device/24e124136c191967/event/up",
        )
    finally:
        shared().close()
    shown = ranges(found)
    assert shown[2, 3] == ("value", "battery", None)
    assert shown[5, 7] == ("value", "temperature", None)
    assert shown[0, 2][0] == shown[3, 5][0] == "structure"


def test_bytes_of_a_cbor_pack_are_found_by_what_they_change():
    pack = cbor2.dumps([{-2: "urn:dev:ow:1:", -3: 1700000000, 0: "temp", 2: 20}])
    found = explain(SHIPPED["ietf/senml-meter"], pack, path="senml/n1", received=1700000000 * 10**9)
    last = found.blocks[0]["ranges"][-1]
    assert (last.end, last.path, last.kind) == (len(pack), "[0].temp", "structure")
    assert became(found, "[0].temp") == [("field", "temperature", 20.0, "Cel", "")]
    assert [
        use.use for one in found.blocks[0]["ranges"] if "time" in one.path for use in one.became
    ] == ["time"]


def test_a_line_of_text_is_shown_with_the_digits_that_make_a_value():
    line = b"cpu,host=edge-7 usage_idle=93.5,other=1 1700000000000000000"
    found = explain(SHIPPED["influxdata/telegraf-host"], line, topic="telegraf/edge-7/cpu")
    assert became(found, "[0].cpu.usage_idle") == [("field", "cpu_idle", 93.5, "%", "")]
    assert became(found, "[0].cpu.other") == []
    assert ranges(found)[27, 29][1] == "[0].cpu.usage_idle"


def test_influence_tells_values_structure_and_what_does_not_matter_apart():
    def decode(messages):
        good = [{"a": one[1], "b": [one[2]]} for one in messages]
        return [
            v if one[0] == 7 else PayloadError("bad_frame")
            for one, v in zip(messages, good, strict=True)
        ]

    assert influence(decode, b"\x07\x01\x02\x03") == [
        (0, 1, ("structure",)),
        (1, 2, ("a",)),
        (2, 3, ("b[0]",)),
    ]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_message_of_a_shipped_profile_is_explained_as_it_is_decoded(name):
    profile = SHIPPED[name]
    for test in profile.tests:
        recv = test.get("recv", {})
        if "topic" not in recv or "hex" not in recv:
            continue
        payload = bytes.fromhex(recv["hex"])
        found = explain(profile, payload, topic=recv["topic"])
        assert found.reject == test["expect"].get("reject")
        if not found.blocks:
            continue  # JSON that is none
        covered = {at for one in found.blocks[0]["ranges"] for at in range(one.start, one.end)}
        assert covered == set(range(len(payload)))


def test_the_command_prints_a_dump_or_json():
    typed = [
        sys.executable,
        "-m",
        "tidegate",
        "profiles",
        "explain",
        "tidegate/env-sensor",
        "--topic",
        "tg/d1/up",
        "--json",
    ]
    told = subprocess.run(
        [*typed, '{"temperature": 21, "x": 1}'], capture_output=True, text=True, check=True
    ).stdout
    assert "temperature = 21 Cel" in told
    assert "x            1        ignored" in told
    told = subprocess.run(
        [*typed, '{"x": 1}', "--format", "json"], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(told)["values"] == [{"path": "x", "value": 1, "became": []}]
