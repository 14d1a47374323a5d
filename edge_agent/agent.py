"""The edge agent: builds the parts, starts them, stops them in order, and does nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from msgspec import structs

from device_profiles.catalogue import Catalogue
from device_profiles.js.runtime import shared
from edge_agent.admin import Admin, serve_admin
from edge_agent.arrival import Apart
from edge_agent.asking import Asking
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inventory import Feed
from edge_agent.clock.keeper import Keeper
from edge_agent.clock.step import Step
from edge_agent.commands.addressing import Addressing
from edge_agent.commands.book import CommandBook
from edge_agent.commands.dispatcher import Dispatcher
from edge_agent.commands.waiting import Waiting
from edge_agent.config import CamerasSection, EdgeConfig
from edge_agent.discovery import Discovery
from edge_agent.foresight import Foresight
from edge_agent.holdings.versions import Versions
from edge_agent.intake import Intake
from edge_agent.knowledge import Knowledge
from edge_agent.lineage import LINEAGE_KEY, Lineage
from edge_agent.memory import HELD_KEY, MEMORY_KEY, SpoolMemory
from edge_agent.outlets import Outlets
from edge_agent.parts import Parts
from edge_agent.pipeline import Pipeline
from edge_agent.raw.store import RawStore
from edge_agent.reader import Reader
from edge_agent.registry import Registry
from edge_agent.replay import Replayed, replay
from edge_agent.retired import Retired, retired
from edge_agent.rules import Rules
from edge_agent.site import Links, Rates, Site
from edge_agent.status import UPLINK
from edge_agent.systems.inventory import load_systems
from edge_agent.systems.watch import Watch
from edge_agent.versions.life import Life
from edge_agent.ways import Ways, pins_of
from gateway_core.clock import NS, Clock
from gateway_core.exhaustion import probe_memory
from gateway_core.meter import Meter
from gateway_core.model import Record
from gateway_core.spool import Spool

if TYPE_CHECKING:
    from edge_agent.cameras.patrol import Patrol

log = structlog.get_logger()

TICK_S = 1.0
SAVE_EVERY_NS = 5 * NS
CAMERAS = "cameras"


@dataclass(frozen=True, slots=True)
class Files:
    """What an edge keeps on its disk, opened.

    Attributes:
        spool: Everything that came in.
        registry: Its devices and feeds, recovered.
        book: Commands to devices.
        raw: What came in as it came; None where nothing is kept raw.
        versions: Of profiles.
        keeper: Of the clock.
    """

    spool: Spool
    registry: Registry
    book: CommandBook
    raw: RawStore | None
    versions: Versions
    keeper: Keeper


class Agent:
    """One edge agent, built and ready to start.

    Args:
        config: As read.
        files: Opened.
        knowledge: As read.
        outlets: Where records go.
        meter: Counts.
        clock: The edge's clock.
    """

    def __init__(
        self,
        config: EdgeConfig,
        files: Files,
        knowledge: Knowledge,
        outlets: Outlets,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self.ports: dict[str, list[int]] = {}
        self._config = config
        self._spool = spool = files.spool
        self._registry = registry = files.registry
        self._outlets = outlets
        self._clock = clock
        self._meter = meter
        self._links = Links()
        self._rates = Rates()
        self._profiles = knowledge.catalogue.profiles
        edge = config.edge
        self._lineage = Lineage(edge.id, knowledge.origins, clock)
        self._ways = Ways(knowledge.catalogue, self._lineage)
        self._rules = Rules(edge.id, registry, self._profiles, self._links.since.get)
        self._memory = SpoolMemory(clock, meter)
        reader = Reader(
            edge.id, registry, self._ways, self._rules, meter, edge.max_payload, self._memory
        )
        waiting = Waiting()
        self._keeper = files.keeper
        self._keeper.stepped = self._clock_stepped
        self._pipeline = Pipeline(
            spool, reader, registry, self._rules, waiting, files.raw, files.keeper
        )
        tally = self._pipeline.tally
        self.life = Life(config, files.versions, outlets.exchange, self.adopt, clock, tally)
        self._foresight = Foresight(self._pipeline.ingest, reader, self._ways)
        self._pipeline.foresee = self._foresight.answers
        ingest, apart = self._foresight.ingest, Apart(self._foresight.apart, self._pipeline.heed)
        self._intake = Intake(config, spool, ingest, self._links, clock, meter, waiting, apart)
        self._discovery = Discovery(self._memory, self._ways, self._intake.follow, meter)
        self._discovery.use(self._profiles)
        self._asking = Asking(self._intake.publisher, meter)
        self._pipeline.send_back = self._asking.send_back
        self._addressing = Addressing(registry, self._intake.ways_out, knowledge.catalogue)
        self._dispatcher = Dispatcher(
            files.book, self._addressing, self._intake.publisher, waiting, clock, meter
        )
        self._patrol = self._make_patrol()
        self._watch = self._make_watch()
        self._parts: Parts | None = None
        self._saved_at = 0
        self._know(knowledge)

    async def recall(self) -> None:
        """Take up what the spool remembers of alarms, silence and earlier messages."""
        self._rules.recall(await self._spool.state("alarm/"))
        self._rules.recall(await self._spool.state("silence/"))
        self._memory.recall(await self._spool.state(MEMORY_KEY))
        self._memory.recall(await self._spool.state(HELD_KEY))
        self._lineage.recall(await self._spool.state(LINEAGE_KEY))
        self._discovery.look()
        if self._patrol is not None:
            self._patrol.recall(await self._spool.state("camera/"))

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
            rates=self._rates,
            clock=self._clock,
            started=self._clock(),
            running=parts.running,
            failures=parts.failures,
            systems=self._watch.states if self._watch is not None else dict,
            feeds=self._patrol.states if self._patrol is not None else dict,
            patrol=self._patrol,
            ledger_head=self._outlets.ledger_head,
            life=self.life,
            replay=self.replay,
            refill=self._outlets.refill,
            dispatcher=self._dispatcher,
            retired=self._retired,
            followed=self._intake.followed,
            profiles=lambda: self._profiles,
            balances=self._outlets.balances,
            keeper=self._keeper,
        )
        desk = Admin(site, self._outlets.answer, self._outlets.export, self._outlets.open_history)

        async def admin() -> None:
            def ready(ports: list[int]) -> None:
                self.ports["admin"] = ports
                opened()

            await serve_admin(desk.application(), self._config.admin.listen, self._meter, ready)

        if self._ways.scripted:
            shared().prepare()
            parts.start("codecs", partial(self._foresight.run, list(catalogue.profiles.values())))
        parts.start("memory", probe_memory)
        parts.start("clock", self._keeper.run)
        self._outlets.start(parts, self._keeper.gate)
        parts.start("rules", self._keep_time)
        parts.start("asking", self._asking.run)
        if self._patrol is not None:
            parts.start(CAMERAS, self._patrol.run, source=True)
        if self._watch is not None:
            parts.start(self._watch.source, self._watch.run, source=True)
        self._intake.start(parts, catalogue.topics(), catalogue.answers())
        parts.start("commands", self._dispatcher.run, source=True)
        self.life.start(parts)
        parts.start("admin", admin)

    async def adopt(self, knowledge: Knowledge) -> None:
        """Let what was read take over, between two batches.

        Raises:
            ConfigError: feeds.csv, the users or a certificate is wrong; all goes on as it was.
        """
        cameras = self._config.cameras
        feeds = await asyncio.to_thread(_feeds, cameras) if cameras else {}
        entrances = await self._intake.reread()
        catalogue = knowledge.catalogue
        self._lineage.use(knowledge.origins)
        self._ways.use(catalogue)
        self._discovery.use(catalogue.profiles)
        self._addressing.use(catalogue)
        self._rules.use(catalogue.profiles)
        self._know(knowledge)
        self._outlets.adopt(knowledge.policy)
        for admit in entrances:
            admit()
        if self._patrol is not None:
            self._patrol.replace(feeds)
        if self._parts is not None:
            await self._intake.renew(self._parts, catalogue.topics(), catalogue.answers())
        log.info("files_reloaded", profiles=len(catalogue.profiles))

    def _clock_stepped(self, step: Step) -> None:
        self._links.clock_stepped(step)
        self._rules.clock_stepped(step)

    async def replay(
        self, reason: str | None, since: int, limit: int, profile: str | None = None
    ) -> Replayed:
        """Try refused payloads again; see `edge_agent.replay.replay`.

        Args:
            reason: Only those refused with this code.
            since: Only those received since, nanoseconds since 1970.
            limit: At most so many.
            profile: Only those that this profile may read.
        """
        spool, pipeline = self._spool, self._pipeline
        if profile is None:
            return await replay(spool, pipeline, reason, since, limit)
        concerns = partial(self._ways.reads, profile)
        return await replay(spool, pipeline, reason, since, limit, concerns)

    async def flush(self) -> None:
        """Put what only memory knows on disk; called when the sources have stopped."""
        with contextlib.suppress(Exception):  # a full disk must not keep the agent from stopping
            await self._pipeline.tick(self._clock())
            await self._registry.save((self._spool.epoch, self._spool.head))

    def _know(self, knowledge: Knowledge) -> None:
        self._ways.pin(pins_of(knowledge.listings))
        self._profiles = knowledge.catalogue.profiles
        self._pipeline.announce(self._registry.enlist(knowledge.listings))
        for one in self._retired():
            log.warning("profile_retired", **structs.asdict(one))

    def _retired(self) -> list[Retired]:
        having = (device.profile for device in self._registry.devices.values())
        return retired(self._profiles, having)

    def _make_patrol(self) -> Patrol | None:
        cameras = self._config.cameras
        if cameras is None:
            return None
        # XML and pictures cost 8 MB: an edge without cameras keeps them for itself
        from edge_agent.cameras.patrol import Patrol
        from edge_agent.cameras.settings import PatrolSettings

        async def store(records: Sequence[Record], state: Mapping[str, bytes | None]) -> None:
            await self._pipeline.record(CAMERAS, records, state)

        return Patrol(
            self._config.edge.id,
            _feeds(cameras),
            store,
            settings=PatrolSettings(
                sweep_s=cameras.sweep,
                events=cameras.events,
                event_listeners=cameras.event_listeners,
                area=self._config.edge.area,
            ),
            clock=self._clock,
            meter=self._meter,
            baselines=self._config.edge.data_dir / "pictures.db",
        )

    def _make_watch(self) -> Watch | None:
        if self._config.systems is None:
            return None
        edge = self._config.edge
        systems = load_systems(self._config.systems.file)
        if not systems:
            return None  # it would end at once, and be called a part that waits
        return Watch(edge.id, edge.area, systems, self._pipeline.record, self._clock)

    async def _keep_time(self) -> None:
        """Once a second: look at the sources, let the rules notice silence, save the registry."""
        while True:
            now = self._clock()
            self._links.look(now)
            await self._pipeline.tick(now)
            self._discovery.look()
            if abs(now - self._saved_at) >= SAVE_EVERY_NS:
                self._saved_at = now
                uplink = UPLINK if self._config.uplink is not None else None
                self._rates.look(self._spool, uplink, now)
                await self._registry.save((self._spool.epoch, self._spool.head))
            await asyncio.sleep(TICK_S)


def _feeds(cameras: CamerasSection) -> dict[str, Feed]:
    feeds = load_feeds(cameras.file, cameras.key_file)
    troubled = [feed for feed in feeds.values() if feed.login_trouble]
    if troubled:
        first = troubled[0]
        log.error(
            "passwords_unreadable", feeds=len(troubled), first=first.id, why=first.login_trouble
        )
    return feeds
