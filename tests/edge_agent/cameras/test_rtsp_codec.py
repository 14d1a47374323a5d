"""The RTSP codec reads what devices send, in any pieces, and refuses what is too much."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.rtsp import MAX_HEAD, AnswerReader, encode_request
from edge_agent.cameras.sdp import Track, parse_sdp
from edge_agent.cameras.sps import h264_size, h265_size
from gateway_core.errors import PayloadError
from simulators.cameras import stream
from simulators.cameras.camera import draw_device
from simulators.cameras.options import FleetOptions

OK = (
    b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nWWW-Authenticate: Basic realm=a\r\n"
    b"www-authenticate: Digest\r\n nonce=b\r\nContent-Length: 4\r\n\r\nv=0\n"
)


def test_a_request_is_one_block_of_lines() -> None:
    assert encode_request("OPTIONS", "rtsp://h/s", 3, [("Accept", "application/sdp")]) == (
        b"OPTIONS rtsp://h/s RTSP/1.0\r\nCSeq: 3\r\nUser-Agent: tidegate\r\n"
        b"Accept: application/sdp\r\n\r\n"
    )


@given(st.lists(st.integers(1, len(OK) - 1), max_size=6))
def test_an_answer_reads_the_same_in_any_pieces(cuts: list[int]) -> None:
    places = [0, *sorted(set(cuts)), len(OK)]
    reader = AnswerReader()

    answers = [
        answer
        for start, stop in itertools.pairwise(places)
        for answer in reader.feed(OK[start:stop])
    ]

    assert [(each.status, each.reason, each.body) for each in answers] == [(200, "OK", b"v=0\n")]
    assert answers[0].every("www-authenticate") == ["Basic realm=a", "Digest nonce=b"]


def test_media_and_the_devices_own_requests_are_passed_over() -> None:
    noise = b"$\x00\x00\x05hello\r\n" + b"OPTIONS rtsp://h RTSP/1.0\r\nCSeq: 9\r\n\r\n"

    assert [answer.status for answer in AnswerReader().feed(noise + OK + noise + OK)] == [200, 200]


def test_bare_line_feeds_and_a_missing_reason_are_read() -> None:
    (answer,) = AnswerReader().feed(b"RTSP/1.0 404\nCSeq: 1\n\n")

    assert (answer.status, answer.reason, answer.header("cseq")) == (404, "", "1")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not_rtsp"),
        (b"SSH-2.0-dropbear\r\n", "not_rtsp"),
        (b"\x16\x03\x01", "not_rtsp"),
        (b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * MAX_HEAD, "too_large"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", "too_large"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", "bad_length"),
    ],
)
def test_what_cannot_be_an_answer_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(PayloadError) as caught:
        AnswerReader().feed(data)

    assert caught.value.code == code


def test_endless_media_without_an_answer_is_refused() -> None:
    reader = AnswerReader()
    packet = b"$\x00\xff\xff" + bytes(65535)

    for _ in range(15):
        reader.feed(packet)

    with pytest.raises(PayloadError, match="too_large"):
        reader.feed(packet * 2)


@given(st.binary(max_size=300))
def test_any_bytes_give_answers_or_a_payload_error(data: bytes) -> None:
    reader = AnswerReader()
    with contextlib.suppress(PayloadError):
        reader.feed(b"RTSP/1.0 200 OK\r\n" + data)
        reader.feed(data)


def described(codec: str) -> tuple[Track, ...]:
    from random import Random

    device = draw_device(FleetOptions(), "127.0.0.1", (1, 2), Random(1))
    device.codec = codec
    return parse_sdp(stream.describe(device))


def test_codec_size_rate_and_control_are_read_from_h264() -> None:
    assert described("H264") == (Track("video", 96, "H264", "trackID=1", (640, 360), 5.0),)


def test_codec_size_rate_and_control_are_read_from_h265() -> None:
    assert described("H265") == (Track("video", 96, "H265", "trackID=1", (640, 360), 5.0),)


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("a=x-dimensions:1280,720", (1280, 720)),
        ("a=framesize:96 704-576", (704, 576)),
        ("a=cliprect:0,0,576,704", (704, 576)),
        ("a=x-dimensions:0,0", None),
        ("a=fmtp:96 sprop-parameter-sets=%%%,", None),
        ("a=fmtp:96", None),
    ],
)
def test_loose_size_attributes_are_taken_when_they_make_sense(
    line: str, size: tuple[int, int] | None
) -> None:
    (track,) = parse_sdp(f"v=0\nm=video 0 RTP/AVP 96\n{line}\n".encode())

    assert track.size == size


def test_a_body_that_describes_nothing_gives_no_track() -> None:
    assert parse_sdp(b"<html>not here</html>") == ()


@given(st.binary(max_size=400))
def test_any_bytes_are_a_description(data: bytes) -> None:
    parse_sdp(b"m=video 0 RTP/AVP 96\n" + data)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_parameter_set_or_none(data: bytes) -> None:
    for size in (h264_size(b"\x67" + data), h265_size(b"\x42\x01" + data)):
        assert size is None or (0 < size[0] <= 16384 and 0 < size[1] <= 16384)
