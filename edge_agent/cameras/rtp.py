"""RTP packets (RFC 3550) and what they carry of H.264 (RFC 6184) and H.265 (RFC 7798). Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

_LEAST = 12
Codec = Literal["H264", "H265", ""]
"""Empty: another one, of which only sizes and times are known."""

_H264_KEY = 5
_STAP_A, _FU_A = 24, 28
_H265_KEYS = frozenset(range(16, 22))  # BLA, IDR and CRA: pictures that can be started with
_AP, _FU = 48, 49
_MOST_UNITS = 64


class Packet(NamedTuple):
    """One packet.

    Attributes:
        marker: By video codecs set on the last packet of a frame.
        payload_type: 0-127.
        sequence: 0-65535.
        timestamp: Of the frame, in ticks of the payload's clock, modulo 2^32.
        ssrc: Of the source.
        payload: Without header extension and padding.
    """

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse_rtp(data: bytes) -> Packet | None:
    """Return the packet; None for what is none."""
    if len(data) < _LEAST or data[0] >> 6 != 2:
        return None
    start, end = _LEAST + 4 * (data[0] & 0x0F), len(data)
    if data[0] & 0x10:
        if end < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if data[0] & 0x20:
        if not 0 < data[-1] <= end - _LEAST:
            return None
        end -= data[-1]
    if start > end:
        return None
    return Packet(
        marker=bool(data[1] & 0x80),
        payload_type=data[1] & 0x7F,
        sequence=int.from_bytes(data[2:4], "big"),
        timestamp=int.from_bytes(data[4:8], "big"),
        ssrc=int.from_bytes(data[8:12], "big"),
        payload=data[start:end],
    )


def starts_key_frame(codec: Codec, payload: bytes) -> bool:
    """Whether a payload holds, or begins with, a slice of a picture that needs no other one.

    Args:
        codec: Of the payload; of another one nothing is known.
        payload: Of one packet.
    """
    if codec == "H264":
        return _h264(payload)
    if codec == "H265":
        return _h265(payload)
    return False


def _h264(payload: bytes) -> bool:
    if not payload:
        return False
    kind = payload[0] & 0x1F
    if kind == _FU_A:
        return len(payload) > 1 and payload[1] & 0x1F == _H264_KEY
    if kind == _STAP_A:
        return any(unit[0] & 0x1F == _H264_KEY for unit in _aggregated(payload, 1))
    return kind == _H264_KEY


def _h265(payload: bytes) -> bool:
    if len(payload) < 2:
        return False
    kind = payload[0] >> 1 & 0x3F
    if kind == _FU:
        return len(payload) > 2 and payload[2] & 0x3F in _H265_KEYS
    if kind == _AP:
        return any(unit[0] >> 1 & 0x3F in _H265_KEYS for unit in _aggregated(payload, 2))
    return kind in _H265_KEYS


def _aggregated(payload: bytes, at: int) -> list[bytes]:
    """Return the units of an aggregation packet, each behind its length of 16 bits."""
    units: list[bytes] = []
    while at + 3 <= len(payload) and len(units) < _MOST_UNITS:
        length = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + length]
        if not unit:
            break
        units.append(unit)
        at += 2 + length
    return units
