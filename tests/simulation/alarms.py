"""Alarms before telemetry: looked at each time when an edge begins to send a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_agent.agent import Agent
from gateway_core.model import Alarm, Batch

if TYPE_CHECKING:
    from tests.simulation.nodes import EdgeNode


def watch_alarms(node: EdgeNode, agent: Agent) -> None:
    """Note it as trouble when a batch without an alarm is sent while an older alarm waits.

    Old is what was stored before the last batch had ended: of it the next choice must know.
    """
    uplink: Any = agent._outlets._uplink
    spool = agent._spool
    send, known = uplink.send, 0

    async def watched(batch: Batch) -> Any:
        nonlocal known
        if not any(isinstance(each, Alarm) for each in batch.records):
            waiting = [
                seq
                for seq in await spool.alarms(0, 10_000)
                if seq <= known and not spool.is_settled("uplink", seq)
            ]
            if waiting:
                node.trouble.append(
                    f"{batch.first} to {batch.last} are sent before alarm {waiting[0]}"
                )
        node.world.tell(
            node.name, f"sends {batch.first} to {batch.last}, head {spool.head}, known {known}"
        )
        try:
            return await send(batch)
        finally:
            known = spool.head
            node.world.tell(node.name, f"sent, head {spool.head}")

    uplink.send = watched
