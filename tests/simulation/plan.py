"""What a seed decides beforehand: how large the world is, and what goes wrong in it, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

LASTS_S = 60.0
"""Devices speak, and things go wrong, for so long; then all is mended."""

HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        at: When, in virtual seconds.
        kind: What: see `tests.simulation.faults`.
        where: To which node, or between which two.
        lasts: For how long, or until when it comes back.
        much: How much of it.
    """

    at: float
    kind: str
    where: tuple[str, ...]
    lasts: float = 0.0
    much: int = 0

    def __str__(self) -> str:
        return f"{self.at:6.2f} s  {self.kind} {' - '.join(self.where)}, {self.lasts:.1f} s, {self.much}"


@dataclass(frozen=True)
class Plan:
    """A world and its faults.

    Attributes:
        seed: That made it.
        edges: How many.
        devices: At each edge.
        messages: Of each device.
        volatile: Seconds that the store's promises are worth nothing.
        tight: Whether the edges' spools are small, and telemetry is given up when they are full.
        noise: Characters of text in each message.
        ids: Packet ids that the brokers have.
        mqtt: Of the edges' configuration.
        uplink: Of the edges' configuration.
        faults: In the order of time.
    """

    seed: int
    edges: int
    devices: int
    messages: int
    volatile: float
    tight: bool
    noise: int
    ids: int
    mqtt: dict[str, Any] = field(default_factory=dict)
    uplink: dict[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @property
    def spool(self) -> dict[str, Any]:
        """The edges' spool section."""
        if self.tight:
            return {"max_bytes": "1MiB", "when_full": "evict", "keep": "20s"}
        return {"max_bytes": "16MiB"}


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    chance = random.Random(f"{seed}/plan")
    kind = chance.choices(["plain", "narrow", "tight"], [0.65, 0.2, 0.15])[0]
    edges = chance.choice([1, 1, 2]) if kind == "plain" else 1
    plan = Plan(
        seed=seed,
        edges=edges,
        devices=3 if kind == "tight" else chance.randint(1, 4),
        messages={"plain": chance.randint(4, 16), "narrow": 16, "tight": 40}[kind],
        volatile=chance.choice([0.0, 0.0, 6.0]),
        tight=kind == "tight",
        noise={"plain": 0, "narrow": 400, "tight": 24_000}[kind],
        ids=chance.choice([7, 50, 65_535]),
        mqtt={"receive_maximum": chance.choice([1, 3, 20, 4000])},
        uplink={"bandwidth": "8kbit/s"} if kind == "narrow" else {},
    )
    faults = [_fault(chance, edges) for _ in range(chance.choice([0, 2, 3, 4, 5, 6, 7, 8]))]
    if kind != "plain":
        faults.append(Fault(chance.uniform(1, 10), "cut", ("edge-1", "centre"), 45.0, 0))
    return replace(plan, faults=tuple(sorted(faults, key=lambda each: each.at)))


def _fault(chance: random.Random, edges: int) -> Fault:
    at = chance.uniform(0.5, LASTS_S - 5)
    lasts = min(chance.expovariate(1 / 8.0) + 0.05, LASTS_S)
    edge = f"edge-{chance.randint(1, edges)}"
    kind = chance.choice(
        ["kill", "kill", "power", "power", "step", "after", "after", "after", "operation", "operation", "cut", "cut",
         "slow", "garble", "echo", "full", "broken", "clock", "stop", "mood", "mood"]
    )  # fmt: skip
    site = f"site-{edge[-1]}"
    ways = [(edge, "centre"), (edge, "centre"), ("centre", "store"), (edge, site), (edge, site)]
    much = chance.randrange(1 << 30)
    match kind:
        case "kill" | "power":
            mine = chance.choice([edge, edge, "centre", "centre", "store", site])
            return Fault(at, kind, (mine,), lasts, much)
        case "step" | "operation" | "after":
            return Fault(at, kind, (chance.choice([edge, "centre"]),), lasts, much)
        case "cut" | "slow":
            return Fault(at, kind, chance.choice(ways), 3 * lasts, much)
        case "garble" | "echo":
            return Fault(at, kind, (edge, "centre"), 3 * lasts, much)
        case "full" | "broken":
            return Fault(at, kind, (chance.choice([edge, "centre"]),), 2 * lasts, much)
        case "stop":
            return Fault(at, kind, (edge,), 0.0, much)
        case "clock":
            return Fault(at, kind, (chance.choice([edge, edge, "centre"]),), 0.0, much)
        case _:
            return Fault(at, kind, ("store",), 2 * lasts, much)
