"""``tidegate edge camera inspect|snapshot|ptz``: one camera, asked by a person, from the site."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from cyclopts import Parameter

from edge_agent.cameras.exchange import OnvifError
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inspect import inspect_device
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.steering import Move, go_to, move, presets
from edge_agent.cameras.still import fetch_still
from edge_agent.config import load_edge_config
from gateway_core.errors import GatewayError
from gateway_core.units import parse_duration
from tidegate.edge_history import CONFIG, Config
from tidegate.output import print_json, print_pairs, print_table
from tidegate.usage import WrongUsage

T = TypeVar("T")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def inspect(feed: str, *, config: Config = CONFIG, json: bool = False) -> None:
    """Ask a camera of the feeds file what it is, over ONVIF; the agent need not run.

        tidegate edge camera inspect cam-000007

    Args:
        feed: The feed's id.
        json: Print JSON.
    """
    asked = _feed(config, feed)
    found = _run(inspect_device(asked.host, asked.onvif_port or 80, asked.credential))
    if json:
        print_json(msgspec.to_builtins(found))
        return
    skew = "-" if found.skew_s is None else f"{found.skew_s:.0f} s"
    print_pairs(
        {
            "manufacturer": found.manufacturer,
            "model": found.model,
            "firmware": found.firmware,
            "serial": found.serial,
            "clock ahead of ours by": skew,
            "services": ", ".join(sorted(found.services)),
        }
    )
    columns = ("token", "name", "codec", "size", "stream_url", "snapshot_url")
    rows = [[getattr(each, column) for column in columns] for each in found.profiles]
    for row in rows:
        row[3] = _size(row[3])
    print_table(columns, rows)


def snapshot(
    feed: str,
    *,
    out: Path,
    config: Config = CONFIG,
) -> None:
    """Fetch one still picture of a camera into a file, which stays on this machine.

        tidegate edge camera snapshot cam-000007 --out gate.jpg

    Args:
        feed: The feed's id.
        out: A file that does not exist yet.
    """
    picture = _run(fetch_still(_feed(config, feed)))
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(picture)
    except FileExistsError:
        raise WrongUsage(f"{out} exists already; name another file") from None
    except OSError as exc:
        raise GatewayError(f"{out} cannot be written: {exc.strerror}") from exc
    print(f"{out}: {len(picture):,} bytes")


def ptz(
    feed: str,
    *,
    pan: float = 0.0,
    tilt: float = 0.0,
    zoom: float = 0.0,
    seconds: Annotated[str, Parameter(name="--for")] = "1s",
    preset: str = "",
    config: Config = CONFIG,
    json: bool = False,
) -> None:
    """Turn a camera for a moment, send it to a preset, or (with neither) list its presets.

        tidegate edge camera ptz cam-000007 --pan 0.5 --for 2s

        tidegate edge camera ptz cam-000007 --preset gate

    Args:
        feed: The feed's id.
        pan: Speed to the right, from -1 to 1.
        tilt: Speed upwards, from -1 to 1.
        zoom: Speed into the picture, from -1 to 1.
        seconds: How long, at most 30 s; it is stopped then, or when you interrupt the command.
        preset: Token or name of a position that the camera remembers.
        json: Print JSON.
    """
    turns = any((pan, tilt, zoom))
    if turns and preset:
        raise WrongUsage("give either --preset or speeds")
    asked = _feed(config, feed)
    if turns:
        try:
            length = parse_duration(seconds)
        except ValueError as exc:
            raise WrongUsage(f"--for: {exc}") from exc
        _run(move(asked, Move(pan, tilt, zoom), length))
        print(f"{feed}: moved for {length:g} s, stopped")
    elif preset:
        reached = _run(go_to(asked, preset))
        print(f"{feed}: goes to {reached.name or reached.token}")
    else:
        found = _run(presets(asked))
        if json:
            print_json({"presets": msgspec.to_builtins(found)})
        else:
            print_table(("token", "name"), ([each.token, each.name] for each in found))


def _feed(config: Config, name: str) -> Feed:
    """Return a feed of the feeds file that can be asked over ONVIF."""
    settings = load_edge_config(config)
    if settings.cameras is None:
        raise WrongUsage(f"{config} names no cameras.file")
    feeds = load_feeds(settings.cameras.file, settings.cameras.key_file)
    feed = feeds.get(name)
    if feed is None:
        raise WrongUsage(f"{settings.cameras.file} names no feed {name!r}")
    if feed.login_trouble:
        raise GatewayError(f"{name}: its password {feed.login_trouble}")
    if feed.onvif_port is None:
        raise WrongUsage(f"{name} has no onvif_port in {settings.cameras.file}")
    return feed


class _Interrupted(Exception):  # what happened, not the word Error
    """Somebody ended the command, and what it does has been cleaned up."""


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(_interruptible(work))
    except OnvifError as exc:
        raise GatewayError(str(exc)) from exc
    except _Interrupted as exc:
        sys.exit(128 + int(exc.args[0]))


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Give up at the first signal that ends a program, in order: a camera that turns is stopped."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    told: list[int] = []

    def end(number: int) -> None:
        if not told:
            task.cancel()
        told.append(number)

    for each in ENDING:
        loop.add_signal_handler(each, end, each)
    try:
        return await work
    except asyncio.CancelledError:
        raise _Interrupted(told[0]) from None


def _size(size: tuple[int, int] | None) -> str:
    return "-" if size is None else f"{size[0]}x{size[1]}"
