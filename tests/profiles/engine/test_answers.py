"""The promise: an answer acknowledges only what it answers, whatever bytes come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.answers import Question, compile_ack, compile_confirm
from device_profiles.payloads import CommandFault

ASKED = Question("c1", "plug-1", {"on": True, "level": 40})
ARGS: dict[str, object] = {"on": 1, "level": 1}
FIELDS = {"on": {"type": "bool"}, "level": {"type": "float"}, "mode": {"type": "enum"}}


@pytest.mark.parametrize(
    ("match", "answer", "verdict"),
    [
        ("id == 1", b'{"id": 1}', "acknowledged"),
        ("id == 1", b'{"id": 2}', None),
        ("id == 1", b"{}", None),
        ("id == 1", b"\xff\xfe", None),
        ("id == command && src == device", b'{"id": "c1", "src": "plug-1"}', "acknowledged"),
        ("id == command && src == device", b'{"id": "c1", "src": "plug-2"}', None),
        ("has(d.result) && d.result.on == args.on", b'{"result": {"on": true}}', "acknowledged"),
        ('text == "ON"', b"ON", "acknowledged"),
        ('hex == "0100"', b"\x01\x00", "acknowledged"),
        ("value == 7", b"7", "acknowledged"),
        ({"id": "{command}", "result.level": "${level}"}, b'{"id": "c1", "result": {"level": 40.0}}', "acknowledged"),
        ({"ok": True}, b'{"ok": 1}', None),
        ({}, b"anything", "acknowledged"),
    ],
)  # fmt: skip
def test_an_answer_is_judged_by_what_the_profile_says(
    match: Any, answer: bytes, verdict: str | None
) -> None:
    ack = compile_ack({"topic": "a/b", "match": match}, ARGS)
    assert ack.judge(answer, ASKED) == verdict


def test_a_no_goes_before_a_yes() -> None:
    ack = compile_ack({"topic": "a", "match": "id == 1", "refuse": "has(d.error)"}, ARGS)
    assert ack.judge(b'{"id": 1, "error": "busy"}', ASKED) == "refused"


@given(st.binary(max_size=200))
def test_no_bytes_are_an_error(payload: bytes) -> None:
    ack = compile_ack({"topic": "a", "match": "id == 1 && src == device"}, ARGS)
    assert ack.judge(payload, ASKED) is None


@pytest.mark.parametrize(
    ("topic", "match", "shared"),
    [
        ("edge/ack", "id == 1", True),
        ("edge/ack", "id == command", False),
        ("edge/ack", {"src": "{device}"}, False),
        ("edge/{device}/ack", "id == 1", False),
    ],
)
def test_an_answer_that_does_not_tell_whose_it_is_is_known_as_such(
    topic: str, match: Any, shared: bool
) -> None:
    assert compile_ack({"topic": topic, "match": match}, ARGS).shared is shared


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"topic": "a/+"}, ("ack", "topic")),
        ({"topic": "a", "match": "id =="}, ("ack", "match")),
        ({"topic": "a", "match": "size(text)"}, ("ack", "match")),
        ({"topic": "a", "match": {"id": "${no}"}}, ("ack", "match", "id")),
    ],
)
def test_a_mistake_in_ack_is_named_where_it_stands(spec: Any, path: tuple[str, ...]) -> None:
    with pytest.raises(CommandFault) as found:
        compile_ack(spec, ARGS)
    assert found.value.path == path


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"measurement": "no", "equals": 1}, ("confirm", "measurement")),
        ({"measurement": "on", "equals": 1}, ("confirm", "equals")),
        ({"measurement": "level", "equals": "high"}, ("confirm", "equals")),
        ({"measurement": "on", "equals": "${no}"}, ("confirm", "equals")),
    ],
)
def test_a_mistake_in_confirm_is_named_where_it_stands(spec: Any, path: tuple[str, ...]) -> None:
    with pytest.raises(CommandFault) as found:
        compile_confirm(spec, ARGS, FIELDS)
    assert found.value.path == path


def test_a_reading_confirms_within_the_tolerance_and_says_nothing_without_the_field() -> None:
    confirm = compile_confirm(
        {"measurement": "level", "equals": "${level}", "tolerance": 0.5}, ARGS, FIELDS
    )
    assert confirm.holds({"level": 40.5}, ASKED.args) is True
    assert confirm.holds({"level": 40.6}, ASKED.args) is False
    assert confirm.holds({"on": True}, ASKED.args) is None
