"""The devices of a fleet and what each of them says next: a seeded random walk in each range."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway_core.model import Value

MARK = "sim-"
"""What every simulated id begins with (docs/explanation/simulated-data.md)."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """How one field moves.

    Args:
        name: The field.
        kind: ``float``, ``int``, ``bool`` or ``choice``.
        low: Least value; numbers only.
        high: Greatest value; numbers only.
        choices: What a ``choice`` may be.
        outliers: Share of devices that begin, and about stay, at the greatest value.
    """

    name: str
    kind: str
    low: float = 0.0
    high: float = 100.0
    choices: tuple[str, ...] = ()
    outliers: float = 0.0


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that one device says.

    Args:
        device: Its id.
        seq: Counts this device's messages from 1; found again in the field ``seq``.
        values: Field to value.
    """

    device: str
    seq: int
    values: Mapping[str, Value]


@dataclass(slots=True)
class _Walk:
    device: str
    random: random.Random
    seq: int = 0
    values: dict[str, Value] = field(default_factory=dict)


class Fleet:
    """Devices that speak one after the other, the same for the same seed.

    Args:
        prefix: What the ids look like: ``sim-env`` gives ``sim-env-00001``.
        count: Number of devices.
        quantities: What each message carries, beside ``seq``.
        seed: Two fleets of one seed say the same.
        first: Number of the first device, so that two fleets can share a city.
        name: Makes a device's id of its number, where the profile dictates what ids look like.
        said: Device to the last ``seq`` of an earlier run, which this one goes on from.
    """

    def __init__(
        self,
        prefix: str,
        count: int,
        quantities: tuple[Quantity, ...],
        seed: int = 1,
        *,
        first: int = 1,
        name: Callable[[int], str] | None = None,
        said: Mapping[str, int] | None = None,
    ) -> None:
        self._quantities = quantities
        rng = random.Random(seed)  # noqa: S311  # a simulation, not a secret
        said = said or {}
        self._walks = []
        for n in range(first, first + count):
            device = name(n) if name is not None else f"{prefix}-{n:05d}"
            own = random.Random(rng.random())  # noqa: S311
            self._walks.append(_Walk(device, own, said.get(device, 0)))

    @property
    def devices(self) -> list[str]:
        """The ids of all devices."""
        return [walk.device for walk in self._walks]

    def messages(self) -> Iterator[Message]:
        """Yield messages for ever, one device after the other."""
        while True:
            for walk in self._walks:
                yield self._next(walk)

    def _next(self, walk: _Walk) -> Message:
        walk.seq += 1
        for quantity in self._quantities:
            walk.values[quantity.name] = _step(quantity, walk)
        return Message(walk.device, walk.seq, {"seq": walk.seq, **walk.values})


def _step(quantity: Quantity, walk: _Walk) -> Value:
    rng, now = walk.random, walk.values.get(quantity.name)
    if quantity.kind == "choice":
        return rng.choice(quantity.choices)
    if quantity.kind == "bool":
        return rng.random() < (0.98 if now else 0.02)
    span = quantity.high - quantity.low
    if not isinstance(now, (int, float)):
        outlier = quantity.outliers > 0 and rng.random() < quantity.outliers
        now = quantity.high if outlier else quantity.low + span * (0.4 + 0.2 * rng.random())
    moved = min(quantity.high, max(quantity.low, now + span * 0.005 * rng.uniform(-1, 1)))
    return round(moved) if quantity.kind == "int" else round(moved, 2)
