"""One seed, one run: a world is made, devices speak, things go wrong, all is mended, all is judged."""

from __future__ import annotations

import asyncio
import random
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway_core.spool import SpoolOptions
from tests.simulation import broker
from tests.simulation.faults import edges, go_wrong, mend
from tests.simulation.nodes import BrokerNode, CollectorNode, EdgeNode, StoreNode
from tests.simulation.oracle import Truth, judge, payload
from tests.simulation.plan import LASTS_S, Plan, draw
from tests.simulation.store import POISON
from tests.simulation.world import World, memory_folder, run_in

PATIENCE_S = 400.0
"""Virtual seconds after the mending in which everything must be where it belongs."""
CENTRE, STORE = "fd00::c", "fd00::d"


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        plan: What was planned.
        amiss: Promises that were broken; empty: none.
        lines: The trace.
        digest: Of the trace.
        steps: How many steps of the loop.
        lasted: Virtual seconds until everything was where it belongs.
        counts: What happened how often.
    """

    plan: Plan
    amiss: list[str]
    lines: list[tuple[float, str, str]]
    digest: str
    steps: int
    lasted: float
    counts: dict[str, int] = field(default_factory=dict)


def run(plan: Plan) -> Outcome:
    """Run a plan to its end."""
    with memory_folder() as root:
        return _run(plan, root)


def _run(plan: Plan, root: Path) -> Outcome:
    world = World(plan.seed, root)
    truth = Truth()
    with world.installed():
        centre = CollectorNode(
            world, CENTRE, STORE, plan.volatile, SpoolOptions(max_bytes=16 << 20)
        )
        store = StoreNode(world, STORE, plan.volatile)
        for n in range(1, plan.edges + 1):
            site = BrokerNode(world, f"site-{n}", f"fd00::b{n}", plan.ids)
            told = {"mqtt": plan.mqtt, "uplink": plan.uplink, "spool": plan.spool}
            EdgeNode(world, f"edge-{n}", f"fd00::e{n}", told, CENTRE, site.host)
        try:
            amiss = run_in(world, _story(world, plan, truth, centre, store))
        except Exception as exc:  # noqa: BLE001  # the world itself broke: a finding, too
            amiss = ["the world broke: " + "".join(traceback.format_exception(exc)[-3:])]
        counts = {
            "lives": sum(node.lives for node in world.nodes.values()),
            "messages": sum(map(len, truth.said.values())),
            "again": sum(
                n.session.again for n in world.nodes.values() if isinstance(n, BrokerNode)
            ),
        }
        return Outcome(
            plan, amiss, list(world.lines), world.digest(), world.loop.steps, world.now, counts
        )


async def _story(
    world: World, plan: Plan, truth: Truth, centre: CollectorNode, store: StoreNode
) -> list[str]:
    for node in world.nodes.values():
        node.start()
    async with asyncio.TaskGroup() as tasks:
        for n in range(1, plan.edges + 1):
            for device in range(1, plan.devices + 1):
                tasks.create_task(_speak(world, plan, truth, n, f"d{n}{device}"))
        for fault in plan.faults:
            tasks.create_task(go_wrong(world, fault))
        tasks.create_task(asyncio.sleep(LASTS_S))
    mend(world)
    mended = world.now
    quiet = 0
    while quiet < 3:
        quiet = quiet + 1 if _at_rest(world, centre) else 0
        if world.now - mended > PATIENCE_S:
            return ["not at rest: " + _unrest(world, centre)]
        await asyncio.sleep(0.5)
    world.tell("world", "at rest")
    return await judge(truth, edges(world), centre, store)


async def _speak(world: World, plan: Plan, truth: Truth, site: int, device: str) -> None:
    """Be a device: say one number after another."""
    chance = world.chance(device)
    said = truth.said[device] = []
    truth.edge[device] = f"edge-{site}"
    node = world.nodes[f"site-{site}"]
    assert isinstance(node, BrokerNode)
    for number in range(1, plan.messages + 1):
        await asyncio.sleep(_pause(chance, plan.messages))
        temperature = _temperature(chance)
        said.append(temperature)
        node.session.say(
            broker.Message(
                f"tg/{device}/up",
                payload(number, temperature, chance.randbytes(plan.noise * 3 // 4)),
            )
        )


def _pause(chance: random.Random, messages: int) -> float:
    """Return how long a device is silent: it speaks in bursts."""
    if chance.random() < 0.6:
        return chance.random() * 0.05
    return chance.expovariate(messages / (3 * LASTS_S))


def _temperature(chance: random.Random) -> float:
    if chance.random() < 0.02:
        return POISON
    return round(chance.choice([20.0, 20.0, 20.0, 70.0]) + chance.random(), 2)


def _at_rest(world: World, centre: CollectorNode) -> bool:
    for node in world.nodes.values():
        if isinstance(node, BrokerNode) and not node.session.idle:
            return False
    return all(
        spool is not None and spool.knows(consumer) and spool.head == spool.settled(consumer)
        for spool, consumer in [
            (centre.spool, "timeseries"),
            *((each.spool, "uplink") for each in edges(world)),
        ]
    )


def _unrest(world: World, centre: CollectorNode) -> str:
    said = [
        f"{node.name} holds {len(node.session.waiting)} + {len(node.session.flying)}"
        for node in world.nodes.values()
        if isinstance(node, BrokerNode) and not node.session.idle
    ]
    for node, consumer in [(centre, "timeseries"), *((each, "uplink") for each in edges(world))]:
        if node.spool is None:
            said.append(f"{node.name} does not run")
        elif node.spool.head != node.spool.settled(consumer):
            said.append(
                f"{node.name} {consumer} is at {node.spool.settled(consumer)} of {node.spool.head}"
            )
    return ", ".join(said)


def run_seed(seed: int) -> Outcome:
    """Run a seed."""
    return run(draw(seed))


def shortened(outcome: Outcome) -> Outcome:
    """Return a failing run with as few faults as still make it fail."""
    best = outcome
    for fault in outcome.plan.faults:
        left = tuple(each for each in best.plan.faults if each is not fault)
        tried = run(replace(best.plan, faults=left))
        if tried.amiss:
            best = tried
    return best
