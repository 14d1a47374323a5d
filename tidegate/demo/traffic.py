"""The sensors of the demo: one simulation for each edge, each with a truth file of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from device_profiles.catalogue import SHIPPED
from device_profiles.profile import load_profile
from simulators.sensors.obedience import Obedience
from simulators.sensors.profiled import make_encoders, make_fleet
from simulators.sensors.simulate import SensorOptions, SensorReport, Simulation
from simulators.sensors.truth import Acknowledged
from tidegate.demo.plan import Plan
from tidegate.demo.sites import Site

_PROFILE = SHIPPED / "tidegate" / "env-sensor.yaml"
_FOLLOWED = 30


class Traffic:
    """Simulations of all edges.

    Every other edge's sensors have no clock: their readings get the time of receipt, so that a
    message that was sent twice and stored twice shows as two points.

    Args:
        plan: How many sensors and how fast.
        sites: The edges.
        folder: For the truth files.
        watch: Is told of each acknowledgement.

    Attributes:
        measurement: Where the readings go.
        truths: The truth files.
        devices: Ids of all sensors.
    """

    def __init__(
        self,
        plan: Plan,
        sites: list[Site],
        folder: Path,
        watch: Callable[[Acknowledged], None],
    ) -> None:
        profile = load_profile(_PROFILE)
        encoders = make_encoders(profile, mqtt=True, coap=True)
        self.measurement = profile.measurement
        self.truths = [folder / f"truth-{site.name}.csv" for site in sites]
        self.devices: list[str] = []
        self._simulations: list[Simulation] = []
        for n, (site, truth) in enumerate(zip(sites, self.truths, strict=True)):
            truth.unlink(missing_ok=True)  # of an earlier demo in the same folder
            part = plan.share(plan.devices, n)
            fleet = make_fleet(profile, len(part), seed=n + 1, first=part.start + 1)
            options = SensorOptions(
                mqtt=f"mqtt://{site.mqtt}",
                coap=f"coap://{site.coap}",
                rate=plan.rate * len(part) / plan.devices,
                seconds=plan.seconds,
                clockless=n % 2 == 1,
                listened=True,
                truth=truth,
            )
            self.devices += fleet.devices
            self._simulations.append(
                Simulation(fleet, encoders, options, watch=watch, obedience=Obedience(profile))
            )

    @property
    def followed(self) -> list[str]:
        """Some devices, evenly from all of them."""
        return self.devices[:: -(-len(self.devices) // _FOLLOWED)]

    @property
    def sent(self) -> int:
        """Messages handed to a connection so far."""
        return sum(each.sent for each in self._simulations)

    @property
    def acknowledged(self) -> int:
        """Messages acknowledged so far."""
        return sum(each.acknowledged for each in self._simulations)

    async def run(self) -> SensorReport:
        """Let every sensor speak; return all counts together."""
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(each.run()) for each in self._simulations]
        reports = [run.result() for run in runs]
        refused: Counter[str] = Counter()
        for report in reports:
            refused.update(report.refused)
        return SensorReport(
            sent=sum(report.sent for report in reports),
            acknowledged=sum(report.acknowledged for report in reports),
            refused=dict(refused),
            unheard=sum(report.unheard for report in reports),
            seconds=max(report.seconds for report in reports),
        )
