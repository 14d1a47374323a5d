"""RTP headers and what they carry are read as RFC 3550, RFC 6184 and RFC 7798 say, octet by octet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.rtp import Packet, parse_rtp, starts_key_frame

HEAD = bytes.fromhex("80e0 1234 00015f90 deadbeef")


def test_a_plain_packet() -> None:
    assert parse_rtp(HEAD + b"\x65\x88") == Packet(
        True, 96, 0x1234, 90_000, 0xDEADBEEF, b"\x65\x88"
    )


def test_contributing_sources_extension_and_padding_are_no_payload() -> None:
    head = bytes.fromhex("b1 60 0001 00000000 00000001  cafebabe  bede0001 11223344")

    found = parse_rtp(head + b"video" + b"\x00\x00\x03")

    assert found is not None
    assert (found.marker, found.payload_type, found.payload) == (False, 96, b"video")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD[:11],
        b"\x40" + HEAD[1:],  # version 1
        bytes.fromhex("8f") + HEAD[1:],  # fifteen sources that are not there
        bytes.fromhex("90") + HEAD[1:],  # an extension that is not there
        bytes.fromhex("90") + HEAD[1:] + bytes.fromhex("bedeffff"),
        bytes.fromhex("a0") + HEAD[1:] + b"\x00",  # padding of no length
        bytes.fromhex("a0") + HEAD[1:] + b"\x40",  # longer than the packet
    ],
)
def test_what_is_no_packet(data: bytes) -> None:
    assert parse_rtp(data) is None


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    found = parse_rtp(data)
    for codec in ("H264", "H265", ""):
        starts_key_frame(codec, data if found is None else found.payload)


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        ("6588", True),  # IDR slice
        ("419a", False),  # other slice
        ("6742c0", False),  # parameter set
        ("7c85b8", True),  # FU-A, first of an IDR
        ("7c05b8", True),  # FU-A, middle of an IDR
        ("7c819a", False),  # FU-A of another slice
        ("7c", False),
        ("78 0002 6742 0002 68ce 0003 658884", True),  # STAP-A: SPS, PPS, IDR
        ("78 0002 6742 0002 68ce", False),
        ("78 ffff 65", True),  # cut off, but its first octet is there
        ("78 0000 0002 6588", False),  # an empty unit ends the reading
        ("", False),
    ],
)
def test_key_frames_of_h264(payload: str, key: bool) -> None:
    assert starts_key_frame("H264", bytes.fromhex(payload)) is key


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        ("2601 af", True),  # IDR_W_RADL, type 19
        ("2801 af", True),  # IDR_N_LP, type 20
        ("2a01 af", True),  # CRA, type 21
        ("0201 d0", False),  # TRAIL_R
        ("4001 0c", False),  # VPS
        ("6201 93", True),  # FU, first of type 19
        ("6201 81", False),  # FU of type 1
        ("6201", False),
        ("6001 0003 400101 0003 2601af", True),  # AP: VPS, IDR
        ("6001 0003 400101", False),
        ("26", False),
    ],
)
def test_key_frames_of_h265(payload: str, key: bool) -> None:
    assert starts_key_frame("H265", bytes.fromhex(payload)) is key


def test_of_another_codec_nothing_is_known() -> None:
    assert not starts_key_frame("", bytes.fromhex("6588"))
