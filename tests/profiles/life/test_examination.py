"""Each gate refuses what it is there for, with the place in the file, and asks a person only what one must judge."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from device_profiles.examination import Examined, examine
from device_profiles.fields import Field
from tests.fakes.profile_text import PROFILE as ROOM

KNOWN = (Field("env", "temperature", "float", "Cel", "other/thermo"),)
PLAIN = ROOM[: ROOM.index("commands:")] + ROOM[ROOM.index("tests:") :]
CODEC = b"function decodeUplink(input) { return {data: JSON.parse(String.fromCharCode(...input.bytes))} }"


@pytest.fixture
def judged(tmp_path: Path):
    def judge(text: str, before: str | None = None, known=KNOWN) -> Examined:
        (tmp_path / "new.yaml").write_text(text)
        previous = None
        if before is not None:
            previous = tmp_path / "old.yaml"
            previous.write_text(before)
        return examine(tmp_path / "new.yaml", known, previous)

    return judge


def _refused(found: Examined) -> dict[str, list[str]]:
    return {
        result.gate: [f"{m.line}:{m.col}: {m.path}: {m.message}" for m in result.mistakes]
        for result in found.results
        if not result.passed
    }


def _next(version: str, old: str = "", new: str = "") -> str:
    assert old in PLAIN
    return PLAIN.replace("version: 1.0.0", f"version: {version}").replace(old, new)


def test_a_plain_first_version_passes_every_gate_and_asks_nobody(judged) -> None:
    found = judged(PLAIN)
    assert [(result.gate, result.passed) for result in found.results] == [
        ("schema_and_lint", True),
        ("vectors", True),
        ("fields", True),
        ("semver", True),
        ("egress", True),
    ]
    assert (found.id, found.version, found.questions) == ("acme/room", "1.0.0", ())
    assert found.results[1].detail == "3 of 3 vectors passed"


def test_a_mistake_in_the_grammar_is_told_with_its_place_and_nothing_is_run(judged) -> None:
    found = judged(PLAIN.replace("unit: Cel", "unti: Cel"))
    assert list(_refused(found)) == ["schema_and_lint"]
    unknown = "13:30: measurements.temperature.unti: unknown key; did you mean 'unit'?"
    assert unknown in _refused(found)["schema_and_lint"]


def test_a_vector_that_fails_is_told_with_its_line(judged) -> None:
    found = judged(PLAIN.replace("temperature: 21.5}]", "temperature: 22.5}]"))
    (mistake,) = _refused(found)["vectors"]
    assert mistake.startswith("31:1: tests.good: ")


def test_a_field_that_others_store_otherwise_is_refused(judged) -> None:
    other = (Field("env", "temperature", "int", "K", "other/thermo"),)
    (mistake,) = _refused(judged(PLAIN, known=other))["fields"]
    assert mistake.startswith("13:3: measurements.temperature: env.temperature is float Cel here")
    assert "int K in other/thermo" in mistake
    same_id = (Field("env", "temperature", "int", "K", "acme/room"),)
    assert judged(PLAIN, known=same_id).passed


@pytest.mark.parametrize(
    ("version", "old", "new", "gate", "words"),
    [
        ("1.0.1", "from: meter.total, ", "", "", ""),
        ("1.0.1", "from: 'env.\"rel.hum\"', ", "", "", ""),
        (
            "1.0.1",
            "type: float, unit: Cel",
            "type: float, unit: Cel, scale: 10",
            "semver",
            "'good'",
        ),
        ("1.1.0", "type: float, unit: Cel", "type: float, unit: Cel, scale: 2", "vectors", ""),
        (
            "1.0.1",
            "  open: {type: bool}\n",
            "  open: {type: bool}\n  shut: {type: bool}\n",
            "semver",
            "shut",
        ),
        ("1.1.0", "  open: {type: bool}\n", "  open: {type: bool}\n  shut: {type: bool}\n", "", ""),
        ("1.1.0", "  label: {type: string}\n", "", "semver", "label is gone"),
        ("2.0.0", "  label: {type: string}\n", "", "", ""),
        ("1.1.0", "label: {type: string}", "label: {type: bool}", "semver", "type, unit or kind"),
        ("1.1.0", "measurement: env", "measurement: room", "semver", "env was renamed"),
        ("1.1.0", "every: 5m", "every: 1m", "egress", "every 5m became 1m"),
        ("1.0.1", "open: raw", "open: raw\n    label: raw", "egress", "label: none became raw"),
        ("2.0.0", "open: raw", "open: raw\n    label: raw", "", ""),
        ("1.0.1", "open: raw", "open: none", "", ""),
        ("1.1.0", "class: operational", "class: public", "egress", "operational became public"),
    ],
)
def test_a_step_promises_what_its_version_says(
    judged, version: str, old: str, new: str, gate: str, words: str
) -> None:
    refused = _refused(judged(_next(version, old, new), PLAIN))
    if not gate:
        assert refused == {}
        return
    assert gate in refused
    assert any(words in mistake for mistake in refused[gate])


def test_a_person_is_asked_what_only_a_person_can_judge_and_once(judged, tmp_path: Path) -> None:
    def asked(found: Examined) -> set[str]:
        return {name for name, _ in found.questions}

    assert asked(judged(ROOM)) == {"commands"}
    assert asked(judged(PLAIN, known=())) == {"measurement"}
    assert asked(judged(PLAIN.replace("class: operational", "class: personal"))) == {"class"}
    later = ROOM.replace("version: 1.0.0", "version: 1.0.1")
    assert asked(judged(later, ROOM, known=())) == set()


def test_new_code_is_judged_and_known_code_is_not_judged_again(judged, tmp_path: Path) -> None:
    (tmp_path / "room.js").write_bytes(CODEC)
    pin = hashlib.sha256(CODEC).hexdigest()
    step = f"decode: [{{js: {{file: room.js, sha256: {pin}}}}}]"
    text = PLAIN.replace("decode: [{json: {}}]", step).replace("payload: json", "payload: bytes")
    text = text.replace("expect: {reject: not_json}", "expect: {reject: codec_threw}")
    first = judged(text)
    assert (_refused(first), [name for name, _ in first.questions]) == ({}, ["code"])
    assert judged(text.replace("version: 1.0.0", "version: 1.0.1"), text).questions == ()
