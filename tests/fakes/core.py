"""Fakes for what the core meets: records, a clock that is told the time, sinks that misbehave."""

from __future__ import annotations

from gateway_core.errors import Unavailable
from gateway_core.model import Batch, Reading, Receipt, Refusal

START = 1_800_000_000_000_000_000
"""When the fake clock starts, in nanoseconds."""


def reading(n: int, /, **fields: float) -> Reading:
    """Return a reading that is told from others by ``n``."""
    return Reading(
        "edge-a", f"dev-{n % 7}", "probe", "env", START + n, START + n, fields or {"n": n}
    )


def readings(first: int, last: int) -> list[Reading]:
    """Return readings ``first`` to ``last``, both inclusive."""
    return [reading(n) for n in range(first, last + 1)]


def refusal(n: int, reason: str = "bad_crc", size: int = 8) -> Refusal:
    """Return a refusal that is told from others by ``n``."""
    return Refusal("mqtt:site", f"t/{n}", bytes(size), reason, "expected 1, found 2", START + n)


class ToldClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        """Go on."""
        self.now += int(seconds * 1_000_000_000)


class ListSink:
    """A sink that remembers what it was sent, and fails as often as it is told to."""

    def __init__(self, name: str = "list", failures: int = 0) -> None:
        self.name = name
        self.failures = failures
        self.batches: list[Batch] = []
        self.before_send = None

    async def send(self, batch: Batch) -> Receipt:
        """Take the batch, or raise `Unavailable`."""
        if self.before_send:
            await self.before_send(batch)
        if self.failures:
            self.failures -= 1
            raise Unavailable("told to fail")
        self.batches.append(batch)
        return Receipt()

    @property
    def seqs(self) -> list[int]:
        """Every sequence number that was sent, in the order of sending."""
        return [seq for batch in self.batches for seq in range(batch.first, batch.last + 1)]
