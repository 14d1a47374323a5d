"""What the edge knows about itself: one snapshot, for `/status`, `/metrics` and people."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from edge_agent.clock.keeper import Keeper
from edge_agent.config import spool_options
from edge_agent.endurance import Endurance, alarms_s, done_s, telemetry_s
from edge_agent.registry import Device
from edge_agent.retired import Retired
from edge_agent.site import Site
from gateway_core.aside import Aside, asides
from gateway_core.clock import NS, monotonic
from gateway_core.meter import Sample
from gateway_core.model import Reading
from gateway_core.spool import Books
from gateway_core.time_marks import Trouble

UPLINK = "uplink"
MOST_OFFLINE = 20
_NONE = {"": 0}
"""A counter is there before its first reason, so that sums over it are never without a value."""


class SourceStatus(msgspec.Struct, frozen=True):
    """One source: whether messages can come in through it, since when (ns), and its devices.

    Attributes:
        clients: Of a listener: how many connections are in each state.
        held: Why the disk does not take its messages, which are not acknowledged meanwhile; empty
            while it does.
    """

    name: str
    connected: bool
    since: int | None
    clients: dict[str, int] = {}
    held: str = ""


class ConsumerStatus(msgspec.Struct, frozen=True):
    """One consumer's books; see `gateway_core.spool.ConsumerBooks`."""

    name: str
    accepted: int
    delivered: int
    buffered: int
    quarantined: dict[str, int]
    dropped: dict[str, int]
    residual: int


class Offline(msgspec.Struct, frozen=True):
    """A device that said, or whose Will said, that it is not there.

    Attributes:
        device: Its id.
        last_seen: When it last spoke, nanoseconds since 1970; its Will counts as speaking.
        said: The words; empty where there were none that people can read.
    """

    device: str
    last_seen: int
    said: str


class Interrupted(msgspec.Struct, frozen=True):
    """A part that failed of late and is tried again and again, or was.

    Attributes:
        part: Its name.
        why: What its last failure said, such as that the broker refuses the password.
        tries: How often it failed in a row.
        ago_s: Seconds since the last time.
    """

    part: str
    why: str
    tries: int
    ago_s: float


class ClockStatus(msgspec.Struct, frozen=True):
    """How far the edge trusts its clock; see docs/reference/clocks.md.

    Attributes:
        trouble: ``unset``, ``jumped`` or ``unsynced``; None while nothing speaks against it.
        vouched: Whether a time service keeps it right; None: nobody can tell.
        holding: Whether what came in waits because its times may yet be put right.
        marked: Mark to count of readings since the program was started.
    """

    trouble: Trouble | None
    vouched: bool | None
    holding: bool
    marked: dict[str, int]


class Status(msgspec.Struct, frozen=True):
    """The state of one edge agent at one instant.

    Attributes:
        edge: Its id.
        area: Its area code.
        version: Of the program.
        time: Of the snapshot, nanoseconds since 1970.
        uptime_s: Seconds since it started.
        parts: Part to whether it is running; False while it waits to be tried again.
        sources: Where messages come from.
        accepted: Source to count of records, those of the agent's own parts included.
        consumers: Where records go.
        refused: Reason to count of payloads that could not be read.
        refused_held: How many of them are kept.
        epoch: Of the spool.
        head: Last sequence number.
        spool_bytes: In use.
        spool_max_bytes: The budget.
        seconds_to_full: How long the budget lasts at the present rate if nothing gets away; None
            when nothing comes in.
        lag_s: Age of the oldest record that the collector does not have; None without an uplink.
        endurance: What the uplink has still to do, and how long it can be put off.
        residual: What the books cannot explain; anything but 0 is an alert.
        devices: ``known``, ``listed``, ``silent``, ``offline``.
        offline: The devices that went last; at most 20.
        feeds: State to count.
        systems: State to count.
        ledger_head: Hash of the newest entry of the egress ledger; empty before the first.
        commands: State to count of the commands kept, as far as there are any.
        commands_open: How many of them have not ended.
        retired: Profiles that are deprecated or withdrawn and that devices still have.
        clock: How far the edge trusts its clock.
        set_aside: Damaged files, until a person moves them away.
        interrupted: Parts that failed, each until it has run for a minute without; no source that
            is connected.
    """

    edge: str
    area: str
    version: str
    time: int
    uptime_s: float
    parts: dict[str, bool]
    sources: list[SourceStatus]
    accepted: dict[str, int]
    consumers: list[ConsumerStatus]
    refused: dict[str, int]
    refused_held: int
    epoch: str
    head: int
    spool_bytes: int
    spool_max_bytes: int
    seconds_to_full: float | None
    lag_s: float | None
    endurance: Endurance
    residual: int
    devices: dict[str, int]
    offline: list[Offline]
    feeds: dict[str, int]
    systems: dict[str, int]
    ledger_head: str
    commands: dict[str, int]
    commands_open: int
    retired: list[Retired]
    clock: ClockStatus
    set_aside: list[Aside] = []
    interrupted: list[Interrupted] = []


async def take_status(site: Site) -> Status:
    """Look at everything once."""
    now = site.clock()
    books = await site.spool.books()
    site.links.look(now)
    devices = site.registry.devices.values()
    gone = [device for device in devices if device.online is False]
    since = site.links.since
    full = telemetry_s(books, site.rates.arriving(books.head, now))
    return Status(
        edge=site.config.edge.id,
        area=site.config.edge.area,
        version=program_version(),
        time=now,
        uptime_s=(now - site.started) / NS,
        parts=dict(site.running),
        sources=[
            SourceStatus(
                s.name,
                s.connected,
                since.get(s.name),
                dict(s.clients),
                site.links.why.get(s.name, ""),
            )
            for s in site.links.sources
        ],
        accepted=dict(books.accepted),
        consumers=_consumers(books),
        refused=dict(books.refused),
        refused_held=books.refused_held,
        epoch=books.epoch,
        head=books.head,
        spool_bytes=books.bytes,
        spool_max_bytes=books.max_bytes,
        seconds_to_full=full,
        lag_s=await _lag(site, 0, now),
        endurance=await _endurance(site, full, now),
        residual=books.residual,
        devices={
            "known": len(devices),
            "listed": len([device for device in devices if device.listed]),
            "silent": len(site.rules.silent),
            "offline": len(gone),
        },
        offline=_offline(gone),
        feeds={str(state): count for state, count in site.feeds().items()},
        systems=dict(Counter(site.systems().values())),
        ledger_head=site.ledger_head(),
        commands={state: n for state, n in site.dispatcher.docket.counts.items() if n},
        commands_open=len(site.dispatcher.docket),
        retired=site.retired(),
        clock=_clock(site.keeper),
        set_aside=await asyncio.to_thread(asides, folders(site.config.edge.data_dir)),
        interrupted=_interrupted(site),
    )


def _interrupted(site: Site) -> list[Interrupted]:
    well, now = {s.name for s in site.links.sources if s.connected}, monotonic()
    return [
        Interrupted(part, each.why, each.tries, round(now - each.at, 1))
        for part, each in site.failures.items()
        if part not in well
    ]


def folders(data_dir: Path) -> list[Path]:
    """Return where an edge keeps files."""
    return [data_dir, *(data_dir / name for name in ("archive", "ledger", "raw"))]


@cache  # a reader of mail reads it out of a file
def program_version() -> str:
    """Return the version that runs, or ``unknown`` when run from a folder."""
    try:
        return version("tidegate")
    except PackageNotFoundError:
        return "unknown"


def samples(status: Status) -> Iterator[Sample]:
    """Yield the snapshot as metrics (docs/reference/metrics.md)."""
    for source in status.sources:
        yield Sample("tidegate_source_connected", float(source.connected), {"source": source.name})
    silent = {source.name: 0 for source in status.sources}
    for name, count in (silent | status.accepted).items():
        yield Sample("tidegate_accepted", count, {"source": name}, "counter")
    for consumer in status.consumers:
        labels = {"consumer": consumer.name}
        yield Sample("tidegate_delivered", consumer.delivered, {"sink": consumer.name}, "counter")
        yield Sample("tidegate_buffered", consumer.buffered, labels)
        for reason, count in (_NONE | consumer.quarantined).items():
            yield Sample("tidegate_quarantined", count, {**labels, "reason": reason}, "counter")
    for reason, count in (_NONE | status.refused).items():
        yield Sample("tidegate_refused", count, {"reason": reason}, "counter")
    dropped: Counter[str] = Counter()
    for consumer in status.consumers:
        dropped.update(consumer.dropped)
    for reason, count in (_NONE | dropped).items():
        yield Sample("tidegate_dropped", count, {"reason": reason}, "counter")
    yield Sample("tidegate_residual", status.residual)
    yield Sample("tidegate_clock_ok", float(status.clock.trouble is None))
    yield Sample("tidegate_files_set_aside", len(status.set_aside))
    yield Sample("tidegate_commands_open", status.commands_open)
    yield Sample("tidegate_spool_bytes", status.spool_bytes)
    yield Sample("tidegate_spool_seconds_to_full", _or_infinite(status.seconds_to_full))
    if status.lag_s is not None:
        yield Sample("tidegate_uplink_lag_seconds", status.lag_s)
    lasts = status.endurance
    yield Sample("tidegate_uplink_backlog_seconds", _or_infinite(lasts.backlog_done_s))
    yield Sample("tidegate_alarms_seconds_to_full", _or_infinite(lasts.alarms_s))
    for kind, counts in (
        ("devices", status.devices),
        ("feeds", status.feeds),
        ("systems", status.systems),
    ):
        for state, count in counts.items():
            yield Sample(f"tidegate_{kind}", count, {"state": state})


def _clock(keeper: Keeper) -> ClockStatus:
    line = keeper.timeline
    return ClockStatus(line.trouble, line.vouched, keeper.holding, dict(keeper.marked))


def _or_infinite(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


def _consumers(books: Books) -> list[ConsumerStatus]:
    return [
        ConsumerStatus(
            name,
            each.accepted,
            each.delivered,
            each.buffered,
            dict(each.quarantine_reasons),
            dict(each.dropped),
            each.residual,
        )
        for name, each in sorted(books.consumers.items())
    ]


def _offline(gone: list[Device]) -> list[Offline]:
    last = heapq.nlargest(MOST_OFFLINE, gone, key=lambda device: device.last_seen)
    return [Offline(device.id, device.last_seen, device.said) for device in last]


async def _lag(site: Site, seq: int, now: int) -> float | None:
    """Return the age of the oldest record above ``seq`` that the collector does not have."""
    if site.config.uplink is None:
        return None
    oldest = await site.spool.read_beyond(UPLINK, seq, 1)
    if oldest is None:
        return 0.0
    record = oldest.records[0]
    time = record.received if isinstance(record, Reading) else record.time
    return max(0.0, (now - time) / NS)


async def _endurance(site: Site, full: float | None, now: int) -> Endurance:
    spool, rates = site.spool, site.rates
    alarms = rates.alarms.rate(spool.alarms_appended, now)
    last = alarms_s(spool_options(site.config), full, alarms)
    if site.config.uplink is None:
        return Endurance(0, None, None, full, last)
    backlog = spool.outstanding(UPLINK)[0]
    done = done_s(backlog, rates.backlog.rate(backlog, now))
    return Endurance(backlog, done, await _lag(site, spool.front(UPLINK), now), full, last)
