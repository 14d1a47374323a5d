"""The promise: a frame is opened only when its ends, lengths and checksum all fit."""

from __future__ import annotations

import pytest

from device_profiles.codecs import Context, compile_decode
from device_profiles.codecs.checksum import CHECKSUMS, crc16_modbus
from gateway_core.errors import PayloadError

REST = {"struct": {"fields": [{"data": "hex"}]}}
MODBUS = compile_decode([{"frame": "modbus-rtu"}, REST])
JT808 = compile_decode([{"frame": "jt808"}, REST])


def refusal(decoder, data: str | bytes) -> str:
    with pytest.raises(PayloadError) as caught:
        decoder(bytes.fromhex(data) if isinstance(data, str) else data, Context())
    return caught.value.code


def rtu(data: str) -> bytes:
    raw = bytes.fromhex(data)
    return raw + crc16_modbus(raw).to_bytes(2, "little")


def jt(message: bytes) -> bytes:
    check = 0
    for byte in message:
        check ^= byte
    body = (message + bytes([check])).replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")
    return b"\x7e" + body + b"\x7e"


@pytest.mark.parametrize(
    ("name", "value"),
    # the check values of the CRC catalogue for the text 123456789; sums and xor by hand
    [
        ("crc8", 0xF4),
        ("crc8-maxim", 0xA1),
        ("crc16-modbus", 0x4B37),
        ("crc16-ccitt", 0x29B1),
        ("crc16-xmodem", 0x31C3),
        ("crc32", 0xCBF43926),
        ("sum8", 0xDD),
        ("sum16", 0x01DD),
        ("xor8", 0x31),
    ],
)
def test_checksums_have_the_published_check_values(name: str, value: int) -> None:
    assert CHECKSUMS[name].compute(b"123456789") == value


def test_a_modbus_answer_gives_address_function_count_and_data() -> None:
    assert MODBUS(bytes.fromhex("01040443663334 1B38"), Context()) == {
        "addr": 1,
        "fc": 4,
        "count": 4,
        "data": "43663334",
    }
    assert MODBUS(rtu("1106000100 03"), Context()) == {
        "addr": 17,
        "fc": 6,
        "count": 4,
        "data": "00010003",
    }


def test_modbus_answers_that_are_refused() -> None:
    assert refusal(MODBUS, "010404436633351B38") == "bad_crc"
    assert refusal(MODBUS, "0104") == "truncated"
    assert refusal(MODBUS, "018402c2c1") == "modbus_exception"
    assert refusal(MODBUS, rtu("01040543663334")) == "bad_length"
    assert refusal(MODBUS, rtu("010400000020")) == "bad_length"  # a question, not an answer


def test_a_2013_header_and_a_2019_header() -> None:
    old = bytes.fromhex("0200 0003 019171590437 0a2e") + b"\x7e\x7d\x01"
    assert JT808(jt(old), Context()) == {
        "msg_id": 0x200,
        "phone": "019171590437",
        "seq": 0x0A2E,
        "version": 0,
        "data": "7e7d01",
    }
    new = bytes.fromhex("0200 4002 01 00000000019171590437 0001 abcd")
    assert JT808(jt(new), Context()) == {
        "msg_id": 0x200,
        "phone": "00000000019171590437",
        "seq": 1,
        "version": 1,
        "data": "abcd",
    }


def test_vehicle_frames_that_are_refused() -> None:
    head = "019171590437 0a2e"
    good = jt(bytes.fromhex(f"0200 0002 {head} abcd"))
    assert refusal(JT808, good[:-1]) == "bad_frame"
    assert refusal(JT808, good[:5] + b"\x7e" + good[5:]) == "bad_frame"
    assert refusal(JT808, good[:5] + b"\x7d\x05" + good[5:]) == "bad_frame"
    assert refusal(JT808, good[:-2] + bytes([good[-2] ^ 1, 0x7E])) == "bad_checksum"
    assert refusal(JT808, jt(bytes.fromhex(f"0200 2002 {head} 00020001 abcd"))) == "fragmented"
    assert refusal(JT808, jt(bytes.fromhex(f"0200 0402 {head} abcd"))) == "not_applicable"
    assert refusal(JT808, jt(bytes.fromhex(f"0200 0003 {head} abcd"))) == "bad_length"
    assert refusal(JT808, b"\x7e\x00\x7e") == "truncated"
    assert refusal(JT808, jt(bytes.fromhex("0200 4000 01 0000000001917159"))) == "truncated"


DESCRIBED = {
    "preamble": "fe",
    "start": "68",
    "header": [
        {"addr": "bcd2le"},
        {"mark": {"type": "u8", "equals": 0x68}},
        {"control": "u8"},
        {"length": "u8"},
    ],
    "length": {"from": "length"},
    "checksum": "sum8",
    "end": "16",
    "subtract": 0x33,
}


def framed(inner: str, check: int | None = None) -> bytes:
    raw = bytes.fromhex(inner)
    return raw + bytes([sum(raw) & 0xFF if check is None else check, 0x16])


def test_a_described_frame_gives_header_and_data() -> None:
    decoder = compile_decode(
        [{"frame": DESCRIBED}, {"struct": {"when": "control == 0x91", "fields": [{"v": "dec2le"}]}}]
    )
    found = decoder(bytes.fromhex("fefefe") + framed("68 2301 68 91 02 4534"), Context())
    assert found == {"addr": "0123", "mark": 0x68, "control": 0x91, "length": 2, "v": 112}
    assert refusal(decoder, framed("68 2301 68 d1 02 4534")) == "not_applicable"


def test_described_frames_that_are_refused() -> None:
    decoder = compile_decode([{"frame": DESCRIBED}, REST])
    assert refusal(decoder, framed("69 2301 68 91 02 4534")) == "bad_frame"
    assert refusal(decoder, framed("68 2301 67 91 02 4534")) == "bad_frame"
    assert refusal(decoder, framed("68 2301 68 91 02 4534")[:-1]) == "bad_frame"
    assert refusal(decoder, framed("68 2301 68 91 02 4534", check=1)) == "bad_checksum"
    assert refusal(decoder, framed("68 2301 68 91 03 4534")) == "bad_length"
    assert refusal(decoder, "6816") == "truncated"
    assert refusal(decoder, "fefefefe") == "bad_frame"
    assert refusal(decoder, "") == "bad_frame"


def test_a_checksum_may_leave_out_the_first_bytes_and_have_an_order() -> None:
    frame = {"start": "aa", "checksum": {"type": "crc16-modbus", "order": "big", "skip": 1}}
    decoder = compile_decode([{"frame": frame}, REST])
    good = b"\xaa\x01\x02" + crc16_modbus(b"\x01\x02").to_bytes(2, "big")
    assert decoder(good, Context()) == {"data": "0102"}
    assert refusal(decoder, good[:-1] + b"\0") == "bad_crc"


def test_bytes_carried_in_json_are_opened_like_any_others() -> None:
    decoder = compile_decode(
        [
            {"json": {"payload": "body.data", "encoding": "hex"}},
            {"struct": {"fields": [{"v": "u16"}]}},
        ]
    )
    assert decoder(b'{"body": {"data": "000a"}, "rssi": -80}', Context()) == {
        "body": {"data": "000a"},
        "rssi": -80,
        "v": 10,
    }
    for payload in (b'{"body": {}}', b'{"body": {"data": "0"}}', b"[]", b'{"body": {"data": 1}}'):
        assert refusal(decoder, payload) == "bad_envelope"
    assert refusal(decoder, b"{") == "not_json"
