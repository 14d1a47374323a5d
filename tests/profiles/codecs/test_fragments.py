"""A message that comes in parts is read once, when the last of them is here, in whatever order they came."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.codecs import Context, Held, SpecError, compile_decode
from device_profiles.memory import MemoryOfOne
from gateway_core.errors import PayloadError

JT808 = compile_decode([{"frame": "jt808"}, {"struct": {"fields": [{"data": "hex"}]}}])
PARTS = {
    "frame": {
        "start": "aa",
        "header": [{"node": "u8"}, {"message": "u8"}, {"number": "u8"}, {"count": "u8"}],
    }
}
JOIN = {"fragments": {"key": ["node", "message"], "index": "number", "total": "count"}}
BODY = {"struct": {"fields": [{"data": "hex"}]}}
DESCRIBED = compile_decode([PARTS, JOIN, BODY])


def jt_part(body: bytes, seq: int, part: int, parts: int, phone: str = "019171590437") -> bytes:
    """One part as JT/T 808-2013 section 4.4.3 has it: bit 13, then how many and which."""
    head = (0x0801).to_bytes(2, "big") + (0x2000 | len(body)).to_bytes(2, "big")
    inner = head + bytes.fromhex(phone) + seq.to_bytes(2, "big")
    inner += parts.to_bytes(2, "big") + part.to_bytes(2, "big") + body
    check = 0
    for byte in inner:
        check ^= byte
    inner += bytes([check])
    return b"\x7e" + inner.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"


def _heard(decode: object, frames: list[bytes]) -> list[object]:
    context = Context(memory=MemoryOfOne(), owner="p")
    told: list[object] = []
    for frame in frames:
        try:
            told.append(decode(frame, context))  # type: ignore[operator]
        except PayloadError as exc:
            told.append("held" if isinstance(exc, Held) else exc.code)
    return told


@given(st.binary(min_size=1, max_size=300), st.integers(1, 7), st.randoms(use_true_random=False))
def test_what_was_cut_anywhere_and_comes_in_any_order_is_whole_again(
    body: bytes, parts: int, chance: random.Random
) -> None:
    cuts = sorted(chance.choices(range(len(body) + 1), k=parts - 1))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    frames = [jt_part(piece, 100 + i, i + 1, parts) for i, piece in enumerate(pieces)]
    chance.shuffle(frames)
    *held, last = _heard(JT808, frames)
    assert held == ["held"] * (parts - 1)
    assert last == {
        "msg_id": 0x801,
        "phone": "019171590437",
        "seq": 100,
        "version": 0,
        "data": body.hex(),
    }


def test_serial_numbers_go_round() -> None:
    frames = [jt_part(b"\x01", 0xFFFF, 1, 2), jt_part(b"\x02", 0, 2, 2)]
    assert _heard(JT808, frames)[1]["seq"] == 0xFFFF  # type: ignore[index]


def test_parts_of_two_terminals_and_of_two_messages_are_not_mixed() -> None:
    told = _heard(
        JT808,
        [
            jt_part(b"\x01", 10, 1, 2),
            jt_part(b"\x0a", 10, 1, 2, "013912345678"),
            jt_part(b"\xee", 20, 1, 2),
            jt_part(b"\x0b", 11, 2, 2, "013912345678"),
            jt_part(b"\x02", 11, 2, 2),
        ],
    )
    assert told[:3] == ["held", "held", "held"]
    assert [each["data"] for each in told[3:]] == ["0a0b", "0102"]  # type: ignore[index]


def test_a_part_that_comes_twice_counts_once() -> None:
    told = _heard(JT808, [jt_part(b"\x01", 10, 1, 2)] * 2 + [jt_part(b"\x02", 11, 2, 2)])
    assert told[:2] == ["held", "held"]
    assert told[2]["data"] == "0102"  # type: ignore[index]


def test_the_same_serial_number_later_is_another_message() -> None:
    both = [jt_part(b"\x01", 10, 1, 2), jt_part(b"\x02", 11, 2, 2)]
    assert [type(each) for each in _heard(JT808, both * 2)] == [str, dict, str, dict]
    assert [type(each) for each in _heard(JT808, [*both, both[1]])] == [str, dict, str]


def test_a_part_that_cannot_be_is_refused() -> None:
    wrong = [jt_part(b"\x01", 10, 3, 2), jt_part(b"\x01", 10, 0, 2), jt_part(b"\x01", 10, 1, 1025)]
    assert _heard(JT808, wrong) == ["bad_fragment"] * 3


def test_parts_beyond_a_mebibyte_are_refused() -> None:
    frames = [bytes([0xAA, 1, 1, n, 250]) + bytes(32_000) for n in range(1, 35)]
    assert _heard(DESCRIBED, frames) == ["held"] * 32 + ["bad_fragment"] * 2


def test_a_part_is_at_most_32_kibibytes_long() -> None:
    head = bytes([0xAA, 1, 1, 1, 2])
    assert _heard(DESCRIBED, [head + bytes(32_769)]) == ["bad_fragment"]
    assert _heard(DESCRIBED, [head + bytes(32_768)]) == ["held"]


def test_parts_of_messages_that_differ_in_length_are_not_mixed() -> None:
    frames = [b"\xaa\1\7\1\3\xca", b"\xaa\1\7\3\3\xbe", b"\xaa\1\7\1\2\xfe"]
    assert _heard(DESCRIBED, frames) == ["held"] * 3


def test_parts_that_two_profiles_read_are_not_mixed() -> None:
    memory = MemoryOfOne()
    for owner, part in (("p", b"\xaa\1\7\1\2\xca"), ("q", b"\xaa\1\7\2\2\xfe")):
        with pytest.raises(Held):
            DESCRIBED(part, Context(memory=memory, owner=owner))


def test_without_a_memory_a_part_is_refused_as_one() -> None:
    with pytest.raises(PayloadError) as caught:
        JT808(jt_part(b"\x01", 10, 1, 2), Context())
    assert (caught.value.code, type(caught.value)) == ("fragmented", PayloadError)


def test_a_described_frame_says_what_its_parts_are() -> None:
    told = _heard(DESCRIBED, [b"\xaa\x01\x07\x02\x02\xbe", b"\xaa\x01\x07\x01\x02\xca\xfe"])
    assert told[0] == "held"
    assert told[1]["data"] == "cafebe"  # type: ignore[index]


def test_a_described_message_of_one_part_is_read_at_once() -> None:
    assert _heard(DESCRIBED, [b"\xaa\x01\x07\x01\x01\xbe"])[0]["data"] == "be"  # type: ignore[index]


def test_parts_may_be_counted_from_nought() -> None:
    join = {"fragments": {**JOIN["fragments"], "first": 0}}
    told = _heard(compile_decode([PARTS, join, BODY]), [b"\xaa\1\7\0\2\xca", b"\xaa\1\7\1\2\xfe"])
    assert told[1]["data"] == "cafe"  # type: ignore[index]


def test_a_value_that_no_frame_gives_is_a_fault_with_a_suggestion() -> None:
    wrong = {"fragments": {**JOIN["fragments"], "index": "nummer"}}
    with pytest.raises(SpecError) as caught:
        compile_decode([PARTS, wrong, BODY])
    assert caught.value.path == (1, "fragments", "index")
    assert caught.value.message == "no frame before gives 'nummer'; did you mean 'number'?"


def test_a_key_that_is_missing_is_named() -> None:
    with pytest.raises(SpecError, match="'total' is missing"):
        compile_decode([PARTS, {"fragments": {"key": ["node"], "index": "number"}}, BODY])
