"""The composition root: builds the collector's parts, runs them until told to stop, no more.

The order is the road: the spool first, then the stores, then intake and the people's listener; and
backwards at the end, so that nothing is acknowledged that cannot be stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from collector.api.app import create_app
from collector.api.overview import connected
from collector.api.parts import Contact, Parts, Vitals
from collector.api.rate import IngestRate
from collector.api.serve import serve_api
from collector.area_samples import area_samples
from collector.config import CollectorConfig
from collector.control import open_control
from collector.enrolment import Enrolment, open_enrolment
from collector.events.book import EventBook
from collector.events.sink import EventSink
from collector.foreign import take_up
from collector.intake import Intake, open_intake
from collector.lane import Lane, overlap
from collector.lull import Lull
from collector.mirror import Mirror, open_mirror
from collector.pace import QUEUED, Pace
from collector.profiles.desk import ProfileDesk, open_desk
from collector.query import TimeSeries
from collector.reception import Reception
from collector.refill import Refills
from collector.registry.database import open_database
from collector.registry.figures import Figures
from collector.registry.kpi import Cut, FeedKpis
from collector.registry.registry import Registry
from collector.registry.sink import RegistrySink
from collector.signals import ending
from collector.sinks.once import Once
from collector.sinks.timeseries import TimeSeriesSink
from collector.snapshot import SPOOL_FILE, Snapshots
from collector.status import Health, WatchedSink, edge_statuses, samples, stored
from collector.timeseries.born import born
from collector.timeseries.store import open_timeseries
from gateway_core.aside import Aside, asides
from gateway_core.clock import Clock, wall_ns
from gateway_core.errors import Unavailable
from gateway_core.exhaustion import end_when_exhausted
from gateway_core.forward import Sink, Trail
from gateway_core.listening import tcp_sockets
from gateway_core.meter import Meter
from gateway_core.notify import notify, watchdog
from gateway_core.spool import Spool, SpoolOptions, open_spool
from gateway_core.supervise import Patience, supervise
from gateway_core.units import Address

log = structlog.get_logger()

OWNER = "centre"
SINKS = ("timeseries", "registry", "events")
_ALIVE_KEY = "collector/alive"
_ALIVE_S = 5.0
_HOUR_S = 3600.0
_PATIENCE = Patience(first=0.5, longest=30.0)


@dataclass(frozen=True, slots=True)
class Collector:
    """The parts of a running collector.

    Attributes:
        config: The configuration.
        spool: The buffer.
        reception: The books of the edges.
        store: The time-series store.
        registry: Devices, feeds, systems, edges.
        kpis: The city's figures on feeds.
        events: The closed loop.
        desk: The life of profiles.
        intake: The listener for edges.
        meter: Counters of the parts.
        health: What is wrong.
        rate: Records a second.
        clock: The wall clock.
        started: Nanoseconds since 1970.
        enrolment: Answers edges that were invited, where that is configured.
        sockets: The people's listener.
        lull: Holds the sinks while a snapshot begins.
        mirror: The second site; None without one.
    """

    config: CollectorConfig
    spool: Spool
    reception: Reception
    store: TimeSeries
    registry: Registry
    kpis: FeedKpis
    events: EventBook
    desk: ProfileDesk
    intake: Intake
    enrolment: Enrolment | None
    meter: Meter
    health: Health
    rate: IngestRate
    clock: Clock
    started: int
    sockets: list[socket.socket]
    lull: Lull
    mirror: Mirror | None

    @property
    def api_url(self) -> str:
        """A URL that reaches the console from this machine."""
        host, port = self.sockets[0].getsockname()[:2]
        shown = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(host, host)  # noqa: S104
        return f"http://{Address(shown, port)}"

    def lanes(self) -> list[Lane]:
        """Return every sink with how it is fed."""
        events = EventSink(self.events, self.config.events.severities)
        kept = self.config.timeseries
        trail = Trail(kept.trail, partial(born, kept.url)) if kept.trail else None
        lanes = [
            Lane(self._watched(TimeSeriesSink(self.store)), 5000, 0.05, trail, overlap(kept.kind)),
            Lane(self._watched(self._once(RegistrySink(self.registry, self.clock))), 20_000, 1.0),
            Lane(self._watched(self._once(events)), 20_000, 1.0),
        ]
        if self.mirror is not None:
            lanes.append(Lane(self._watched(self.mirror), 5000, 0.25))
        return lanes

    def _once(self, sink: Sink) -> Once:
        return Once(sink, self.spool, lambda: self.reception.refills.repeats)

    def _watched(self, sink: Sink) -> WatchedSink:
        return WatchedSink(sink, self.health, self.lull)

    async def vitals(self) -> Vitals:
        """Try the spool with a commit and return how every part is."""
        spool, alive = "ok", str(self.clock()).encode()
        try:
            async with asyncio.timeout(_ALIVE_S):
                await self.spool.append((), source="agent", state={_ALIVE_KEY: alive})
        except (Unavailable, TimeoutError) as exc:
            spool = str(exc) or "no answer in time"
        sinks = SINKS if self.mirror is None else (*SINKS, self.mirror.name)
        return Vitals(spool, self.health.parts(sinks))

    async def render_metrics(self) -> bytes:
        """Return everything as Prometheus text."""
        books = await self.spool.books()
        snapshot = Meter()
        now, per_s = self.clock(), self.rate.per_second()
        areas = await self._areas()
        snapshot.observe(lambda: samples(books, self.reception.edges, per_s, now))
        snapshot.observe(lambda: area_samples(areas))
        snapshot.observe(self.intake.balances.samples)
        snapshot.set("tidegate_files_set_aside", len(await self._asides()))
        return snapshot.render() + self.meter.render()

    async def _asides(self) -> list[Aside]:
        return await asyncio.to_thread(asides, [self.config.collector.data_dir])

    async def _areas(self) -> dict[str, Figures]:
        """Return the figures on feeds by county; none while the database does not answer."""
        try:
            return await self.kpis.now(Cut("area", digits=6), connected(self.parts()))
        except Unavailable:
            return {}

    def contacts(self) -> list[Contact]:
        """Return every edge that ever uploaded, as the API shows it."""
        return [
            Contact(
                edge=each.edge,
                epoch=each.epoch,
                last_contact=each.contact,
                high_water=each.high_water,
                missing=each.missing,
                backlog=each.backlog,
                oldest=each.oldest,
                residual=each.residual,
                withheld=each.withheld,
                ahead=each.ahead,
            )
            for each in edge_statuses(self.reception.edges)
        ]

    def parts(self) -> Parts:
        """Return what the API asks for."""
        return Parts(
            registry=self.registry,
            kpis=self.kpis,
            events=self.events,
            desk=self.desk,
            timeseries=self.store,
            contacts=self.contacts,
            books=self.spool.books,
            refills=self.reception.refills,
            balances=self.intake.balances,
            quarantined=lambda: self.spool.quarantined(100_000),
            rate=self.rate,
            metrics=self.render_metrics,
            vitals=self.vitals,
            asides=self._asides,
            clock=self.clock,
            started=self.started,
        )


@contextlib.asynccontextmanager
async def open_collector(
    config: CollectorConfig, clock: Clock = wall_ns
) -> AsyncIterator[Collector]:
    """Open every part; edges can upload from here on.

    Raises:
        ConfigError: A person must edit a file.
        Unavailable: A disk, a database or an address does not allow it.
    """
    data = config.collector.data_dir
    data.mkdir(parents=True, exist_ok=True)
    options = SpoolOptions(
        max_bytes=config.spool.max_bytes,
        group_commit_s=config.spool.group_commit,
        keep_s=config.spool.keep,
    )
    meter, health, lull = Meter(), Health(), Lull()
    async with contextlib.AsyncExitStack() as stack:
        spool = await stack.enter_async_context(
            open_spool(data / SPOOL_FILE, OWNER, options, clock)
        )
        store = await stack.enter_async_context(open_timeseries(config))
        database = await stack.enter_async_context(open_database(config.registry_url))
        shift = config.registry.utc_offset_s
        registry, kpis = Registry(database, shift), FeedKpis(database, shift)
        await kpis.catch_up()
        for name in SINKS:  # before the first record, so that each sees it
            await spool.register(name)
        await take_up(spool)
        refills = Refills(spool, clock, automatic=config.refill.automatic)
        reception = Reception(spool, clock, config.intake.max_edges, refills)
        await reception.load()
        mirror = await stack.enter_async_context(open_mirror(config.mirror, spool))
        reception.traced = mirror is not None
        sockets = tcp_sockets(config.api.listen, "api.listen")
        for each in sockets:
            stack.callback(each.close)
        desk = open_desk(database, data, clock, config.intake.max_edges)
        pace = None if config.timeseries.trail else Pace(spool, SINKS[0], QUEUED)
        intake = await stack.enter_async_context(
            open_intake(config.intake, reception, meter, desk, pace)
        )
        enrolment = None
        if config.enrol is not None:
            enrolment = await stack.enter_async_context(
                open_enrolment(config.enrol, config.intake, database, meter, clock)
            )
        await stack.enter_async_context(open_control(data, Snapshots(config, store, lull)))
        rate = IngestRate(lambda: stored(reception.edges), clock)
        yield Collector(
            config=config,
            spool=spool,
            reception=reception,
            store=store,
            registry=registry,
            kpis=kpis,
            events=EventBook(database, clock, _make_event_id),
            desk=desk,
            intake=intake,
            enrolment=enrolment,
            meter=meter,
            health=health,
            rate=rate,
            clock=clock,
            started=clock(),
            sockets=sockets,
            lull=lull,
            mirror=mirror,
        )


async def run_collector(
    config: CollectorConfig,
    clock: Clock = wall_ns,
    ready: Callable[[Collector], None] | None = None,
) -> None:
    """Run the collector until SIGTERM or SIGINT, or until cancelled.

    Args:
        config: The configuration.
        clock: The wall clock.
        ready: Called once everything listens.

    Raises:
        ConfigError: A person must edit a file.
        Unavailable: A disk, a database or an address does not allow it.
    """
    end_when_exhausted(asyncio.get_running_loop())
    async with open_collector(config, clock) as collector, asyncio.TaskGroup() as group:
        stop = asyncio.Event()
        with ending(stop):
            tasks = [group.create_task(each, name=name) for name, each in _works(collector)]
            log.info(
                "collector_started",
                intake=[str(each) for each in collector.intake.addresses],
                console=collector.api_url,
                timeseries=collector.store.name,
            )
            notify("READY=1")
            if ready is not None:
                ready(collector)
            await stop.wait()
            log.info("collector_stopping")
            notify("STOPPING=1")
            for task in tasks:
                task.cancel()


def _works(collector: Collector) -> Iterator[tuple[str, Coroutine[Any, Any, object]]]:
    """Yield name and coroutine of everything that runs until the end."""
    for lane in collector.lanes():
        yield lane.sink.name, supervise(lane.sink.name, lane.carry(collector.spool), _PATIENCE)
    yield "kpis", supervise("kpis", lambda: _keep_days(collector), _PATIENCE)
    yield "profiles", supervise("profiles", collector.desk.run, _PATIENCE)
    yield "rate", collector.rate.run()
    yield "watchdog", watchdog()
    yield "api", serve_api(create_app(collector.parts()), collector.sockets)


async def _keep_days(collector: Collector) -> None:
    """Let old days of the figures go, now and every hour."""
    while True:
        await collector.kpis.prune(collector.clock())
        await asyncio.sleep(_HOUR_S)


def _make_event_id() -> str:
    return f"ev-{secrets.token_hex(10)}"
