"""The command: options, signals, exit status."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tidegate.simulate.usage import seconds_of

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SLOWEST = 200.0


def demo(
    *,
    for_: Annotated[str, Parameter(name="--for")] = "60s",
    devices: int = 500,
    feeds: int = 2000,
    systems: int = 20,
    edges: int = 2,
    rate: float | None = None,
    report: Path | None = None,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    broker: Annotated[bool, Parameter(negative="--no-broker")] = True,
    port: int = 8080,
    listen: str | None = None,
    dir: Path | None = None,  # noqa: A002  # the option's name
    json: bool = False,
) -> int:
    """Run a whole simulated city on this machine and prove that nothing of it was lost.

    Edge agents, a collector, sensors over MQTT and CoAP, cameras and IT systems; where mosquitto
    is installed, every other edge has a broker, and devices of the rest speak to the agent. At the
    end every message that was acknowledged to a sensor is looked for in the time-series store.

        tidegate demo --for 30s --report report.json --no-browser

    Args:
        for_: How long the sensors speak.
        devices: Sensors over all edges.
        feeds: Cameras over all edges.
        systems: IT systems over all edges.
        edges: Edge agents.
        rate: Messages a second over all sensors; default: 200, or more where
            each sensor would otherwise speak less than four times.
        report: Write the report to this file, as JSON.
        browser: Open the console where there is a display.
        broker: Let every other edge have a broker where mosquitto is installed.
        port: Of the console; when it is taken, a free one is used and named. 0: any free one.
        listen: Address of the console; default: loopback. ``::`` for all.
        dir: Work in this new folder and keep it; default: a temporary one that is removed.
        json: Print the report as JSON; everything else goes to standard error.
    """
    from rich.console import Console

    from gateway_core.log import setup_logging
    from tidegate.demo.plan import Plan, checked_listen
    from tidegate.demo.run import run_demo
    from tidegate.demo.screen import Screen
    from tidegate.output import print_json

    setup_logging("error")
    seconds = seconds_of("--for", for_)
    plan = Plan(
        seconds=seconds,
        devices=devices,
        feeds=feeds,
        systems=systems,
        edges=edges,
        rate=rate if rate is not None else max(_SLOWEST, 4 * devices / seconds),
        port=port,
        listen=checked_listen(listen),
        folder=dir,
        report=report,
        browser=browser,
        broker=broker,
    )
    screen = Screen(Console(highlight=False, stderr=json), seconds, edges)

    async def until_told() -> int:
        told: list[int] = []
        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def tell(number: int) -> None:
            if not told and task is not None:  # the second Ctrl-C must not stop the cleaning up
                told.append(number)
                task.cancel()

        for number in _SIGNALS:
            loop.add_signal_handler(number, tell, number)
        try:
            outcome = await run_demo(plan, screen)
        except asyncio.CancelledError:
            if not told:
                raise
            screen.say("stopped; everything that was started has ended")
            return 128 + told[0]
        screen.verdict(outcome)
        if json:
            print_json(outcome.as_dict())
        return 0 if outcome.as_dict()["ok"] else 1

    return asyncio.run(until_told())
