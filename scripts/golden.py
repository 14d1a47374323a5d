"""Write small files in today's formats, for the programs of tomorrow to open.

    python scripts/golden.py [FOLDER]

Makes FOLDER/<commit>.tar.xz (default: tests/upgrade/golden) of what an edge agent and a collector
keep on their disks after a short life that is always the same. Run it once for each release: the
code that runs is the code that is checked out.
"""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
T = 1_764_072_000_000_000_000
S = 1_000_000_000
CENTRE = 'collector: {data_dir: ./var}\nintake: {listen: "[::1]:0"}\napi: {listen: "[::1]:0"}\n'


def records() -> list[Any]:
    """Return what came in."""
    from gateway_core.model import Alarm, FeedHealth, Listed, Loss, Reading

    readings = [
        Reading("e1", f"d{n % 4}", "acme/th", "env", T + n * S, T + n * S, {"t": n / 4, "n": n})
        for n in range(40)
    ]
    text = {"zh": "超温", "en": "hot"}
    return [
        Listed("e1", "device", "d1", T, "阀门 1", "acme/th", "371602", 37.4, 118.0),
        *readings,
        FeedHealth("e1", "f1", T + 41 * S, "offline", ("rtsp_timeout",), 3, 3),
        Alarm("e1", "d1", "acme/th", "hot", "major", "raised", T + 42 * S, text),
        Loss("e1", T + 43 * S, "old", 1, 9, "damaged", "a page"),
    ]


async def _edge(folder: Path) -> None:
    from edge_agent.archive import Archive
    from edge_agent.commands.book import CommandBook
    from edge_agent.register import Register
    from gateway_core.model import Refusal
    from gateway_core.spool import open_spool

    async with open_spool(folder / "spool.db", "e1", clock=lambda: T) as spool:
        await spool.register("archive")
        await spool.register("uplink")
        refusal = Refusal("mqtt:site", "tg/x/up", b"\x01\x02", "bad_crc", "expected 3", T)
        await spool.append(records(), [refusal], source="mqtt:site", state={"alarm/x": b"{}"})
        archive = Archive(folder / "archive", spool, lambda: T)
        batch = await spool.read("archive", 1000)
        await spool.settle("archive", batch.first, batch.last, await archive.send(batch))
        await spool.settle("uplink", 1, 20)
    register = Register(folder / "registry.db")
    device = dict.fromkeys(("address", "name", "source", "heard", "peer", "said"), "")
    device |= dict.fromkeys(("lat", "lon", "first_seen", "last_seen", "online"))
    device |= {"id": "d1", "profile": "acme/th", "origin": "listed", "name": "阀门 1"}
    register.save([device], [], [], ("ep", 44))
    register.close()
    CommandBook(folder / "commands.db").close()


async def _centre(folder: Path) -> None:
    from collector.agent import open_collector
    from collector.config import load_collector_config
    from collector.reception import Report
    from gateway_core.wire import Upload

    (folder / "collector.yaml").write_text(CENTRE)
    config = load_collector_config(folder / "collector.yaml")
    async with open_collector(config, lambda: T) as collector:
        came = records()
        upload = Upload("e1", "ep", 1, len(came), list(range(1, len(came) + 1)), came)
        await collector.reception.receive(upload, Report())
        for lane in collector.lanes():
            batch = await collector.spool.read(lane.sink.name, 1000)
            receipt = await lane.sink.send(batch)
            await collector.spool.settle(lane.sink.name, batch.first, batch.last, receipt)


def main() -> int:
    """Make the file; print its name."""
    code = subprocess.run(
        ["git", "rev-parse", "--short=9", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/upgrade/golden"
    target = out / f"{code}.tar.xz"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, make in (("edge", _edge), ("centre", _centre)):
            (folder / part).mkdir()
            asyncio.run(make(folder / part))
        about = json.dumps({"commit": code, "made_by": "scripts/golden.py"}).encode()
        with tarfile.open(target, "w:xz") as tar:
            member = tarfile.TarInfo("about.json")
            member.size = len(about)
            tar.addfile(member, io.BytesIO(about))
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix not in {".lock", ".sock"}:
                    tar.add(path, str(path.relative_to(folder)))
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
