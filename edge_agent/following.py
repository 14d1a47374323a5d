"""Follows single clients of the listeners: what each sends and what becomes of it, as JSON lines.

Nobody pays for it while nobody follows: a listener looks at `Followed.clients`, which is empty.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from edge_agent.arrival import Arrival
from edge_agent.tap import spoken
from gateway_core.clock import Clock, wall_ns

MOST_LINES = 2000
"""Lines that wait for a slow reader; older ones are skipped, and counted."""

BEAT_S = 5.0


class Trail:
    """What one reader is told of one client."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.grown = asyncio.Event()
        self._lines: deque[bytes] = deque(maxlen=MOST_LINES)
        self._skipped = 0

    def add(self, line: bytes) -> None:
        """Keep a line until it is taken."""
        self._skipped += len(self._lines) == MOST_LINES
        self._lines.append(line)
        self.grown.set()

    def take(self) -> bytes:
        """Return what came since the last call, beginning with how many lines were skipped."""
        lines, skipped = b"".join(self._lines), self._skipped
        self._lines.clear()
        self._skipped = 0
        self.grown.clear()
        return (_line({"kind": "skipped", "count": skipped}) if skipped else b"") + lines


class Followed:
    """The clients that somebody follows.

    Args:
        clock: For the times of lines.

    Attributes:
        clients: Client id to those who follow it; empty while nobody follows.
        awaited: Messages of followed clients on their way to the disk, by `id`; each is held here,
            so its id is nobody else's.
    """

    def __init__(self, clock: Clock = wall_ns) -> None:
        self.clients: dict[str, list[Trail]] = {}
        self.awaited: dict[int, tuple[str, int | None, Arrival]] = {}
        self._clock = clock

    def begin(self, client: str) -> Trail:
        """Follow a client, whether or not it is connected now."""
        trail = Trail(client)
        self.clients.setdefault(client, []).append(trail)
        return trail

    def end(self, trail: Trail) -> None:
        """Follow no more."""
        trails = self.clients[trail.client]
        trails.remove(trail)
        if not trails:
            del self.clients[trail.client]

    def tell(self, client: str, kind: str, **values: Any) -> None:
        """Tell those who follow a client what happened."""
        trails = self.clients.get(client)
        if trails:
            line = _line({"kind": kind, "time": spoken(self._clock()), "client": client, **values})
            for trail in trails:
                trail.add(line)

    def sent(self, client: str, qos: int | None, arrival: Arrival) -> None:
        """Tell of a message as soon as it is known what became of it; None for a Will."""
        self.awaited[id(arrival)] = (client, qos, arrival)

    def stored(self, arrivals: Sequence[Arrival], verdicts: Sequence[str | None]) -> None:
        """Tell what became of messages, as `Ingest` returned it after the commit."""
        for arrival, verdict in zip(arrivals, verdicts, strict=True):
            found = self.awaited.pop(id(arrival), None)
            if found is not None:
                client, qos, _ = found
                told: dict[str, Any] = {"topic": arrival.address, "size": len(arrival.payload)}
                if qos is not None:
                    told["qos"] = qos
                told["result"] = "stored" if verdict is None else "refused"
                if verdict is not None:
                    told["reason"] = verdict
                self.tell(client, "will" if qos is None else "message", **told)

    def abandon(self, source: str) -> None:
        """Await nothing more of a listener that ended: what it did not store will come again."""
        self.awaited = {key: held for key, held in self.awaited.items() if held[2].source != source}


async def follow(
    followed: Followed, client: str, beat_s: float = BEAT_S
) -> AsyncGenerator[bytes, None]:
    """Yield lines of JSON about one client, for as long as the reader likes.

    Args:
        followed: Of the agent.
        client: Client id; it need not be connected.
        beat_s: Seconds of nothing after which an empty line is yielded.
    """
    trail = followed.begin(client)
    try:
        while True:
            try:
                async with asyncio.timeout(beat_s):
                    await trail.grown.wait()
            except TimeoutError:
                yield b"\n"  # finds out whether the reader is still there
            else:
                yield trail.take()
    finally:
        followed.end(trail)


def _line(values: dict[str, Any]) -> bytes:
    return msgspec.json.encode(values) + b"\n"
