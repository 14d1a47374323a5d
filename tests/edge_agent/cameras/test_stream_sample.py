"""Loss, jitter, frame rate and group length follow from the packets alone, whatever their order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.rtp import Packet
from edge_agent.cameras.stream_sample import (
    SampleLimits,
    StreamMeter,
    StreamSample,
    faults_of,
)

KEY, OTHER = b"\x65" + bytes(4999), b"\x41" + bytes(1999)


def packet(
    number: int, payload: bytes = OTHER, *, time: float | None = None, ssrc: int = 1
) -> Packet:
    ticks = round(90_000 * (time if time is not None else number / 25))
    return Packet(True, 96, number % 65_536, ticks % 2**32, ssrc, payload)


def measured(numbers: Sequence[int]) -> StreamSample:
    meter = StreamMeter("H264")
    for place, number in enumerate(numbers):
        meter.add(packet(number), place / 25)
    return meter.sample(len(numbers) / 25)


@given(st.integers(0, 70_000), st.integers(1, 300))
def test_nothing_is_lost_across_the_wrap_of_the_sequence(first: int, count: int) -> None:
    found = measured(range(first, first + count))

    assert (found.packets, found.lost, found.duplicates, found.restarts) == (count, 0, 0, 0)


@given(
    st.integers(65_000, 66_000),
    st.sets(st.integers(1, 198), max_size=40),
    st.lists(st.integers(0, 199), max_size=30),
    st.randoms(),
)
def test_every_missing_packet_is_lost_once_whatever_the_order(
    first: int, missing: set[int], again: list[int], chance: object
) -> None:
    sent = [first + each for each in range(200) if each not in missing]
    order = sorted(sent, key=lambda number: number + chance.uniform(0, 8))  # type: ignore[attr-defined]
    twice = [first + each for each in again if each not in missing]

    found = measured([*order, *twice])

    assert found.packets == len(sent)
    assert found.lost == len(missing)
    assert found.duplicates == len(twice)
    assert found.restarts == 0


def test_a_source_that_begins_anew_loses_nothing_by_it() -> None:
    meter = StreamMeter("H264")
    for number in (10, 11, 13):
        meter.add(packet(number), number / 25)
    for number in (40_000, 40_001):
        meter.add(packet(number), 1 + number / 25)
    meter.add(packet(5, ssrc=2), 2000)
    found = meter.sample(2001)

    assert (found.packets, found.lost, found.restarts) == (6, 1, 2)


def test_jitter_is_that_of_the_rfc() -> None:
    meter = StreamMeter("H264")
    for number, late in enumerate((0.0, 0.016, 0.0)):
        meter.add(packet(number), number / 25 + late)

    # J = 0 + (16 - 0) / 16 = 1; then 1 + (16 - 1) / 16
    assert meter.sample(1).jitter_ms == pytest.approx(1.94, abs=0.005)


def test_jitter_survives_the_wrap_of_the_timestamp() -> None:
    meter = StreamMeter("H264")
    start = 2**32 / 90_000 - 0.1
    for number in range(10):
        meter.add(packet(number, time=start + number / 25), number / 25)

    found = meter.sample(0.4)
    assert found.jitter_ms < 0.1
    assert found.frame_rate == pytest.approx(25, abs=0.1)


def test_frames_groups_sizes_and_rate() -> None:
    meter = StreamMeter("H264")
    number = 0
    for frame in range(100):
        parts = (KEY, KEY) if frame % 25 == 0 else (OTHER,)
        for part in parts:
            meter.add(packet(number, part, time=frame / 25), frame / 25)
            number += 1
    found = meter.sample(4.0, 25.0)

    assert (found.frames, found.key_frames, found.gop_s) == (100, 4, 1.0)
    assert (found.key_bytes, found.between_bytes) == (10_000, 2_000)
    assert (found.frame_rate, found.arrival_rate) == (25.0, 25.0)
    assert found.kbit_s == 464.0  # 4 keys of 10,000 bytes and 96 frames of 2,000 in 4 s
    assert faults_of(found, SampleLimits()) == ()


def test_what_comes_without_end_is_not_remembered_without_end() -> None:
    meter = StreamMeter("")
    for number in range(6000):
        meter.add(packet(number, b"x"), number / 1000)

    found = meter.sample(6)
    assert found.packets == 6000
    assert found.frames == 4096


GOOD = StreamSample(
    seconds=6,
    codec="H264",
    packets=900,
    lost=0,
    duplicates=0,
    restarts=0,
    jitter_ms=2,
    frames=150,
    frame_rate=25.0,
    arrival_rate=25.0,
    declared_rate=25.0,
    key_frames=3,
    gop_s=2,
    key_bytes=60_000,
    between_bytes=4_000,
    kbit_s=2000,
)


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, ()),
        ({"frames": 0, "packets": 0}, ("no_media",)),
        ({"lost": 40}, ("packet_loss",)),
        ({"lost": 4, "packets": 96}, ()),  # too few to tell
        ({"lost": 8}, ()),  # under 1 %
        ({"frame_rate": 12.0, "arrival_rate": 12.0}, ("low_frame_rate",)),
        ({"frame_rate": 5.0, "arrival_rate": 5.0, "declared_rate": None}, ()),
        ({"frame_rate": 2.0, "arrival_rate": 2.0, "declared_rate": None}, ("low_frame_rate",)),
        ({"gop_s": 6.0}, ("long_gop",)),
        ({"gop_s": 6.0, "codec": ""}, ()),  # key frames of another codec are not known
        ({"key_bytes": 600, "between_bytes": 38}, ("stream_blank",)),  # measured with x264: black
        ({"key_bytes": 158_000, "between_bytes": 328}, ("stream_frozen",)),  # x264: one picture
        ({"between_bytes": 5_441}, ()),  # x264: a still scene with a sensor's noise
        ({"key_bytes": 158_000, "between_bytes": 328, "frames": 20}, ()),  # too few to tell
        ({"between_bytes": None}, ()),  # all are key frames
    ],
)
def test_faults_follow_from_the_sample(changes: dict[str, object], faults: tuple[str, ...]) -> None:
    sample = msgspec.structs.replace(GOOD, **changes)

    assert faults_of(sample, SampleLimits()) == faults
