"""The edge agent: builds the parts, starts them, stops them in order, and does nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from device_profiles.catalogue import Catalogue
from edge_agent.admin import Admin, serve_admin
from edge_agent.cameras.inventory import load_feeds
from edge_agent.commands.addressing import Addressing
from edge_agent.commands.book import CommandBook
from edge_agent.commands.dispatcher import Dispatcher
from edge_agent.commands.waiting import Waiting
from edge_agent.config import EdgeConfig
from edge_agent.intake import Intake
from edge_agent.knowledge import Knowledge, read_knowledge
from edge_agent.memory import HELD_KEY, MEMORY_KEY, SpoolMemory
from edge_agent.outlets import Outlets, open_outlets
from edge_agent.parts import Parts
from edge_agent.pipeline import Pipeline
from edge_agent.reader import Reader
from edge_agent.register import Register
from edge_agent.registry import Registry
from edge_agent.replay import Replayed, replay
from edge_agent.rules import Rules
from edge_agent.signals import handled_signals
from edge_agent.site import Growth, Links, Site
from edge_agent.systems.inventory import load_systems
from edge_agent.systems.watch import Watch
from edge_agent.ways import Ways, pins_of
from gateway_core.clock import NS, Clock, wall_ns
from gateway_core.errors import GatewayError
from gateway_core.meter import Meter
from gateway_core.model import Record
from gateway_core.notify import notify, watchdog
from gateway_core.spool import Spool, SpoolOptions, open_spool

if TYPE_CHECKING:
    from edge_agent.cameras.patrol import Patrol

log = structlog.get_logger()

TICK_S = 1.0
SAVE_EVERY_NS = 5 * NS
CAMERAS = "cameras"


class Agent:
    """One edge agent, built and ready to start.

    Args:
        config: As read.
        spool: Opened.
        knowledge: As read.
        registry: Recovered.
        outlets: Where records go.
        book: Commands to devices.
        meter: Counts.
        clock: The edge's clock.
    """

    def __init__(
        self,
        config: EdgeConfig,
        spool: Spool,
        knowledge: Knowledge,
        registry: Registry,
        outlets: Outlets,
        book: CommandBook,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self.ports: dict[str, list[int]] = {}
        self._config = config
        self._spool = spool
        self._registry = registry
        self._outlets = outlets
        self._clock = clock
        self._meter = meter
        self._links = Links()
        self._growth = Growth()
        self._profiles = knowledge.catalogue.profiles
        self._ways = Ways(knowledge.catalogue)
        edge = config.edge
        self._rules = Rules(edge.id, registry, self._profiles, self._links.since.get)
        self._memory = SpoolMemory(clock, meter)
        reader = Reader(
            edge.id, registry, self._ways, self._rules, meter, edge.max_payload, self._memory
        )
        waiting = Waiting()
        self._pipeline = Pipeline(spool, reader, registry, self._rules, waiting)
        ingest = self._pipeline.ingest
        self._intake = Intake(config, spool, ingest, self._links, clock, meter, waiting)
        self._addressing = Addressing(registry, self._intake.ways_out, knowledge.catalogue)
        self._dispatcher = Dispatcher(
            book, self._addressing, self._intake.publisher, waiting, clock, meter
        )
        self._patrol = self._make_patrol()
        self._watch = self._make_watch()
        self._parts: Parts | None = None
        self._reloading = asyncio.Lock()
        self._saved_at = 0
        self._know(knowledge)

    async def recall(self) -> None:
        """Take up what the spool remembers of alarms, silence and earlier messages."""
        self._rules.recall(await self._spool.state("alarm/"))
        self._rules.recall(await self._spool.state("silence/"))
        self._memory.recall(await self._spool.state(MEMORY_KEY))
        self._memory.recall(await self._spool.state(HELD_KEY))

    def start(self, parts: Parts, catalogue: Catalogue, opened: Callable[[], None]) -> None:
        """Start every part.

        Args:
            parts: Runs them.
            catalogue: The profiles, which name MQTT topics.
            opened: Is called when the admin listener is open.
        """
        self._parts = parts
        site = Site(
            config=self._config,
            spool=self._spool,
            registry=self._registry,
            pipeline=self._pipeline,
            rules=self._rules,
            meter=self._meter,
            links=self._links,
            growth=self._growth,
            clock=self._clock,
            started=self._clock(),
            running=parts.running,
            systems=self._watch.states if self._watch is not None else dict,
            feeds=self._patrol.states if self._patrol is not None else dict,
            ledger_head=self._outlets.ledger_head,
            reload=self.reload,
            dispatcher=self._dispatcher,
        )
        application = Admin(site, self._outlets.answer, self._outlets.export).application()

        async def admin() -> None:
            def ready(ports: list[int]) -> None:
                self.ports["admin"] = ports
                opened()

            await serve_admin(application, self._config.admin.listen, ready)

        self._outlets.start(parts)
        parts.start("rules", self._keep_time)
        if self._patrol is not None:
            parts.start(CAMERAS, self._patrol.run, source=True)
        if self._watch is not None:
            parts.start(self._watch.source, self._watch.run, source=True)
        self._intake.start(parts, catalogue.topics(), catalogue.answers())
        parts.start("commands", self._dispatcher.run, source=True)
        parts.start("admin", admin)

    async def reload(self) -> None:
        """Read profiles, devices, egress and feeds again; all are taken over, or none.

        Raises:
            ConfigError: A file has a mistake; everything goes on as it was.
        """
        async with self._reloading:
            knowledge = await asyncio.to_thread(read_knowledge, self._config, strict=True)
            cameras = self._config.cameras
            feeds = await asyncio.to_thread(load_feeds, cameras.file) if cameras else {}
            self._ways.use(knowledge.catalogue)
            self._addressing.use(knowledge.catalogue)
            self._rules.use(knowledge.catalogue.profiles)
            self._know(knowledge)
            self._outlets.adopt(knowledge.policy)
            if self._patrol is not None:
                self._patrol.replace(feeds)
            if self._parts is not None:
                catalogue = knowledge.catalogue
                await self._intake.renew(self._parts, catalogue.topics(), catalogue.answers())
            log.info("files_reloaded", profiles=len(knowledge.catalogue.profiles))

    async def replay(self, reason: str | None, since: int, limit: int) -> Replayed:
        """Try refused payloads again; see `edge_agent.replay.replay`."""
        return await replay(self._spool, self._pipeline, reason, since, limit)

    async def flush(self) -> None:
        """Put what only memory knows on disk; called when the sources have stopped."""
        with contextlib.suppress(Exception):  # a full disk must not keep the agent from stopping
            await self._pipeline.tick(self._clock())
            await self._registry.save((self._spool.epoch, self._spool.head))

    def _know(self, knowledge: Knowledge) -> None:
        self._ways.pin(pins_of(knowledge.listings))
        self._pipeline.announce(self._registry.enlist(knowledge.listings))

    def _make_patrol(self) -> Patrol | None:
        cameras = self._config.cameras
        if cameras is None:
            return None
        # XML and pictures cost 8 MB: an edge without cameras keeps them for itself
        from edge_agent.cameras.patrol import Patrol
        from edge_agent.cameras.settings import PatrolSettings

        async def store(records: Sequence[Record]) -> None:
            await self._pipeline.record(CAMERAS, records)

        return Patrol(
            self._config.edge.id,
            load_feeds(cameras.file),
            store,
            settings=PatrolSettings(sweep_s=cameras.sweep),
            clock=self._clock,
            meter=self._meter,
        )

    def _make_watch(self) -> Watch | None:
        if self._config.systems is None:
            return None
        edge = self._config.edge
        systems = load_systems(self._config.systems.file)
        return Watch(edge.id, edge.area, systems, self._pipeline.record, self._clock)

    async def _keep_time(self) -> None:
        """Once a second: look at the sources, let the rules notice silence, save the registry."""
        while True:
            now = self._clock()
            self._links.look(now)
            await self._pipeline.tick(now)
            if abs(now - self._saved_at) >= SAVE_EVERY_NS:
                self._saved_at = now
                self._growth.look(self._spool.head, now)
                await self._registry.save((self._spool.epoch, self._spool.head))
            await asyncio.sleep(TICK_S)


async def run_agent(
    config: EdgeConfig,
    *,
    stop: asyncio.Event | None = None,
    ready: Callable[[Agent], None] | None = None,
    clock: Clock = wall_ns,
) -> None:
    """Run one edge agent until it is told to stop.

    Args:
        config: As `load_edge_config` returns it.
        stop: Stops the agent when set; SIGTERM and SIGINT do so too, SIGHUP reloads the files.
        ready: Is called once everything runs.
        clock: The edge's clock.

    Raises:
        ConfigError: A file has a mistake, or an address cannot be listened on.
        Unavailable: The spool's file is damaged; the next start checks and mends it.
    """
    ending = stop or asyncio.Event()
    knowledge = await asyncio.to_thread(read_knowledge, config, strict=False)
    async with _built(config, knowledge, clock) as agent:
        try:
            async with asyncio.TaskGroup() as group:
                parts = Parts(group)

                def opened() -> None:
                    notify("READY=1")
                    if ready is not None:
                        ready(agent)

                with handled_signals(ending, agent.reload, group):
                    agent.start(parts, knowledge.catalogue, opened)
                    alive = group.create_task(watchdog(), name="watchdog")
                    await ending.wait()
                    notify("STOPPING=1")
                    await parts.stop(agent.flush)
                    alive.cancel()
        except* GatewayError as group_error:
            raise _first(group_error) from group_error
    log.info("agent_stopped", edge=config.edge.id)


async def replay_offline(
    config: EdgeConfig,
    reason: str | None = None,
    since: int = 0,
    limit: int = 1_000_000,
    clock: Clock = wall_ns,
) -> Replayed:
    """Try refused payloads again while the agent does not run; as `edge_agent.replay.replay`.

    Raises:
        ConfigError: A file has a mistake, or the agent is running: ask its ``POST /replay``.
        SpoolFull: What was mended so far is stored; call again for the rest.
    """
    knowledge = await asyncio.to_thread(read_knowledge, config, strict=False)
    async with _built(config, knowledge, clock) as agent:
        done = await agent.replay(reason, since, limit)
        await agent.flush()
    return done


@contextlib.asynccontextmanager
async def _built(config: EdgeConfig, knowledge: Knowledge, clock: Clock) -> AsyncIterator[Agent]:
    """Open the files of an edge and build its agent on them."""
    edge, limits = config.edge, config.spool
    options = SpoolOptions(
        max_bytes=limits.max_bytes,
        group_commit_s=limits.group_commit,
        when_full=limits.when_full,
        keep_s=limits.keep,
    )
    meter = Meter()
    async with contextlib.AsyncExitStack() as stack:
        spool = await stack.enter_async_context(
            open_spool(edge.data_dir / "spool.db", edge.id, options, clock)
        )
        register = await asyncio.to_thread(Register, edge.data_dir / "registry.db")
        stack.callback(register.close)
        book = await asyncio.to_thread(CommandBook, edge.data_dir / "commands.db")
        stack.callback(book.close)
        devices = config.devices
        registry = Registry(edge.id, edge.area, register, devices.unknown, devices.limit, clock)
        await registry.recover(spool)
        outlets = await stack.enter_async_context(
            open_outlets(config, spool, knowledge.policy, clock, meter)
        )
        agent = Agent(config, spool, knowledge, registry, outlets, book, meter, clock)
        await agent.recall()
        yield agent


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception of a group, however deep it lies."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
