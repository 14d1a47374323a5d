"""What a few seconds of a stream's packets tell, without decoding one of them. Pure.

Sequence numbers are extended and lost packets counted as RFC 3550 A.1 and A.3 say, the jitter as
A.8; a frame is what has one timestamp.
"""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import Literal

import msgspec

from edge_agent.cameras.rtp import Codec, Packet, starts_key_frame

StreamFault = Literal[
    "no_media",
    "stream_blank",
    "stream_frozen",
    "packet_loss",
    "low_frame_rate",
    "long_gop",
]
_MOST_FRAMES = 4096
_DROPOUT = 3000
"""A larger jump of the sequence number is a source that began anew."""
_WINDOW = 1024
"""Numbers that are remembered in order to know a packet that came twice."""


class StreamSample(msgspec.Struct, frozen=True):
    """What was seen of a stream.

    Attributes:
        seconds: From the first packet to the end.
        codec: As described.
        packets: That came, each counted once.
        lost: That should have come as well.
        duplicates: That came again.
        restarts: How often the source began anew.
        jitter_ms: Interarrival jitter at the end, in milliseconds.
        frames: Whole or in part.
        frame_rate: Frames a second by their timestamps; None with fewer than two.
        arrival_rate: Frames a second by when they came.
        declared_rate: As described; None when it is not.
        key_frames: How many began.
        gop_s: Longest time from one key frame to the next, or without any; at least so long.
        key_bytes: Median size of a key frame; None without a whole one.
        between_bytes: Median size of the other frames; None without one.
        kbit_s: Payload.
    """

    seconds: float
    codec: str
    packets: int
    lost: int
    duplicates: int
    restarts: int
    jitter_ms: float
    frames: int
    frame_rate: float | None
    arrival_rate: float
    declared_rate: float | None
    key_frames: int
    gop_s: float
    key_bytes: int | None
    between_bytes: int | None
    kbit_s: float


@dataclass(frozen=True, slots=True)
class SampleLimits:
    """Where a stream begins to be bad.

    Attributes:
        loss: Share of the packets.
        few_lost: So many lost packets are no fault whatever their share.
        rate_share: Of the declared frame rate.
        rate: Frames a second where none is declared.
        gop_s: A viewer, and a recording after a loss, waits so long for a picture.
        blank_key: Bytes of a key frame that shows nothing.
        blank_between: Bytes of a frame between two in which nothing changes at all.
        still_between: Bytes of one in which not even the sensor's noise changes.
        few_frames: Fewer frames between key frames say nothing about stillness.
    """

    loss: float = 0.01
    few_lost: int = 5
    rate_share: float = 0.5
    rate: float = 4.0
    gop_s: float = 5.0
    blank_key: int = 2000
    blank_between: int = 100
    still_between: int = 400
    few_frames: int = 20


@dataclass(slots=True)
class _Frame:
    arrived: float
    timestamp: int
    size: int = 0
    key: bool = False


class StreamMeter:
    """Takes packets as they come; bounded whatever comes.

    Args:
        codec: Of the stream.
        clock_rate: Ticks of the timestamp in a second.
    """

    def __init__(self, codec: Codec, clock_rate: int = 90_000) -> None:
        self._codec = codec
        self._rate = clock_rate
        self._ssrc: int | None = None
        self._highest = 0
        self._base = 0
        self._here = 0
        self._seen: dict[int, None] = {}
        self._lost_before = 0
        self._transit: float | None = None
        self._frames: list[_Frame] = []
        self.packets = self.duplicates = self.restarts = self.bytes = 0
        self.jitter = 0.0
        self.first: float | None = None

    def add(self, packet: Packet, arrived: float) -> None:
        """Take a packet that came at a time in seconds, of any clock that never goes back."""
        if self.first is None:
            self.first = arrived
        if not self._number(packet):
            self.duplicates += 1
            return
        self.packets += 1
        self.bytes += len(packet.payload)
        self._frame(packet, arrived)

    def _number(self, packet: Packet) -> bool:
        """Extend the sequence number; return whether it is new."""
        step = (packet.sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
        if packet.ssrc != self._ssrc or abs(step) > _DROPOUT:
            if self._ssrc is not None:
                self.restarts += 1
                self._lost_before += self._lost_here()
            # Beyond 2^16, so that a number before the first one is not below 0.
            self._ssrc, self._highest = packet.ssrc, 0x10000 + packet.sequence
            self._base, self._here, self._seen, self._transit = self._highest, 1, {}, None
            self._seen[self._highest] = None
            return True
        number = self._highest + step
        if number in self._seen or number <= self._highest - _WINDOW:
            return False
        self._seen[number] = None
        if len(self._seen) > _WINDOW:
            self._seen.pop(next(iter(self._seen)))
        self._highest, self._base = max(self._highest, number), min(self._base, number)
        self._here += 1
        return True

    def _lost_here(self) -> int:
        return max(0, self._highest - self._base + 1 - self._here)

    def _frame(self, packet: Packet, arrived: float) -> None:
        last = self._frames[-1] if self._frames else None
        frame = last if last is not None and last.timestamp == packet.timestamp else None
        if frame is None:
            known = (each for each in self._frames[-4:] if each.timestamp == packet.timestamp)
            frame = next(known, None)  # a packet that came late
        if frame is None:
            if len(self._frames) >= _MOST_FRAMES:
                return
            frame = _Frame(arrived, packet.timestamp)
            self._frames.append(frame)
            self._jitter(packet.timestamp, arrived)
        frame.size += len(packet.payload)
        frame.key = frame.key or starts_key_frame(self._codec, packet.payload)

    def _jitter(self, timestamp: int, arrived: float) -> None:
        """RFC 3550 A.8, by frame: the packets of one frame are sent together."""
        transit = arrived - timestamp / self._rate
        if self._transit is not None:
            turn = 2**32 / self._rate
            away = abs(math.remainder(transit - self._transit, turn))
            self.jitter += (away - self.jitter) / 16
        self._transit = transit

    def sample(self, ended: float, declared_rate: float | None = None) -> StreamSample:
        """Return what was seen until ``ended``."""
        first = self.first if self.first is not None else ended
        seconds = max(ended - first, 0.001)
        frames = self._frames
        # The first frame may have begun before, the last not have ended.
        keys = [each.size for each in frames[:-1] if each.key]
        between = [each.size for each in frames[1:-1] if not each.key]
        return StreamSample(
            seconds=round(seconds, 2),
            codec=self._codec,
            packets=self.packets,
            lost=self._lost_before + self._lost_here(),
            duplicates=self.duplicates,
            restarts=self.restarts,
            jitter_ms=round(1000 * self.jitter, 2),
            frames=len(frames),
            frame_rate=_frame_rate(frames, self._rate),
            arrival_rate=round(len(frames) / seconds, 2),
            declared_rate=declared_rate,
            key_frames=sum(each.key for each in frames),
            gop_s=round(_longest_gop(frames, first, ended), 2),
            key_bytes=int(statistics.median(keys)) if keys else None,
            between_bytes=int(statistics.median(between)) if between else None,
            kbit_s=round(8 * self.bytes / seconds / 1000, 1),
        )


def faults_of(sample: StreamSample, limits: SampleLimits) -> tuple[StreamFault, ...]:
    """Return what is wrong with a stream, the worst first."""
    if not sample.frames:
        return ("no_media",)
    faults: list[StreamFault] = []
    inter = sample.frames - sample.key_frames
    if sample.between_bytes is not None and inter >= limits.few_frames:
        key = sample.key_bytes
        if key is not None and key <= limits.blank_key:
            if sample.between_bytes <= limits.blank_between:
                faults.append("stream_blank")
        elif sample.between_bytes <= limits.still_between and key is not None:
            faults.append("stream_frozen")
    total = sample.packets + sample.lost
    if sample.lost > limits.few_lost and sample.lost > limits.loss * total:
        faults.append("packet_loss")
    least = limits.rate
    if sample.declared_rate is not None:
        least = limits.rate_share * sample.declared_rate
    if max(sample.frame_rate or 0.0, sample.arrival_rate) < least:
        faults.append("low_frame_rate")
    if sample.codec and sample.gop_s > limits.gop_s:
        faults.append("long_gop")
    return tuple(faults)


def _frame_rate(frames: list[_Frame], rate: int) -> float | None:
    if len(frames) < 2:
        return None
    steps = [
        (after.timestamp - before.timestamp + 2**31) % 2**32 - 2**31
        for before, after in itertools.pairwise(frames)
    ]
    # B frames come out of order and a source may begin anew: only what goes on counts.
    forward = [step for step in steps if 0 < step < 10 * rate]
    span = sum(step for step in steps if abs(step) < 10 * rate)
    return round(rate * len(steps) / span, 2) if forward and span > 0 else None


def _longest_gop(frames: list[_Frame], first: float, ended: float) -> float:
    keys = [first, *(each.arrived for each in frames if each.key), ended]
    return max(after - before for before, after in itertools.pairwise(keys))
