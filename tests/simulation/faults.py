"""How each kind of fault is done to a world, and how all of them are mended."""

from __future__ import annotations

import asyncio
import random

from tests.simulation.echo import Echo
from tests.simulation.network import Network
from tests.simulation.nodes import INTAKE, EdgeNode, StoreNode
from tests.simulation.plan import HOUR_NS, Fault
from tests.simulation.world import Node, World

MOODS = ("busy", "broken", "half", "mute", "slow", "mixed", "mixed")


async def go_wrong(world: World, fault: Fault) -> None:
    """Wait for the fault's time, do it, and take it back when its time is over."""
    await asyncio.sleep(max(0.0, fault.at - world.now))
    chance = random.Random(fault.much)
    world.tell("fault", str(fault))
    nodes, network = world.nodes, world.network
    node = nodes[fault.where[0]]
    hosts = [nodes[each].host for each in fault.where]
    match fault.kind:
        case "kill":
            node.kill(False, fault.lasts)
        case "power":
            node.kill(True, fault.lasts)
        case "step":
            node.arm(chance.random() < 0.5, fault.lasts, steps=chance.randrange(120))
        case "operation":
            node.arm(chance.random() < 0.5, fault.lasts, operations=chance.randrange(60))
        case "after":
            node.arm(
                chance.random() < 0.5,
                fault.lasts,
                operations=chance.randrange(40),
                steps=chance.randrange(25),
            )
        case "stop":
            assert isinstance(node, EdgeNode)
            node.stop()
        case "cut":
            network.part(*hosts)
            await asyncio.sleep(fault.lasts)
            network.heal(*hosts)
        case "slow":
            network.slow[frozenset(hosts)] = 5 * chance.random()
            await asyncio.sleep(fault.lasts)
            network.slow.pop(frozenset(hosts), None)
        case "garble":
            network.garbled[frozenset(hosts)] = 0.3 + 0.7 * chance.random()
            await asyncio.sleep(fault.lasts)
            network.garbled.pop(frozenset(hosts), None)
        case "echo":
            network.echo = Echo(network, hosts[0], (hosts[1], INTAKE), chance)
            await asyncio.sleep(fault.lasts)
            network.echo = None
        case "full":
            _mark(node)
            if node.disk is not None:
                node.disk.room = node.disk.used + chance.randrange(40_000)
            await asyncio.sleep(fault.lasts)
            if node.disk is not None:
                node.disk.room = None
        case "broken":
            _mark(node)
            if node.disk is not None:
                node.disk.broken = chance.randrange(1, 12)
        case "clock":
            jump = chance.choice([-1, 1]) * chance.choice(
                [HOUR_NS // 3600, HOUR_NS, 30 * 24 * HOUR_NS]
            )
            node.offset += round(jump * chance.random())
        case "mood":
            assert isinstance(node, StoreNode)
            node.shelf.mood = chance.choice(MOODS)
            await asyncio.sleep(fault.lasts)
            node.shelf.mood = "fine"


def _mark(node: Node) -> None:
    if isinstance(node, EdgeNode):
        node.refused_once = True


def mend(world: World) -> None:
    """Take everything back and start whoever is down; clocks stay as they are."""
    network: Network = world.network
    for way in list(network.cut):
        network.heal(*way)
    network.slow.clear()
    network.garbled.clear()
    network.echo = None
    for node in world.nodes.values():
        node.disarm()
        if node.disk is not None:
            node.disk.room, node.disk.broken = None, 0
        if isinstance(node, StoreNode):
            node.shelf.mood = "fine"
        node._again()
    world.tell("fault", "all is mended")


def edges(world: World) -> list[EdgeNode]:
    """Return the edges of a world."""
    return [node for node in world.nodes.values() if isinstance(node, EdgeNode)]
