"""``tidegate simulate cameras``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal, cast

from tidegate.simulate.running import For, run, run_for
from tidegate.simulate.usage import seconds_of, wrong_usage


def cameras(
    *,
    count: int = 100,
    seed: int = 1,
    feeds_csv: Path = Path("feeds.csv"),
    faults: Literal["none", "usual"] = "usual",
    fault: list[str] = [],  # noqa: B006
    change_every: str = "0s",
    switch_size: int = 0,
    switch_fails_every: str = "0s",
    storm_every: str = "0s",
    disturbed: float = 0.0,
    channels: int = 1,
    address: str = "127.10.0.1",
    port: int = 8554,
    onvif_port: int | None = None,
    truth: Path | None = None,
    for_: For = None,
) -> int:
    """Simulate cameras (ONVIF, RTSP, snapshots), each at an address of its own.

    Writes the feeds file that an edge patrols them with, and a file ``password`` beside it.

        tidegate simulate cameras --count 2000 --feeds-csv feeds.csv --fault dead=0.05

    Args:
        count: How many feeds.
        seed: The same seed gives the same cameras and faults.
        feeds_csv: Where to write the feeds file, once every camera listens.
        faults: What share of cameras is in trouble: none, or the usual mix.
        fault: Another share for one trouble, such as dead=0.05; may be repeated.
        change_every: How often, on average, one camera breaks or is mended; 0s for never.
        switch_size: Cameras behind one switch, which the feeds file names as their group.
        switch_fails_every: How often a switch goes down, for one to three minutes.
        storm_every: How often one camera in fifty reboots at once, as after a power cut.
        disturbed: Share of connections that are cut or left without an answer, such as 0.01.
        channels: Feeds of one device, as on an NVR.
        address: The first camera's address; ::1 puts all on one address, at ports of their own.
        port: RTSP port; 0 lets the system choose all ports.
        onvif_port: ONVIF port; default: 345 more than --port; with ::1 the same.
        truth: Write what each camera is meant to be like, and when, as JSON lines.
    """
    from simulators.cameras.fleet import CameraFleet
    from simulators.cameras.options import DEFAULT_MIX, INTENDED, Condition, FleetOptions

    mix = dict(DEFAULT_MIX) if faults == "usual" else {}
    for pair in fault:
        name, _, share = pair.partition("=")
        if name not in INTENDED:
            known = ", ".join(INTENDED)
            raise wrong_usage("--fault", f"{pair!r}: expected dead=0.05, or one of {known}")
        mix[cast("Condition", name)] = _share(pair, share)
    if count < 1 or channels < 1 or sum(mix.values()) > 1:
        raise wrong_usage("--count", "this and --channels: 1 or more; all faults: at most 1")
    if not 0 <= disturbed <= 1:
        raise wrong_usage("--disturbed", "expected a share from 0 to 1: 0.01")
    changes_s = seconds_of("--change-every", change_every)
    if changes_s and not any(mix.values()):
        raise wrong_usage("--change-every", "cameras break in which way? Say so with --fault")
    fails_s = seconds_of("--switch-fails-every", switch_fails_every)
    if switch_size < 0 or (fails_s and not switch_size):
        raise wrong_usage("--switch-size", "1 or more, so that switches can fail")
    if onvif_port is None:
        onvif_port = port if address == "::1" or not port else port + 345
    ports_each = 1 if onvif_port == port else 2
    if address == "::1" and port + ports_each * count // channels > 65_000:
        raise wrong_usage("--count", "too many for the ports of one address: see --address")
    part = feeds_csv.with_name(f".{feeds_csv.name}.part")
    options = FleetOptions(
        count=count,
        prefix="sim-cam-",
        seed=seed,
        mix=mix,
        address=address,
        rtsp_port=port,
        onvif_port=onvif_port,
        channels=channels,
        switch_size=switch_size,
        change_every_s=changes_s,
        switch_fails_every_s=fails_s,
        storm_every_s=seconds_of("--storm-every", storm_every),
        disturbed=disturbed,
        feeds_file=part,
        truth_file=truth,
    )

    async def serve() -> None:
        async with CameraFleet(options) as fleet:
            await asyncio.to_thread(part.replace, feeds_csv)  # whoever sees it sees all of it
            print(f"{count} cameras answer; their inventory is {feeds_csv}", flush=True)
            await fleet.run()

    run(run_for(serve(), seconds_of("--for", for_) if for_ else None))
    return 0


def _share(pair: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise wrong_usage("--fault", f"{pair!r}: expected a share from 0 to 1: dead=0.05")
    return share
