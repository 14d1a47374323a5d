"""Need: a JavaScript codec is fast enough, and a bad one delays no other device.

At most 30 us of CPU a message in batches, at least 9,000/s one by one, at most 50 ms of delay
(p99).

The same ten-byte payloads (battery, temperature, humidity) go through hand-written Python, through
the engine within this process, and through the worker process, one by one and a hundred at once.
CPU is of both processes together. Then fifteen bad codecs send beside two good devices, through the
edge's own commit line, pipeline and spool; what is measured is the time until a good device's
message is stored.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from device_profiles.codecs import Context
from device_profiles.js.engine import load
from device_profiles.js.output import read_output
from device_profiles.js.runtime import Runtime, shared
from device_profiles.js.source import source_of
from device_profiles.js.step import JsCodec
from edge_agent.arrival import Apart, Arrival
from edge_agent.foresight import Foresight
from edge_agent.sources.commit_line import CommitLine
from edge_agent.sources.redelivery import Redelivery
from gateway_core.meter import Meter
from tests.fakes.codecs_held import CODEC, PROFILE
from tests.fakes.edge import ENV, open_edge, write_profile
from tests.profiles.js.test_js_hostile import HOSTILE

SCRIPT = Path(__file__).parent.parent / "tests" / "profiles" / "js" / "em300-th.js"
MESSAGES, QUICK, BATCH, RUNS = 10_000, 2_000, 100, 3
CONTEXT = Context(received=1_744_103_718_000_000_000, fport=85)
BAD = list(HOSTILE)[:15]


def payloads(count: int) -> list[bytes]:
    """Ten bytes each, all different."""
    return [
        bytes([1, 0x75, n % 100, 3, 0x67, n & 255, n >> 8 & 1, 4, 0x68, n % 200])
        for n in range(count)
    ]


def by_hand(payload: bytes) -> dict[str, object]:
    """What the codec does, as a programmer would write it in Python."""
    found: dict[str, object] = {}
    at = 0
    while at < len(payload):
        pair = payload[at], payload[at + 1]
        at += 2
        if pair == (1, 0x75):
            found["battery"] = payload[at]
            at += 1
        elif pair == (3, 0x67):
            found["temperature"] = int.from_bytes(payload[at : at + 2], "little", signed=True) / 10
            at += 2
        elif pair == (4, 0x68):
            found["humidity"] = payload[at] / 2
            at += 1
        else:
            break
    return found


def measured(work: Callable[[], object], worker: int | None, messages: int) -> tuple[float, float]:
    """CPU microseconds of both processes, and wall microseconds, a message; median of the runs."""
    cpu, wall = [], []
    for _ in range(RUNS):
        before, began = _cpu(worker), time.perf_counter()
        work()
        wall.append((time.perf_counter() - began) / messages * 1e6)
        cpu.append((_cpu(worker) - before) / messages * 1e6)
    return statistics.median(cpu), statistics.median(wall)


def _cpu(worker: int | None) -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    other = 0.0 if worker is None else time.clock_gettime(~worker << 3 | 2)
    return used.ru_utime + used.ru_stime + other


def costs(messages: int) -> dict[str, dict[str, float]]:
    """The four ways of decoding the same payloads."""
    sent = payloads(messages)
    runtime = Runtime()
    codec = JsCodec(source_of(SCRIPT.read_bytes()), lambda: runtime)
    inside = load(SCRIPT.read_text(), 50, 16)
    many = [(payload, CONTEXT) for payload in sent]
    assert codec(sent[7], CONTEXT) == by_hand(sent[7])
    (worker,) = runtime.workers

    def in_process() -> None:
        for payload in sent:
            read_output(inside.call("decodeUplink", codec.input_of(payload, CONTEXT))[1])

    ways: dict[str, tuple[Callable[[], object], int | None]] = {
        "hand-written Python": (lambda: [by_hand(payload) for payload in sent], None),
        "engine in this process": (in_process, None),
        f"worker, {BATCH} at once": (lambda: codec.decode_many(many), worker),
        "worker, one by one": (lambda: [codec(payload, CONTEXT) for payload in sent], worker),
    }
    found = {}
    for name, (work, process) in ways.items():
        work()
        cpu, wall = measured(work, process, messages)
        found[name] = {
            "cpu_us": round(cpu, 1),
            "wall_us": round(wall, 1),
            "per_s": round(1e6 / wall),
        }
    runtime.close()
    return found


def _catalogue(folder: Path) -> Path:
    import hashlib

    write_profile(folder, ENV)
    texts = {"good": CODEC} | {f"bad{n}": HOSTILE[name][0] for n, name in enumerate(BAD)}
    for name, text in texts.items():
        (folder / f"{name}.js").write_text(text)
        match = f'{{via: mqtt, topic: "{name}/{{device}}", payload: bytes}}'
        profile = PROFILE.replace("MATCH", match).replace("NAME", name)
        digest = hashlib.sha256(text.encode()).hexdigest()
        write_profile(folder, profile.replace("DIGEST", digest), f"{name}.yaml")
    return folder


async def delays(seconds: float, *, bad: bool) -> dict[str, float]:
    """How long messages of good devices take to be stored, beside bad ones or alone."""
    from device_profiles.catalogue import load_catalogue

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        catalogue = load_catalogue([_catalogue(folder / "profiles")], shipped=False)
        shared().prepare()
        async with open_edge(folder, catalogue=catalogue) as edge, asyncio.TaskGroup() as tasks:
            foresight = Foresight(edge.pipeline.ingest, edge.reader, edge.ways)
            took: list[float] = []
            await foresight.prove(catalogue.profiles.values())  # as the agent does when it starts

            async def ingest(
                arrivals: Sequence[Arrival], state: Mapping[str, bytes | None]
            ) -> Sequence[str | None]:
                verdicts = await foresight.ingest(arrivals, state)
                now = time.time_ns()
                took.extend(
                    (now - one.received) / 1e6
                    for one in arrivals
                    if not one.address.startswith("bad")
                )
                return verdicts

            line: CommitLine[int, int] = CommitLine(
                "mqtt:site", ingest, Redelivery("m/", 1000, {}), Meter(),
                most_messages=8192, most_bytes=1 << 25, apart=Apart(foresight.apart),
            )  # fmt: skip
            line.start(tasks)
            until, turn = time.monotonic() + seconds, 0
            while time.monotonic() < until:
                turn += 1
                messages = [("tg/a/up", b'{"temperature": 20}'), ("good/c", bytes([turn % 200]))]
                if bad and turn % 10 == 0:
                    messages[1:1] = [(f"bad{n}/x", b"\x01") for n in range(len(BAD))]
                for topic, payload in messages:
                    line.open.arrivals.append(Arrival("mqtt:site", topic, payload, time.time_ns()))
                line.go()
                await asyncio.sleep(0.02)
            await line.drained()
            await foresight.close()
        shared().close()
    took.sort()
    at = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}
    return {"messages": len(took)} | {
        key: round(took[min(len(took) - 1, int(len(took) * part))], 1) for key, part in at.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--quick", action="store_true", help="seconds instead of a minute")
    arguments = parser.parse_args()
    seconds = min(arguments.seconds, 2.0) if arguments.quick else arguments.seconds
    report = {
        "cost a message": costs(QUICK if arguments.quick else MESSAGES),
        "good devices alone": asyncio.run(delays(seconds, bad=False)),
        f"good devices beside {len(BAD)} bad codecs": asyncio.run(delays(seconds, bad=True)),
    }
    print(json.dumps(report, indent=1))
