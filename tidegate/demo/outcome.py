"""What a demo found out: the report, and whether it is good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.sensors.simulate import SensorReport
from simulators.sensors.truth import Verdict
from tidegate.demo.plan import Plan
from tidegate.demo.sampler import Latency


@dataclass(frozen=True, slots=True)
class Findings:
    """What queries of the collector returned, beside what the simulators were promised.

    Attributes:
        verdict: Of every acknowledged message.
        devices: Simulated devices that the registry knows.
        feeds: State to count.
        unjudged: Feeds without any verdict yet, those included that the registry does not know.
        systems: State to count.
        residual: What no books can explain.
    """

    verdict: Verdict
    devices: int
    feeds: Mapping[str, int]
    unjudged: int
    systems: Mapping[str, int]
    residual: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A demo that ran to its end.

    Attributes:
        plan: What it was made of.
        sensors: What the simulators did.
        findings: What became of it.
        latency: From sending to an answer of the store.
        drained_s: From the last message until all of them were found.
        wall_s: The whole demo so far.
    """

    plan: Plan
    sensors: SensorReport
    findings: Findings
    latency: Latency
    drained_s: float
    wall_s: float

    def complaints(self) -> Iterator[str]:
        """Yield what is not as it must be; nothing for a good run."""
        found, plan = self.findings, self.plan
        if not found.verdict.acknowledged:
            yield "no message was acknowledged"
        if found.verdict.lost:
            yield f"{found.verdict.lost} acknowledged messages are not in the store"
        if found.verdict.duplicated:
            yield f"{found.verdict.duplicated} points are in the store twice"
        yield from (f"for example: {example}" for example in found.verdict.examples)
        if found.residual:
            yield f"the books do not balance: residual {found.residual}"
        if found.devices != plan.devices:
            yield f"the registry knows {found.devices} of {plan.devices} devices"
        if found.unjudged:
            yield f"{found.unjudged} of {plan.feeds} feeds were not judged"
        if self.sensors.refused:
            yield f"devices were refused: {dict(self.sensors.refused)}"

    def as_dict(self) -> dict[str, Any]:
        """Return the report."""
        found, latency, plan = self.findings, self.latency, self.plan
        complaints = list(self.complaints())
        return {
            "simulated": True,
            "ok": not complaints,
            "accepted": found.verdict.acknowledged,
            "delivered": found.verdict.delivered,
            "lost": found.verdict.lost,
            "duplicated": found.verdict.duplicated,
            "residual": found.residual,
            "devices": found.devices,
            "feeds": dict(found.feeds),
            "feeds_unjudged": found.unjudged,
            "systems": dict(found.systems),
            "edges": plan.edges,
            "p50_ms": latency.p50_ms,
            "p99_ms": latency.p99_ms,
            "latency_samples": latency.samples,
            "latency_unseen": latency.unseen,
            "latency_resolution_ms": latency.resolution_ms,
            "seconds": round(self.sensors.seconds, 2),
            "rate": round(self.sensors.acknowledged / self.sensors.seconds, 1),
            "sent": self.sensors.sent,
            "unheard": self.sensors.unheard,
            "refused": dict(self.sensors.refused),
            "drained_s": round(self.drained_s, 2),
            "wall_s": round(self.wall_s, 2),
            "complaints": complaints,
        }
