"""One demo from the first process to the last."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import msgspec

from gateway_core.clock import monotonic
from gateway_core.errors import GatewayError
from gateway_core.supervise import Patience, supervise
from simulators.systems.estate import Estate
from tidegate.demo.children import Children
from tidegate.demo.city import City
from tidegate.demo.inquiry import drain
from tidegate.demo.outcome import Outcome
from tidegate.demo.plan import Plan, console_port
from tidegate.demo.sampler import Sampler
from tidegate.demo.screen import Glimpse, Screen
from tidegate.demo.traffic import Traffic
from tidegate.simulate.usage import wrong_usage

_FLIP_S = 4.0
_PATIENCE = Patience(first=0.1, longest=1.0)


async def run_demo(plan: Plan, screen: Screen) -> Outcome:
    """Start a city, let it live, judge it, and leave nothing behind.

    Args:
        plan: What it is made of.
        screen: Where to say so.

    Raises:
        GatewayError: Something could not be started, or ended by itself.
    """
    began = monotonic()
    port, as_asked = console_port(plan)
    if not as_asked:
        screen.say(f"port {plan.port} is taken; the console gets {port}")
    with _workplace(plan.folder) as folder:
        async with Children(folder / "logs") as children:
            city = City(plan, folder, port, children)
            async with city.estate:
                outcome = await children.guard(_live(plan, city, folder, screen, began))
            if plan.report is not None:
                _write(plan.report, outcome)
    return outcome


async def _live(plan: Plan, city: City, folder: Path, screen: Screen, began: float) -> Outcome:
    screen.say(
        f"starting {plan.edges} edges, a collector, {plan.devices} sensors, {plan.feeds} cameras "
        f"and {plan.systems} systems, all simulated, in {folder}"
    )
    screen.say(city.doors())
    await city.start()
    await city.ready()
    screen.say(f"ready after {monotonic() - began:.1f} s; the console is at {city.url}")
    if plan.browser and _has_display():
        await asyncio.to_thread(webbrowser.open, city.url)
    sampler = Sampler(city.store)
    traffic = Traffic(plan, city.sites, folder, sampler.acknowledged)
    sampler.follow(traffic.measurement, traffic.followed)

    async def look() -> Glimpse:
        status, p50 = await city.store.status(), sampler.latency().p50_ms
        return Glimpse(status, traffic.sent, traffic.acknowledged, p50)

    async with asyncio.TaskGroup() as tasks:
        beside = [
            tasks.create_task(supervise("sampler", sampler.run, _PATIENCE)),
            tasks.create_task(screen.run(city.url, look)),
            tasks.create_task(_flip(city.estate)),
        ]
        sensors = await traffic.run()
        findings, drained_s = await drain(plan, city, traffic)
        for task in beside:
            task.cancel()
    return Outcome(plan, sensors, findings, sampler.latency(), drained_s, monotonic() - began)


async def _flip(estate: Estate) -> NoReturn:
    """Let systems go down and come back."""
    while True:
        await asyncio.sleep(_FLIP_S)
        if estate.systems:
            await estate.flip()


@contextlib.contextmanager
def _workplace(folder: Path | None) -> Iterator[Path]:
    """Yield a folder: a temporary one that is removed, or the given one, which is kept."""
    if folder is None:
        with tempfile.TemporaryDirectory(
            prefix="tidegate-demo-", ignore_cleanup_errors=True
        ) as made:
            yield Path(made)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise wrong_usage("--dir", f"{folder} is not empty; give a new folder")
    except OSError as exc:
        raise wrong_usage("--dir", str(exc)) from exc
    yield folder.resolve()


def _write(report: Path, outcome: Outcome) -> None:
    text = msgspec.json.format(msgspec.json.encode(outcome.as_dict()), indent=2)
    try:
        report.write_bytes(text + b"\n")
    except OSError as exc:
        raise GatewayError(f"--report {report}: {exc}") from exc


def _has_display() -> bool:
    if sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
