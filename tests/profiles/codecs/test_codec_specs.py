"""The promise: a wrong specification is refused when it is compiled, and the error names its place."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.codecs import Context, SpecError, compile_decode
from gateway_core.errors import PayloadError


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
    (s({"a": "u8"}, when="size in [fport, 2]"), (0, "struct", "when"), "numbers or quoted text"),
    (s({"a": "u8"}, when="size in [(size / 2)]"), (0, "struct", "when"), "numbers or quoted text"),
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


WORDS = st.sampled_from(
    ["u8", "u24le", "f32cdab", "hex", "bcd2", "skip1", "ascii", "modbus-rtu", "sum8", "a", "68", "0x1", "big", "error", "skip", "fport == 2", "a.b < 1", "base64", "crc32", ""]
)  # fmt: skip
KEYS = st.sampled_from(
    ["json", "cbor", "frame", "struct", "tlv", "senml", "cayenne-lpp", "js", "fields", "order", "when", "rest", "type", "at", "bits", "equals", "repeat", "count", "cases", "key", "len", "unknown", "list", "start", "end", "header", "length", "checksum", "from", "plus", "skip", "subtract", "preamble", "payload", "encoding", "split", "a", "01"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | WORDS
SPECS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS | st.integers(0, 9) | st.none(), inner, max_size=3)
    ),
    max_leaves=12,
)
FIELD = st.dictionaries(
    KEYS, WORDS | st.dictionaries(KEYS, SPECS, max_size=3), min_size=1, max_size=1
)
FIELDS = st.lists(FIELD | WORDS, min_size=1, max_size=4)
STEPS = st.lists(
    SPECS
    | st.dictionaries(KEYS, SPECS, min_size=1, max_size=1)
    | st.fixed_dictionaries(
        {
            "struct": st.fixed_dictionaries(
                {"fields": FIELDS}, optional={"when": WORDS, "order": WORDS, "rest": WORDS}
            )
        }
    )
    | st.fixed_dictionaries(
        {
            "tlv": st.fixed_dictionaries(
                {"cases": st.dictionaries(WORDS, FIELDS | SPECS, max_size=2)},
                optional={"len": WORDS, "key": SPECS},
            )
        }
    )
    | st.fixed_dictionaries({"frame": st.dictionaries(KEYS, SPECS | FIELDS, max_size=4)}),
    max_size=3,
)


@given(steps=STEPS, payload=st.binary(max_size=24))
@settings(max_examples=400)
def test_any_specification_compiles_or_is_refused_and_what_compiles_never_breaks(
    steps: list[Any], payload: bytes
) -> None:
    try:
        decoder = compile_decode(steps)
    except SpecError:
        return
    with suppress(PayloadError):
        decoder(payload, Context(fport=2))
