"""A model of a time-series store that speaks InfluxDB 1's ``/write``, in every mood it can have.

Points are kept as a store keeps them: one for each series and instant. A volatile store says yes
at once and writes later: what it had not written is gone when it is killed.
"""

from __future__ import annotations

import asyncio
import random
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.loop import SimulatedLoop

PORT = 8086
POISON = 66.5
"""A temperature that this store refuses, as one of another type would be."""

_NUMBER = re.compile(r"(?:^|,)count=(\d+)i")
_TAG = re.compile(r",device=([^, ]+)")


@dataclass
class Point:
    """What stands at one instant of one series.

    Attributes:
        fields: As written.
        at: When it was written, in virtual seconds.
    """

    fields: str
    at: float


@dataclass
class Shelf:
    """What the store's disk and memory hold; outlives every life of the store.

    Attributes:
        volatile: Seconds until what was acknowledged is on the disk; 0: at once.
        points: Series and instant to point.
        mood: How it answers just now.
        started: Number of its life, which its metrics tell.
    """

    volatile: float = 0.0
    points: dict[tuple[str, int], Point] = field(default_factory=dict)
    mood: str = "fine"
    started: int = 0

    def die(self, now: float) -> int:
        """Forget what is not on the disk; return how many points."""
        gone = [key for key, point in self.points.items() if now - point.at < self.volatile]
        for key in gone:
            del self.points[key]
        return len(gone)

    def write(self, lines: list[str], now: float) -> None:
        for line in lines:
            head, _, rest = _split(line)
            fields, _, time = rest.rpartition(" ")
            self.points[head, int(time)] = Point(fields, now)

    def numbers(self) -> dict[tuple[str, int], list[int]]:
        """Return device and number to the instants at which that reading stands."""
        found: dict[tuple[str, int], list[int]] = {}
        for (series, time), point in self.points.items():
            number, device = _NUMBER.search(point.fields), _TAG.search(series)
            if number and device and series.startswith("env,"):
                found.setdefault((device[1], int(number[1])), []).append(time)
        return found

    def alarms(self) -> set[tuple[str, int]]:
        """Return the device and instant of every alarm."""
        return {
            (device[1], time)
            for series, time in self.points
            if series.startswith("alarm,") and (device := _TAG.search(series))
        }

    def lost(self) -> dict[tuple[str, int, int], str]:
        """Return epoch and numbers of every loss that it was told, with the reason."""
        found = {}
        for (series, _), point in self.points.items():
            if series.startswith("loss,"):
                values = dict(re.findall(r"(\w+)=\"?([^,\"]*)", point.fields))
                reason = re.search(r"reason=(\w+)", series)
                span = int(values["first"].rstrip("i")), int(values["last"].rstrip("i"))
                found[values["epoch"], *span] = reason[1] if reason else ""
        return found


def _split(line: str) -> tuple[str, str, str]:
    """Return series and the rest, parted at the first blank that is not escaped."""
    at = line.index(" ")
    while line[at - 1] == "\\":
        at = line.index(" ", at + 1)
    return line[:at], " ", line[at + 1 :]


class Counter(asyncio.Protocol):
    """One connection to the store: HTTP/1.1, one request after another."""

    def __init__(
        self, shelf: Shelf, loop: SimulatedLoop, chance: random.Random, tell: Callable[[str], None]
    ) -> None:
        self.shelf, self.loop, self.chance, self.tell = shelf, loop, chance, tell
        self.held = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        while b"\r\n\r\n" in self.held:
            head, _, rest = self.held.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            self.held = rest[size:]
            self._answer(head, rest[:size])

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /metrics"):
            self._say(200, f"process_start_time_seconds {self.shelf.started}\n")
        elif head.startswith(b"POST /write"):
            self._write(zlib.decompress(body, 31).decode().split("\n"))
        else:
            self._say(200, '{"results":[{}]}')

    def _write(self, lines: list[str]) -> None:
        mood, shelf, now = self.shelf.mood, self.shelf, self.loop.time()
        good = [line for line in lines if f"temperature={POISON}" not in line]
        if mood == "mixed":
            mood = self.chance.choice(["fine", "busy", "broken", "half", "mute", "slow"])
        if mood != "fine":
            self.tell(f"{len(lines)} lines: {mood}")
        if mood == "busy":
            self._say(429, "too many requests")
        elif mood == "broken":
            self._say(500, "not today")
        elif mood == "half":
            shelf.write(good[: self.chance.randint(0, len(good))], now)
            self._say(500, "in the middle of it")
        elif mood == "mute":
            shelf.write(good, now)
        else:
            shelf.write(good, now)
            wait = 20 * self.chance.random() if mood == "slow" else 0.001
            bad = len(lines) - len(good)
            if bad:
                text = f'{{"error":"partial write: field type conflict dropped={bad}"}}'
                self.loop.call_later(wait, self._say, 400, text)
            else:
                self.loop.call_later(wait, self._say, 204, "")

    def _say(self, status: int, text: str) -> None:
        body = text.encode()
        head = f"HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        if status == 204:
            head = "HTTP/1.1 204 No Content\r\n\r\n"
        self.transport.write(head.encode() + body)
