"""The promise: a layout reads exactly the bytes that the profile names, and refuses all others."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.codecs import Context, SpecError, compile_decode
from gateway_core.errors import PayloadError

WIDTHS = (8, 16, 24, 32, 40, 48, 56, 64)


def decode(fields: list[object], data: str | bytes, **spec: object) -> object:
    raw = bytes.fromhex(data) if isinstance(data, str) else data
    return compile_decode([{"struct": {"fields": fields, **spec}}])(raw, Context())


def refusal(fields: list[object], data: str | bytes, **spec: object) -> str:
    with pytest.raises(PayloadError) as caught:
        decode(fields, data, **spec)
    return caught.value.code


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("bits", WIDTHS)
@given(data=st.data())
def test_integers_of_every_width_and_order_come_back(bits: int, order: str, data) -> None:
    size = bits // 8
    plain = data.draw(st.integers(0, 2**bits - 1))
    signed = data.draw(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    raw = plain.to_bytes(size, order) + signed.to_bytes(size, order, signed=True)
    tail = "" if bits == 8 else {"big": "be", "little": "le"}[order]
    expected = {"a": plain, "b": signed}
    assert decode([{"a": f"u{bits}"}, {"b": f"i{bits}"}], raw, order=order) == expected
    other = "little" if order == "big" else "big"
    assert decode([{"a": f"u{bits}{tail}"}, {"b": f"i{bits}{tail}"}], raw, order=order) == expected
    if bits > 8:
        assert (
            decode([{"a": f"u{bits}{tail}"}, {"b": f"i{bits}{tail}"}], raw, order=other) == expected
        )


@pytest.mark.parametrize(("name", "code"), [("f16", "e"), ("f32", "f"), ("f64", "d")])
@pytest.mark.parametrize(("tail", "mark"), [("be", ">"), ("le", "<")])
def test_floats_of_every_width_and_order(name: str, code: str, tail: str, mark: str) -> None:
    assert decode([{"x": name + tail}], struct.pack(mark + code, -1.5)) == {"x": -1.5}


def test_a_float_that_is_no_number_stays_one() -> None:
    assert math.isnan(decode([{"x": "f32"}], "7fc00000")["x"])


def test_registers_that_come_low_word_first() -> None:
    # 230.2 as an IEEE 754 single is 43 66 33 33
    assert decode([{"x": "f32cdab"}], "33334366")["x"] == pytest.approx(230.2)
    assert decode([{"x": "f32badc"}], "66433333")["x"] == pytest.approx(230.2)
    assert decode([{"x": "u32cdab"}], "00020001") == {"x": 0x00010002}
    assert decode([{"x": "i32cdab"}], "ffffffff") == {"x": -1}
    assert decode([{"x": "u64cdab"}], "0004000300020001") == {"x": 0x0001000200030004}
    assert decode([{"x": "u64badc"}], "0100020003000400") == {"x": 0x0001000200030004}


def test_a_short_message_is_truncated_and_a_long_one_has_trailing_bytes() -> None:
    assert refusal([{"a": "u16"}], "01") == "truncated"
    assert refusal([{"a": "u16"}], "010203") == "trailing_bytes"
    assert decode([{"a": "u16"}], "010203", rest="ignore") == {"a": 0x0102}


def test_fields_stand_where_at_says_and_may_overlap() -> None:
    fields = [
        {"b": {"at": 4, "type": "u8"}},
        {"c": "u8"},
        {"a": {"at": 0, "type": "u16"}},
        {"x": {"at": 1, "type": "u8"}},
    ]
    assert decode(fields, "010203040506", rest="ignore") == {"b": 5, "c": 6, "a": 0x0102, "x": 2}
    assert refusal(fields, "0102030405", rest="ignore") == "truncated"


def test_skipped_bytes_have_no_value_but_must_be_there() -> None:
    fields: list[object] = [{"a": "u8"}, "skip2", {"pad": "skip1"}, {"b": "u8"}, "skip1"]
    assert decode(fields, "01ffffff0200") == {"a": 1, "b": 2}
    assert refusal(fields, "01ffffff02") == "truncated"


def test_both_orders_in_one_layout() -> None:
    assert decode(
        [{"a": "u16le"}, {"b": "u16"}, {"c": "u24le"}, {"d": "u8"}], "0100 0001 010000 07"
    ) == {"a": 1, "b": 1, "c": 1, "d": 7}


def test_bits_are_flags_and_groups_counted_from_the_least_significant() -> None:
    bits = {"door": 0, "mode": [1, 3], "tilt": [4, 4, "signed"], "top": 15}
    assert decode([{"s": {"type": "u16", "bits": bits}}], "80f7") == {
        "s": {"door": True, "mode": 3, "tilt": -1, "top": True}
    }
    assert decode([{"s": {"type": "u24le", "bits": {"last": 23, "low": [0, 8]}}}], "050080") == {
        "s": {"last": True, "low": 5}
    }


@given(st.integers(0, 2**32 - 1), st.integers(0, 31), st.data())
def test_a_group_of_bits_is_what_shifting_and_masking_gives(value: int, offset: int, data) -> None:
    width = data.draw(st.integers(1, 32 - offset))
    found = decode(
        [{"s": {"type": "u32", "bits": {"x": [offset, width]}}}], value.to_bytes(4, "big")
    )
    assert found == {"s": {"x": (value >> offset) % 2**width}}


def test_decimal_digits_are_text_as_bcd_and_a_number_as_dec() -> None:
    assert decode([{"t": "bcd6"}], "231114221320") == {"t": "231114221320"}
    assert decode([{"t": "bcd3le"}], "563412") == {"t": "123456"}
    assert decode([{"t": "dec3"}], "012345") == {"t": 12345}
    assert decode([{"t": "dec2"}], "7519", order="little") == {"t": 1975}
    assert decode([{"t": "sdec3le"}], "341280") == {"t": -1234}
    assert decode([{"t": "sdec3"}], "001234") == {"t": 1234}


def test_a_meter_without_a_value_sends_no_digits_and_gets_no_number() -> None:
    assert decode([{"t": "dec2"}], "ffff") == {"t": "ffff"}
    assert decode([{"t": "sdec2"}], "ffff") == {"t": "ffff"}


def test_text_ends_at_the_first_nul_and_never_fails() -> None:
    assert decode([{"t": "ascii6"}], "414243002020") == {"t": "ABC"}
    assert decode([{"t": "ascii2"}], "41ff") == {"t": "A\ufffd"}
    assert decode([{"t": "hex3"}], "0a0b0c", order="little") == {"t": "0a0b0c"}
    assert decode([{"t": "hex3le"}], "0a0b0c") == {"t": "0c0b0a"}
    assert decode([{"n": "u8"}, {"t": "hex"}], "010a0b") == {"n": 1, "t": "0a0b"}
    assert decode([{"n": "u8"}, {"t": "ascii"}], "01") == {"n": 1, "t": ""}


def test_a_constant_that_is_different_is_a_bad_frame() -> None:
    fields = [{"head": {"type": "u8", "equals": 0x68}}, {"v": "u8"}]
    assert decode(fields, "6801") == {"head": 0x68, "v": 1}
    assert refusal(fields, "6901") == "bad_frame"


def test_a_field_may_depend_on_those_before_it() -> None:
    fields: list[object] = [
        {"kind": "u8"},
        {"flags": {"type": "u8", "bits": {"wide": [0, 2]}}},
        {"a": {"type": "u16", "when": "kind == 1"}},
        {"b": {"type": "u8", "when": "flags.wide == 2"}},
        {"end": "u8"},
    ]
    assert decode(fields, "0100000aff") == {"kind": 1, "flags": {"wide": 0}, "a": 10, "end": 255}
    assert decode(fields, "020207ff") == {"kind": 2, "flags": {"wide": 2}, "b": 7, "end": 255}
    assert refusal(fields, "0100000a") == "truncated"


def test_records_repeat_to_the_end_or_as_often_as_a_field_says() -> None:
    records = {"fields": [{"t": "u8"}, {"v": "i16"}]}
    assert decode([{"h": "u8"}, {"log": {"repeat": records}}], "09 01ffff 020003") == {
        "h": 9,
        "log": [{"t": 1, "v": -1}, {"t": 2, "v": 3}],
    }
    assert decode(
        [{"n": "u8"}, {"log": {"repeat": {**records, "count": "n"}}}, {"end": "u8"}], "01 01ffff 07"
    ) == {"n": 1, "log": [{"t": 1, "v": -1}], "end": 7}
    assert decode([{"log": {"repeat": {**records, "count": 2}}}], "01ffff 020003")["log"][1] == {
        "t": 2,
        "v": 3,
    }
    assert (
        refusal([{"n": "u8"}, {"log": {"repeat": {**records, "count": "n"}}}], "ff 01ffff")
        == "truncated"
    )
    assert refusal([{"log": {"repeat": records}}], "01ffff 02") == "truncated"


def test_an_empty_record_cannot_repeat_for_ever() -> None:
    empty = {"repeat": {"fields": [{"a": {"type": "u8", "when": "a == 1"}}]}}
    with pytest.raises(SpecError):
        compile_decode([{"struct": {"fields": [{"log": empty}]}}])
    skipped = {"repeat": {"count": "n", "fields": [{"t": "hex"}]}}
    assert refusal([{"n": "u64"}, {"log": skipped}], "ffffffffffffffff") == "bad_length"


def test_the_first_layout_whose_condition_holds_decodes_the_message() -> None:
    decoder = compile_decode(
        [
            {"struct": {"when": "fport == 2 && size == 2", "fields": [{"a": "u16"}]}},
            {
                "struct": {
                    "when": "fport == 3 && byte0 / 16 == 1",
                    "fields": [{"b": "u8"}],
                    "rest": "ignore",
                }
            },
            {"tlv": {"when": "captures.kind == 'tlv'", "cases": {"01": [{"c": "u8"}]}}},
            {"struct": {"fields": [{"other": "hex"}]}},
        ]
    )
    assert decoder(b"\1\2", Context(fport=2)) == {"a": 0x0102}
    assert decoder(b"\x1f\2", Context(fport=3)) == {"b": 0x1F}
    assert decoder(b"\1\2", Context(captures={"kind": "tlv"})) == {"c": 2}
    assert decoder(b"\1\2", Context(fport=3)) == {"other": "0102"}


def test_a_message_for_no_layout_is_not_applicable() -> None:
    decoder = compile_decode([{"struct": {"when": "fport == 2", "fields": [{"a": "u8"}]}}])
    with pytest.raises(PayloadError, match="not_applicable"):
        decoder(b"\1", Context(fport=5))


def test_an_object_where_bytes_belong_is_refused() -> None:
    with pytest.raises(PayloadError, match="not_bytes"):
        compile_decode([{"struct": {"fields": [{"a": "u8"}]}}])({"a": 1}, Context())
