"""A canned stream: its description and its one key frame in RTP over TCP (RFC 6184, RFC 7798)."""

from __future__ import annotations

import base64

from simulators.cameras.camera import Device

SPS = base64.b64decode("Z0LAFtkAoC/5cBEAAAMAAQAAAwAKDxYuSA==")
PPS = base64.b64decode("aMuDxMg=")
# A plain blue-grey 640 x 360 key frame, encoded with x264; below the same with x265.
IDR = (
    bytes.fromhex("65888404b39c46280009e1c7000118e8e0002293")
    + b"\x27" * 39
    + b"\x5d"
    + bytes.fromhex("75d75d") * 219
    + bytes.fromhex("75d780")
)
FRAMES_A_SECOND = 5
VPS5 = base64.b64decode("QAEMAf//AWAAAAMAkAAAAwAAAwA/mYoCQA==")
SPS5 = base64.b64decode("QgEBAWAAAAMAkAAAAwAAAwA/oAUCAWllmYqSRtrwFoCAAAADAIAAAAMChA==")
PPS5 = base64.b64decode("RAHBcbMS")
IDR5 = base64.b64decode(
    "KAGvC0xbOYxc+syX78q9ZtpliipD2SEEKFSUQAAAGFCob8VBKhnlYAAAAwAAPiCTCkJIAAADAAADAAIShwAAAwAAAwAA"
    "AwAMuAAAAwAAAwAAAwADfgAAAwAAAwAAAwAAAwAAAwAAAwAAAwAAAwAAroA="
)
UNITS = {"H264": (SPS, PPS, IDR), "H265": (VPS5, SPS5, PPS5, IDR5)}
"""What one access unit is made of."""


def describe(device: Device) -> bytes:
    """Return the session description of a device's streams."""
    sets = [base64.b64encode(unit).decode() for unit in UNITS[device.codec][:-1]]
    if device.codec == "H265":
        fmtp = "sprop-vps={}; sprop-sps={}; sprop-pps={}".format(*sets)
    else:
        joined = ",".join(sets)
        fmtp = f"profile-level-id=42C016; packetization-mode=1; sprop-parameter-sets={joined}"
    lines = (
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=Media Presentation",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "m=video 0 RTP/AVP 96",
        f"a=framerate:{FRAMES_A_SECOND}.0",
        f"a=rtpmap:96 {device.codec}/90000",
        f"a=fmtp:96 {fmtp}",
        "a=control:trackID=1",
    )
    return ("\r\n".join(lines) + "\r\n").encode()


def packets(device: Device, frame: int, channel: int) -> bytes:
    """Return one access unit as interleaved RTP packets.

    Args:
        device: Whose codec.
        frame: Counted from 0.
        channel: The interleaved channel that SETUP agreed on.
    """
    units = UNITS[device.codec]
    out = bytearray()
    for index, unit in enumerate(units):
        marker = 0x80 if index == len(units) - 1 else 0
        out += b"$" + bytes((channel,)) + (12 + len(unit)).to_bytes(2, "big")
        out += bytes((0x80, marker | 96)) + ((frame * len(units) + index) & 0xFFFF).to_bytes(2)
        out += (frame * 90_000 // FRAMES_A_SECOND & 0xFFFFFFFF).to_bytes(4, "big")
        out += b"\x00\x00\x47\x11" + unit
    return bytes(out)
