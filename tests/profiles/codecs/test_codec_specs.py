"""The promise: a wrong specification is refused when it is compiled, and the error names its place."""

from __future__ import annotations

from typing import Any

import pytest

from device_profiles.codecs import SpecError, compile_decode


def s(*fields: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"struct": {"fields": list(fields), **more}}]


WRONG: list[tuple[list[Any], tuple[str | int, ...], str]] = [
    ([], (), "expected a list"),
    (["json"], (0,), "expected one step"),
    ([{"jason": {}}], (0,), "did you mean 'json'"),
    ([{"js": {"file": "x.js"}}], (0, "js"), "JavaScript"),
    ([{"json": {}}, {"json": {}}], (1,), "nothing can follow"),
    ([{"json": {"x": 1}}], (0, "json", "x"), "unknown key"),
    ([{"frame": "modbus-rtu"}], (0,), "needs a step"),
    ([{"frame": "modbus-tcp"}, *s({"a": "u8"})], (0, "frame"), "did you mean 'modbus-rtu'"),
    ([{"frame": "jt808"}, {"senml": {}}], (1, "senml"), "after a frame"),
    ([*s({"a": "u8"}), *s({"b": "u8"})], (0, "struct"), "needs 'when'"),
    (s(), (0, "struct", "fields"), "at least one"),
    ([{"struct": {"feilds": []}}], (0, "struct", "feilds"), "did you mean 'fields'"),
    (s({"a": "u12"}), (0, "struct", "fields", 0, "a"), "integers have"),
    (s({"a": "u8"}, {"b": "f24"}), (0, "struct", "fields", 1, "b"), "floats have"),
    (s({"a": "int"}), (0, "struct", "fields", 0, "a"), "unknown type"),
    (s({"a": "bcd"}), (0, "struct", "fields", 0, "a"), "number of bytes"),
    (s({"a": "u16cdab"}), (0, "struct", "fields", 0, "a"), "32 or 64"),
    (s({"a": "hex4cdab"}), (0, "struct", "fields", 0, "a"), "32 or 64"),
    (s({"a": "u8", "b": "u8"}), (0, "struct", "fields", 0), "one 'name: type'"),
    (s("u8"), (0, "struct", "fields", 0), "needs a name"),
    (s({"a": 8}), (0, "struct", "fields", 0, "a"), "expected a mapping"),
    (s({"a": "u8"}, {"a": "u8"}), (0, "struct", "fields", 1, "a"), "twice"),
    (s({"a": "hex"}, {"b": "u8"}), (0, "struct", "fields", 1), "all that is left"),
    (s({"a": {"type": "u8", "at": -1}}), (0, "struct", "fields", 0, "a", "at"), "whole number"),
    (
        s({"a": {"type": "i8", "bits": {"x": 0}}}),
        (0, "struct", "fields", 0, "a", "bits"),
        "unsigned",
    ),
    (
        s({"a": {"type": "u8", "bits": {"x": 8}}}),
        (0, "struct", "fields", 0, "a", "bits", "x"),
        "0 to 7",
    ),
    (
        s({"a": {"type": "u8", "bits": {"x": [4, 5]}}}),
        (0, "struct", "fields", 0, "a", "bits", "x", 1),
        "1 to 4",
    ),
    (
        s({"a": {"type": "u8", "bits": {"x": [4]}}}),
        (0, "struct", "fields", 0, "a", "bits", "x"),
        "offset, width",
    ),
    (
        s({"a": {"type": "u8", "when": "b == 1"}}),
        (0, "struct", "fields", 0, "a", "when"),
        "not known",
    ),
    (s({"a": "u8"}, when="fport ="), (0, "struct", "when"), "cannot read"),
    (s({"a": "u8"}, when="fport == 2 2"), (0, "struct", "when"), "did not expect"),
    (s({"a": "u8"}, when="fport =="), (0, "struct", "when"), "ends too early"),
    (s({"a": "u8"}, when="(fport == 2"), (0, "struct", "when"), "expected ')'"),
    (s({"a": "u8"}, when="__import__('os')"), (0, "struct", "when"), "not known"),
    (s({"a": "u8"}, when="(" * 99 + "true" + ")" * 99), (0, "struct", "when"), "too deeply"),
    (s({"a": "u8"}, when=2), (0, "struct", "when"), "as text"),
    (s({"a": "u8"}, rest="skip"), (0, "struct", "rest"), "one of error, ignore"),
    (s({"a": "u8"}, order="middle"), (0, "struct", "order"), "one of big, little"),
    (
        [{"tlv": {"cases": {"01": [{"a": "u8"}]}, "unknown": "skip"}}],
        (0, "tlv", "unknown"),
        "skip needs len",
    ),
    (
        [{"tlv": {"cases": {"0102": [{"a": "u8"}]}}}],
        (0, "tlv", "cases", "0102"),
        "the key has 1 bytes",
    ),
    (
        [{"tlv": {"cases": {"01": [{"a": "u8"}], "0 1": []}}}],
        (0, "tlv", "cases", "0 1"),
        "hexadecimal",
    ),
    (
        [{"tlv": {"cases": {"aa": [{"a": "u8"}], "AA": [{"a": "u8"}]}}}],
        (0, "tlv", "cases", "AA"),
        "twice",
    ),
    ([{"tlv": {"cases": {1: [{"a": "u8"}]}}}], (0, "tlv", "cases", "1"), "quotes"),
    ([{"tlv": {"key": ["i8"], "cases": {"01": [{"a": "u8"}]}}}], (0, "tlv", "key", 0), "unsigned"),
    ([{"tlv": {"len": "u64", "cases": {"01": [{"a": "u8"}]}}}], (0, "tlv", "len"), "a length is"),
    ([{"tlv": {}}], (0, "tlv"), "'cases' is missing"),
    ([{"frame": {}}, *s({"a": "u8"})], (0, "frame"), "needs a start"),
    ([{"frame": {"start": "6"}}, *s({"a": "u8"})], (0, "frame", "start"), "hexadecimal"),
    (
        [{"frame": {"start": "68", "length": "n"}}, *s({"a": "u8"})],
        (0, "frame", "length", "from"),
        "not a field",
    ),
    (
        [{"frame": {"start": "68", "checksum": "crc17"}}, *s({"a": "u8"})],
        (0, "frame", "checksum", "type"),
        "one of",
    ),
    (
        [{"frame": {"header": [{"a": "hex"}]}}, *s({"a": "u8"})],
        (0, "frame", "header"),
        "fixed size",
    ),
    ([{"senml": {"split": 1}}], (0, "senml", "split"), "expected text"),
    (
        [{"json": {"payload": "data", "encoding": "b64"}}, *s({"a": "u8"})],
        (0, "json", "encoding"),
        "one of",
    ),
]


@pytest.mark.parametrize(("steps", "path", "words"), WRONG)
def test_the_error_names_the_place_and_what_was_expected(
    steps: list[Any], path: tuple[str | int, ...], words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        compile_decode(steps)
    assert words in caught.value.message
    assert caught.value.path == path
