"""``tidegate simulate sensors`` and ``check``, which tells what became of their messages."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from tidegate.output import print_json, print_pairs
from tidegate.query import HERE, Url
from tidegate.simulate.running import For, run
from tidegate.simulate.usage import seconds_of, wrong_usage

if TYPE_CHECKING:
    from device_profiles.profile import Profile
    from simulators.sensors.simulate import Simulation

_LOOK_S = 0.25
_REACH_S = 15.0
"""A broker that is being started is waited for, a wrong address is not."""


def sensors(
    *,
    mqtt: str | None = None,
    coap: str | None = None,
    profile: str = "tidegate/env-sensor",
    folder: list[Path] = [],  # noqa: B006  # never changed
    devices: int = 100,
    rate: float = 100.0,
    count: int | None = None,
    for_: For = None,
    seed: int = 1,
    coap_share: float = 0.2,
    connections: int = 1,
    window: int = 200,
    clockless: bool = False,
    truth: Path | None = None,
    json: bool = False,
) -> int:
    """Let simulated sensors speak to a broker, to a CoAP server, or to both.

    Each message is sent until it is acknowledged; the truth file then says so. A run that finds
    a truth file goes on counting where that one ended.

        tidegate simulate sensors --mqtt mqtt://127.0.0.1:1883 --devices 500 --rate 200 --for 1m

    Args:
        mqtt: The broker, mqtt://host:port.
        coap: The CoAP server, coap://host:port.
        profile: What the devices are; ``tidegate profiles list`` names them.
        folder: Folders of profiles beside the catalogue that ships.
        devices: How many.
        rate: Messages a second, all devices together.
        count: Messages in all; left out: as many as the time allows.
        for_: How long; left out: until stopped or --count is reached.
        seed: The same seed gives the same values.
        coap_share: Which part of the devices speaks CoAP, where both are given.
        connections: MQTT connections that the devices share.
        window: Most unacknowledged messages of each connection.
        clockless: Send no time of the devices' own.
        truth: Write every acknowledged message to this file.
        json: Print the counts as JSON.
    """
    from simulators.sensors.obedience import Obedience
    from simulators.sensors.profiled import SEQ, make_encoders, make_fleet
    from simulators.sensors.simulate import SensorOptions, Simulation
    from simulators.sensors.truth import last_seqs

    chosen = _profile(profile, folder)
    if truth is not None and SEQ not in chosen.fields:
        raise wrong_usage("--truth", f"{profile} has no field {SEQ!r} in which a number comes back")
    if rate <= 0 or devices < 1 or connections < 1 or window < 1 or not 0 <= coap_share <= 1:
        message = "this, --devices, --connections and --window: above 0; --coap-share: 0 to 1"
        raise wrong_usage("--rate", message)
    if mqtt is None and coap is None:
        raise wrong_usage("--mqtt", "give a broker here, a CoAP server with --coap, or both")
    _must_be("--mqtt", mqtt, "mqtt://", "mqtts://")
    _must_be("--coap", coap, "coap://")
    options = SensorOptions(
        mqtt=mqtt,
        coap=coap,
        coap_share=coap_share,
        rate=rate,
        count=count,
        seconds=seconds_of("--for", for_) if for_ else None,
        connections=connections,
        window=window,
        clockless=clockless,
        truth=truth,
        reach_s=_REACH_S,
    )
    encoders = make_encoders(chosen, mqtt=mqtt is not None, coap=coap is not None)
    fleet = make_fleet(chosen, devices, seed, said=last_seqs(truth) if truth else None)
    simulation = Simulation(fleet, encoders, options, obedience=Obedience(chosen))
    report = run(_speak(simulation, count, options.seconds, rate))
    if report is None:  # stopped a second time, before everything was acknowledged
        return 130
    if json:
        print_json(report)
    else:
        print_pairs(msgspec.to_builtins(report))
    return 1 if report.refused else 0


def check(
    *, truth: list[Path], measurement: str = "env", url: Url = HERE, json: bool = False
) -> int:
    """Compare truth files with what a query of the collector returns; 1 if anything is amiss.

        tidegate simulate check --truth truth.csv --url http://collector:8080 --measurement env

    Args:
        truth: A file that simulate sensors wrote; may be repeated.
        measurement: Where the readings went.
        json: Print JSON.
    """
    from tidegate.simulate.judgement import judge_truth
    from tidegate.simulate.store import Store

    verdict = asyncio.run(judge_truth(Store(url.rstrip("/")), truth, measurement))
    if json:
        print_json(verdict)
    else:
        print_pairs(msgspec.to_builtins(verdict))
    return 1 if verdict.lost or verdict.duplicated else 0


async def _speak(
    simulation: Simulation, count: int | None, seconds: float | None, rate: float
) -> Any:
    """Run a simulation under a progress bar; the first signal ends it in order."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    total = count if count is not None else round(rate * seconds) if seconds else None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _ended_by, simulation, number)
    columns = (TextColumn("acknowledged"), BarColumn(), MofNCompleteColumn(), Elapsed())
    with Progress(*columns, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("", total=total)

        async def watch() -> None:
            while True:
                progress.update(bar, completed=simulation.acknowledged)
                await asyncio.sleep(_LOOK_S)

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch())
            report = await simulation.run()
            watching.cancel()
    return report


def _must_be(option: str, url: str | None, *schemes: str) -> None:
    """Raise for an address of another kind, or of nobody."""
    try:
        good = url is None or (url.startswith(schemes) and bool(urlsplit(url).hostname))
        _ = url and urlsplit(url).port
    except ValueError:
        good = False
    if not good:
        raise wrong_usage(option, f"{url!r}: expected {schemes[0]}host[:port]")


def _ended_by(simulation: Simulation, number: int) -> None:
    """Let the fleet fall silent and wait for what is under way; a second signal does not wait."""
    simulation.stop()
    loop = asyncio.get_running_loop()
    loop.remove_signal_handler(number)
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _profile(name: str, folders: list[Path]) -> Profile:
    from device_profiles.catalogue import load_catalogue

    known = load_catalogue(folders, strict=False).profiles
    if name not in known:
        raise wrong_usage("--profile", f"{name!r} is unknown; there are {', '.join(sorted(known))}")
    return known[name]
