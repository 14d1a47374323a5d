"""What decoding one message costs, beside Python written by hand for just that message.

    python -m benchmarks.decode

Prints microseconds of this process's CPU time for each message (median of five runs of 20,000), and
how many times the hand-written function that is. The profile checks types and ranges, makes time,
tags and flags, and refuses what it cannot read; what is written by hand only takes the numbers out.
"""

from __future__ import annotations

import json
import statistics
import struct
import time
from collections.abc import Callable

from device_profiles.catalogue import Catalogue
from device_profiles.profile import load_profile

RUNS, MESSAGES = 5, 20_000
RECEIVED = 1_700_000_000_000_000_000
HEAD = """\
format: 1
id: bench/{name}
version: 1.0.0
vendor: Bench
model: {name}
match: [{{via: mqtt, topic: "bench/{{device}}/up"}}]
decode: {decode}
measurements:
  temperature: {{type: float, unit: Cel{scale}, range: [-40, 85]}}
  humidity: {{type: float, unit: "%", range: [0, 100]}}
  battery: {{type: int, unit: "%", range: [0, 100]}}
  pressure: {{type: float, unit: hPa, range: [300, 1200]}}
store: {{measurement: env}}
egress: {{class: operational, default: none}}
tests:
  - {{name: a, recv: {{topic: bench/a/up, hex: ""}}, expect: {{reject: truncated}}}}
  - {{name: b, recv: {{topic: bench/a/up, hex: ""}}, expect: {{reject: truncated}}}}
  - {{name: c, recv: {{topic: bench/a/up, hex: ""}}, expect: {{reject: truncated}}}}
"""
JSON = b'{"temperature": 21.5, "humidity": 40.5, "battery": 98, "pressure": 1013.2}'
TLV = bytes.fromhex("0175 62 0367 d700 0468 28 0173 f503".replace(" ", ""))
STRUCT = struct.pack("<hBBH", 215, 40, 98, 1013)
CASES = (
    '[{tlv: {key: [u8, u8], order: little, cases: {"01 75": [battery: u8],'
    ' "03 67": [temperature: i16], "04 68": [humidity: u8], "01 73": [pressure: u16]}}}]'
)
FIELDS = (
    "[{struct: {order: little, fields: [temperature: i16, humidity: u8, battery: u8,"
    " pressure: u16]}}]"
)


def by_hand_json(payload: bytes) -> dict[str, float]:
    """Take four numbers out of JSON."""
    found = json.loads(payload)
    return {
        "temperature": float(found["temperature"]),
        "humidity": float(found["humidity"]),
        "battery": int(found["battery"]),
        "pressure": float(found["pressure"]),
    }


def by_hand_tlv(payload: bytes) -> dict[str, float]:
    """Take the numbers out of a channel and type stream."""
    found: dict[str, float] = {}
    at = 0
    while at < len(payload):
        key = payload[at : at + 2]
        if key == b"\x01\x75":
            found["battery"] = payload[at + 2]
            at += 3
        elif key == b"\x03\x67":
            found["temperature"] = struct.unpack_from("<h", payload, at + 2)[0] / 10
            at += 4
        elif key == b"\x04\x68":
            found["humidity"] = float(payload[at + 2])
            at += 3
        elif key == b"\x01\x73":
            found["pressure"] = float(struct.unpack_from("<H", payload, at + 2)[0])
            at += 4
        else:
            raise ValueError(key)
    return found


def by_hand_struct(payload: bytes) -> dict[str, float]:
    """Take the numbers from their places."""
    temperature, humidity, battery, pressure = struct.unpack("<hBBH", payload)
    return {
        "temperature": temperature / 10,
        "humidity": float(humidity),
        "battery": battery,
        "pressure": float(pressure),
    }


def by_profile(name: str, decode: str, scale: str = "") -> Callable[[bytes], dict[str, object]]:
    """Return what decodes a message with a profile, from its bytes to the fields of its point."""
    text = HEAD.format(name=name, decode=decode, scale=scale)
    (route,) = Catalogue([load_profile(text, name)]).mqtt("bench/a/up")
    return lambda payload: route.decode(payload, RECEIVED).readings[0].fields  # type: ignore[return-value]


def cost_us(call: Callable[[bytes], object], payload: bytes) -> float:
    """Return microseconds of CPU for each call, median of the runs."""
    found = []
    for _ in range(RUNS):
        began = time.process_time()
        for _ in range(MESSAGES):
            call(payload)
        found.append((time.process_time() - began) / MESSAGES * 1e6)
    return statistics.median(found)


def main() -> None:
    """Measure and print."""
    rows = (
        ("JSON, 4 fields", JSON, by_profile("json", "[{json: {}}]"), by_hand_json),
        ("TLV, 4 fields", TLV, by_profile("tlv", CASES, ", scale: 0.1"), by_hand_tlv),
        ("struct, 4 fields", STRUCT, by_profile("struct", FIELDS, ", scale: 0.1"), by_hand_struct),
    )
    print(f"{'message':<18}{'bytes':>6}{'profile us':>12}{'by hand us':>12}{'ratio':>8}")
    for name, payload, profile, hand in rows:
        if profile(payload) != hand(payload):
            raise SystemExit(f"{name}: {profile(payload)} is not {hand(payload)}")
        ours, theirs = cost_us(profile, payload), cost_us(hand, payload)
        print(f"{name:<18}{len(payload):>6}{ours:>12.2f}{theirs:>12.2f}{ours / theirs:>8.2f}")


if __name__ == "__main__":
    main()
