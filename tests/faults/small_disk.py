"""Fill a small disk of its own and go on; prints what happened (JSON). Needs a mount namespace."""

# ruff: noqa: T201  # what it prints is its result

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import secrets
import subprocess
import sys
from pathlib import Path

import msgspec

from gateway_core.errors import SpoolFull, Unavailable
from gateway_core.model import Alarm, Reading
from gateway_core.spool import SpoolOptions, open_spool
from tests.fakes.core import START, readings

OPTIONS = SpoolOptions(group_records=500, max_bytes=64 << 20, keep_s=0.0)


def noisy(first: int) -> list[Reading]:
    """Return readings that hardly compress."""
    return [
        msgspec.structs.replace(each, fields={"n": n, "x": secrets.token_hex(24)})
        for n, each in enumerate(readings(first, first + 499), first)
    ]


def alarm(n: int) -> Alarm:
    return Alarm("edge-a", "dev-1", "probe", "hot", "critical", "raised", START + n)


async def full(folder: Path) -> dict[str, object]:
    """Fill the disk with telemetry; see that alarms, cursors and later telemetry still work."""
    path, told = folder / "s.db", {}
    acknowledged = 0
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        await spool.register("up")
        with contextlib.suppress(SpoolFull):
            while acknowledged < 1_000_000:
                await spool.append(noisy(acknowledged + 1), source="s")
                acknowledged += 500
        told["acknowledged"] = acknowledged
        told["alarm"] = (await spool.append([alarm(1)], source="s")) is not None
        await spool.settle("up", 1, acknowledged // 2)
        await spool.tidy()
        told["again"] = await appends(spool, acknowledged + 1)
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        batch = await spool.read("up", 1)
        told["oldest"] = batch.first
        told["residual"] = (await spool.books()).residual
        told["alarms"] = 0
        while spool.settled("up") < spool.head:
            batch = await spool.read("up", 5000)
            told["alarms"] += sum(isinstance(each, Alarm) for each in batch.records)
            await spool.settle("up", batch.first, batch.last)
    return told


async def appends(spool, first: int) -> bool:
    """Whether telemetry is taken again, once the spool has noticed that there is room."""
    for _ in range(200):
        with contextlib.suppress(SpoolFull):
            await spool.append(noisy(first), source="s")
            return True
        await asyncio.sleep(0.1)
    return False


async def no_inodes(folder: Path) -> dict[str, object]:
    """Use up the inodes beside an open spool, then open one where there are none."""
    told: dict[str, object] = {}
    path = folder / "s.db"
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        await spool.register("up")
        taken = use_up(folder)
        told["open"] = (await spool.append(readings(1, 10), source="s")) is not None
    taken += use_up(folder)
    try:
        async with open_spool(path, "edge-a", OPTIONS):
            told["refused"] = ""
    except Unavailable as exc:
        told["refused"] = str(exc)
    for each in taken:
        each.unlink()
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        told["kept"] = (await spool.read("up", 100)).last
        told["epochs"] = len(list(folder.glob("*.damaged-*")))
    return told


def use_up(folder: Path) -> list[Path]:
    """Create empty files until there is no inode left."""
    made: list[Path] = []
    while True:
        each = folder / f"f{len(list(folder.iterdir()))}-{len(made)}"
        try:
            each.touch()
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise
            return made
        made.append(each)


if __name__ == "__main__":
    what, options, place = sys.argv[1:]
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    work = {"full": full, "no_inodes": no_inodes}[what]
    print(json.dumps(asyncio.run(work(Path(place)))))
