"""LwM2M payloads give the values of their resources, or a refusal: never anything else."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.codecs import Context, compile_decode
from device_profiles.codecs.lwm2m_tlv import MULTIPLE, RESOURCE, RESOURCE_INSTANCE
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError, PayloadError
from tests.fakes.profile_text import changed


def entry(kind: int, identifier: int, raw: bytes) -> bytes:
    """Write one TLV entry in its shortest form (TS Core 1.1, 7.4.3)."""
    head, size = kind << 6, len(raw)
    wide = identifier > 255
    head |= 0x20 if wide else 0
    number = identifier.to_bytes(2 if wide else 1)
    if size < 8:
        return bytes([head | size]) + number + raw
    count = 1 if size < 1 << 8 else 2 if size < 1 << 16 else 3
    return bytes([head | count << 3]) + number + size.to_bytes(count) + raw


NUMBERS = st.integers(0, 65_535)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.dictionaries(NUMBERS, FLOATS, max_size=6),
    st.dictionaries(NUMBERS, st.text(max_size=300), max_size=4),
)
@settings(max_examples=150)
def test_what_was_written_is_read(floats: dict[int, float], texts: dict[int, str]) -> None:
    floats = {key: value for key, value in floats.items() if key not in texts}
    kinds = {f"9/{key}": "float" for key in floats} | {f"9/{key}": "string" for key in texts}
    decode = compile_decode([{"lwm2m": {"path": "9/1", "format": "tlv", "types": kinds}}])
    data = b"".join(
        [
            *(entry(RESOURCE, key, struct.pack(">d", value)) for key, value in floats.items()),
            *(
                entry(MULTIPLE, key, entry(RESOURCE_INSTANCE, 300, value.encode()))
                for key, value in texts.items()
            ),
        ]
    )
    found = decode(data, Context())
    assert isinstance(found, list)
    assert found[0].values == {
        **{f"9/1/{key}": value for key, value in floats.items()},
        **{f"9/1/{key}/300": value for key, value in texts.items()},
    }


@given(st.binary(max_size=40), st.sampled_from([11542, 11543, 110, 112, None]))
@settings(max_examples=300)
def test_any_bytes_give_values_or_a_refusal(data: bytes, content_format: int | None) -> None:
    decode = compile_decode([{"lwm2m": {"path": "3303"}}])
    with contextlib.suppress(PayloadError):
        decode(data, Context({}, 0, content_format))


def test_an_instance_within_an_instance_is_refused_however_deep() -> None:
    data = b""
    for _ in range(5_000):
        data = entry(0, 0, data)
    decode = compile_decode([{"lwm2m": {"path": "3303", "format": "tlv"}}])
    with pytest.raises(PayloadError, match="bad_frame"):
        decode(data, Context())


@pytest.mark.parametrize("value", [21.1, -40.0, 0.1, 3.4e38, 1e-45])
def test_a_float_of_32_bits_is_the_number_that_was_meant(value: float) -> None:
    raw = struct.pack(">f", value)
    found = compile_decode([{"lwm2m": {"path": "3303/0", "format": "tlv"}}])(
        entry(RESOURCE, 5700, raw), Context()
    )
    assert isinstance(found, list)
    assert struct.pack(">f", found[0].values["3303/0/5700"]) == raw
    if 1e-30 < abs(value) < 1e30:
        assert found[0].values["3303/0/5700"] == value


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("temperature: {from: 3303/0/5700, type: bool}", "is float: expected float or int"),
        ("temperature: {from: 3303/5700, type: float, unit: Cel}", "such as 3303/0/5700"),
        ("temperature: {from: 3/0/9, type: string}", "resource 9 of Device is integer"),
    ],
)
def test_a_type_that_the_registry_contradicts_is_a_mistake(spec: str, fault: str) -> None:
    text = changed("decode: [{json: {}}]", "decode: [{lwm2m: {}}]")
    start, end = text.index("  temperature:"), text.index("store:")
    with pytest.raises(ConfigError, match=fault):
        load_profile(text[:start] + f"  {spec}\n" + text[end:], "lwm2m.yaml")


@pytest.mark.parametrize(
    "spec", ["{path: 3303/x/y/z/5}", "{format: xml}", "{types: {3303: float}}", "{types: {3303/1: number}}", "{pth: 3}"]
)  # fmt: skip
def test_a_wrong_specification_is_a_mistake(spec: str) -> None:
    text = changed("decode: [{json: {}}]", f"decode: [{{lwm2m: {spec}}}]")
    with pytest.raises(ConfigError, match=r"decode\.0\.lwm2m"):
        load_profile(text, "lwm2m.yaml")
