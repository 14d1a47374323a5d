"""Ask the collector, once the sensors are silent, what became of everything."""

from __future__ import annotations

import asyncio
from collections import Counter

from gateway_core.clock import monotonic
from tidegate.demo.city import City
from tidegate.demo.outcome import Findings
from tidegate.demo.plan import Plan
from tidegate.demo.traffic import Traffic
from tidegate.simulate.judgement import judge_truth

_LONGEST_S = 30.0
_LOOK_S = 0.5
_CALM_S = 1.0


async def drain(plan: Plan, city: City, traffic: Traffic) -> tuple[Findings, float]:
    """Wait until everything is found or 30 s are over, then look once more.

    The last look is what counts: a message that comes twice may come late.

    Returns:
        What was found, and how many seconds it took until nothing was missing.
    """
    began = monotonic()
    while True:
        found = await look(plan, city, traffic)
        waited = monotonic() - began
        if _complete(plan, found) or waited > _LONGEST_S:
            break
        await asyncio.sleep(_LOOK_S)
    await asyncio.sleep(_CALM_S)
    return await look(plan, city, traffic), waited


async def look(plan: Plan, city: City, traffic: Traffic) -> Findings:
    """Ask for everything once."""
    verdict = await judge_truth(city.store, traffic.truths, traffic.measurement)
    known = {item["id"] async for item in city.store.listed("devices")}
    feeds: Counter[str] = Counter()
    judged = 0
    async for feed in city.store.listed("feeds"):
        feeds[feed["state"]] += 1
        judged += feed["judged"] is not None
    systems = Counter([system["state"] async for system in city.store.listed("systems")])
    return Findings(
        verdict=verdict,
        devices=len(known.intersection(traffic.devices)),
        feeds=feeds,
        unjudged=plan.feeds - judged,
        systems=systems,
        residual=await city.residual(),
    )


def _complete(plan: Plan, found: Findings) -> bool:
    return (
        not found.verdict.lost
        and not found.residual
        and found.devices == plan.devices
        and not found.unjudged
    )
