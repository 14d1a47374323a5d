"""What a session description says about the video (RFC 8866, RFC 6184, RFC 7798); tolerant."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace

from edge_agent.cameras.sps import h264_size, h265_size

_MAX_LINES = 1_000
_STATIC = {26: "JPEG", 31: "H261", 32: "MPV", 33: "MP2T", 34: "H263", 0: "PCMU", 8: "PCMA"}
_SIZE = re.compile(r"([0-9]{1,5})[-x,*\s]+([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Track:
    """One medium of a stream.

    Attributes:
        media: ``video``, ``audio``, ``application``, ...
        payload_type: RTP payload type, or -1 when it is not given.
        codec: As in ``rtpmap``, in upper case, for example ``H265``; empty when unknown.
        control: As given; empty when there is none.
        size: (width, height) in pixels, or None when nothing tells.
        framerate: Frames a second, or None.
    """

    media: str
    payload_type: int = -1
    codec: str = ""
    control: str = ""
    size: tuple[int, int] | None = None
    framerate: float | None = None


def parse_sdp(body: bytes) -> tuple[Track, ...]:
    """Return the tracks; lines that cannot be read are passed over.

    An empty tuple means that the body describes no stream at all.
    """
    text = body.decode("utf-8", "replace")
    tracks: list[Track] = []
    for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]:
        kind, equals, value = line.strip().partition("=")
        if not equals:
            continue
        if kind == "m":
            tracks.append(_media(value))
        elif kind == "a" and tracks:
            tracks[-1] = _attribute(tracks[-1], value)
    return tuple(tracks)


def _media(value: str) -> Track:
    words = value.split()
    media = words[0].lower() if words else ""
    number = words[3] if len(words) > 3 else ""
    payload_type = int(number) if re.fullmatch(r"[0-9]{1,3}", number) else -1
    return Track(media, payload_type, _STATIC.get(payload_type, ""))


def _attribute(track: Track, attribute: str) -> Track:
    name, _, value = attribute.partition(":")
    match name.strip().lower():
        case "control":
            return replace(track, control=value.strip())
        case "rtpmap":
            match_ = re.match(r"\s*([0-9]{1,3})\s+([^/\s]+)", value)
            if match_ and int(match_[1]) == track.payload_type:
                return replace(track, codec=match_[2].upper())
        case "framerate":
            return replace(track, framerate=_rate(value) or track.framerate)
        case "x-framerate" if track.framerate is None:
            return replace(track, framerate=_rate(value))
        case "framesize" | "x-dimensions" | "cliprect":
            return _with_size(track, name.strip().lower(), value)
        case "fmtp":
            return _with_fmtp(track, value)
        case _:
            pass
    return track


def _behind_type(value: str) -> str:
    """Return what follows the payload type, which some leave out."""
    return value.split(None, 1)[-1] if value.strip() else ""


def _rate(value: str) -> float | None:
    found = re.match(r"\s*([0-9]{1,4}(?:\.[0-9]{1,6})?)", value)
    return float(found[1]) if found and float(found[1]) > 0 else None


def _with_size(track: Track, name: str, value: str) -> Track:
    if track.size is not None:
        return track
    if name == "cliprect":  # top, left, bottom, right
        numbers = [int(each) for each in re.findall(r"[0-9]{1,5}", value)[:4]]
        if len(numbers) < 4:
            return track
        size = (numbers[3] - numbers[1], numbers[2] - numbers[0])
    else:
        found = _SIZE.search(_behind_type(value) if name == "framesize" else value)
        if found is None:
            return track
        size = (int(found[1]), int(found[2]))
    return replace(track, size=size) if min(size) > 0 else track


def _with_fmtp(track: Track, value: str) -> Track:
    params = {
        key.strip().lower(): text.strip()
        for key, _, text in (part.partition("=") for part in _behind_type(value).split(";"))
    }
    for name, reader in (("sprop-parameter-sets", h264_size), ("sprop-sps", h265_size)):
        for part in params.get(name, "").split(",")[:8]:
            try:
                size = reader(base64.b64decode(part))
            except (binascii.Error, ValueError):
                continue
            if size is not None:  # the stream's own word is worth more than a loose attribute
                return replace(track, size=size)
    return track
