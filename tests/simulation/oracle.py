"""The one judge: what devices were thanked for against what the store holds, and all the books."""

from __future__ import annotations

import base64
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field

from collector.reception import Reception
from edge_agent.audit import verify
from edge_agent.ledger_entry import Head
from gateway_core.intervals import Intervals
from gateway_core.model import Alarm, Reading, Record
from gateway_core.spool import Spool
from tests.simulation.nodes import CollectorNode, EdgeNode, StoreNode
from tests.simulation.store import POISON

NOTE = 1000
"""Characters in one of a message's 24 texts."""
GIVEN_UP = {"evicted", "thinned", "damaged"}


@dataclass
class Truth:
    """What the devices know.

    Attributes:
        said: Device to the temperatures of its messages, by number from 1, all thanked for.
        edge: Device to its edge.
    """

    said: dict[str, list[float]] = field(default_factory=dict)
    edge: dict[str, str] = field(default_factory=dict)


async def everything(spool: Spool) -> list[tuple[int, Record]]:
    """Return what a spool still holds, by number."""
    found: list[tuple[int, Record]] = []
    at = 0
    while (batch := await spool.read_after(at, 5000)) is not None:
        found += enumerate(batch.records, batch.first)
        at = batch.last
    return found


async def judge(
    truth: Truth, edges: list[EdgeNode], centre: CollectorNode, store: StoreNode
) -> list[str]:
    """Return every promise that was broken; empty when all were kept."""
    amiss: list[str] = []
    stands = store.shelf.numbers()
    given_up = 0
    for edge in edges:
        spool = edge.spool
        assert spool is not None
        held = await everything(spool)
        if not edge.refused_once:
            amiss += _order(edge.name, held)
        amiss += await _books(edge.name, spool, "uplink")
        amiss += _alarms(edge.name, held, store)
        amiss += await _ledger(edge)
        given_up += await _losses(edge, spool, store, amiss)
    assert centre.spool is not None
    assert centre.reception is not None
    amiss += await _books("centre", centre.spool, "timeseries")
    amiss += _reception(centre.reception)
    refused = await _quarantine(centre.spool)
    missing: Counter[str] = Counter()
    jumped = {edge.name for edge in edges if edge.offset}
    for device, said in truth.said.items():
        if truth.edge[device] not in jumped:
            amiss += _times(device, stands)
        for number, temperature in enumerate(said, 1):
            times = stands.pop((device, number), [])
            if len(times) > 1:
                amiss.append(f"doubled: {device} {number} stands at {len(times)} instants")
            if times and temperature == POISON:
                amiss.append(f"the store took what it refuses: {device} {number}")
            if not times and refused[device, number] == 1 and temperature == POISON:
                continue
            if refused[device, number]:
                amiss.append(
                    f"quarantine: {device} {number} is there {refused[device, number]} times"
                )
            if not times:
                missing[device] += 1
                if not given_up:
                    amiss.append(f"lost: {device} {number}, and nobody says so")
    if sum(missing.values()) > given_up:
        amiss.append(
            f"lost: {sum(missing.values())} readings, and only {given_up} are accounted for"
        )
    amiss += [f"never said: {device} {number}" for device, number in stands]
    for node in [*edges, centre]:
        amiss += [f"{node.name}: {why}" for why in node.trouble]
    return amiss


def _order(edge: str, held: list[tuple[int, Record]]) -> list[str]:
    last: dict[str, int] = {}
    found = []
    for seq, record in held:
        if isinstance(record, Reading) and not record.derived:
            number = int(record.fields["count"])
            if number <= last.get(record.device, 0):
                found.append(
                    f"order: {edge} holds {record.device} {number} after {last[record.device]}, as {seq}"
                )
            last[record.device] = number
    return found


def _times(device: str, stands: dict[tuple[str, int], list[int]]) -> list[str]:
    """Where its clock did not jump, an edge gives later readings of a device later times."""
    mine = sorted((number, times[0]) for (who, number), times in stands.items() if who == device)
    return [
        f"times: {device} {after[0]} stands before {before[0]}"
        for before, after in itertools.pairwise(mine)
        if after[1] <= before[1]
    ]


async def _books(node: str, spool: Spool, consumer: str) -> list[str]:
    books = await spool.books()
    found = []
    if books.residual:
        found.append(f"books: the residual of {node} is {books.residual}")
    if books.consumers[consumer].buffered:
        found.append(f"books: {node} still has {books.consumers[consumer].buffered} for {consumer}")
    return found


def _reception(reception: Reception) -> list[str]:
    found = []
    for name, edge in reception.edges.items():
        for epoch, book in edge.epochs.items():
            if book.residual or book.unexplained:
                found.append(
                    f"books: {name} {epoch}: residual {book.residual}, unexplained {book.unexplained}"
                )
            if epoch == edge.current and book.missing():
                found.append(f"books: {name} {epoch}: missing {book.missing()}")
    return found


def _alarms(edge: str, held: list[tuple[int, Record]], store: StoreNode) -> list[str]:
    there = store.shelf.alarms()
    return [
        f"lost: alarm {record.rule} of {record.device}, number {seq} of {edge}"
        for seq, record in held
        if isinstance(record, Alarm) and (record.device, record.time) not in there
    ]


async def _ledger(edge: EdgeNode) -> list[str]:
    assert edge.disk is not None
    assert edge.spool is not None
    kept = (await edge.spool.state("uplink/ledger")).get("uplink/ledger")
    audit = verify(edge.disk.folder / "ledger", Head.parse(kept.decode()) if kept else None)
    return [f"ledger of {edge.name}: {fault}" for fault in audit.faults]


async def _losses(edge: EdgeNode, spool: Spool, store: StoreNode, amiss: list[str]) -> int:
    """Return how many records an edge gave up; each must be named by a loss that came to the store."""
    books = await spool.books()
    dropped = books.consumers["uplink"].dropped
    counted = sum(count for reason, count in dropped.items() if reason in GIVEN_UP)
    named = Intervals([span[1:] for span in store.shelf.lost() if span[0] == spool.epoch])
    if named.count() < counted:
        amiss.append(
            f"{edge.name} counts {counted} given up, and the centre knows of {named.count()}"
        )
    return counted


async def _quarantine(spool: Spool) -> Counter[tuple[str, int]]:
    found: Counter[tuple[str, int]] = Counter()
    for each in await spool.quarantined(100_000):
        if isinstance(each.record, Reading):
            found[each.record.device, int(each.record.fields["count"])] += 1
    return found


def payload(number: int, temperature: float, noise: bytes) -> bytes:
    """Return what a device says."""
    said: dict[str, object] = {"temperature": temperature, "count": number}
    text = base64.b64encode(noise).decode()
    said |= {f"note{at // NOTE}": text[at : at + NOTE] for at in range(0, len(text), NOTE)}
    return json.dumps(said).encode()
