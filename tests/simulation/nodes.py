"""The nodes of the simulated world: production code for edge and collector, models for the rest."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from pathlib import Path
from typing import Any

from collector.config import IntakeSection
from collector.foreign import take_up
from collector.identity import Gatekeeper
from collector.intake import Intake
from collector.lane import Lane
from collector.lull import Lull
from collector.reception import Reception
from collector.refill import Refills
from collector.sinks.timeseries import TimeSeriesSink
from collector.status import Health, WatchedSink
from collector.timeseries.born import born
from collector.timeseries.influx1 import open_influx1
from device_profiles.catalogue import load_catalogue
from edge_agent.agent import Agent
from edge_agent.clock.keeper import Machine
from edge_agent.config import EdgeConfig
from edge_agent.declared import declare
from edge_agent.egress import SiteEgress
from edge_agent.knowledge import Knowledge
from edge_agent.policy import Policy
from edge_agent.run import run_agent
from gateway_core.conditions import Conditions
from gateway_core.errors import Unavailable
from gateway_core.forward import Trail
from gateway_core.meter import Meter
from gateway_core.spool import Spool, SpoolDamaged, SpoolOptions, open_spool
from gateway_core.supervise import Patience, supervise
from tests.fakes.edge import ENV, write_profile
from tests.simulation import broker, store
from tests.simulation.alarms import watch_alarms
from tests.simulation.network import Door
from tests.simulation.world import Node, World
from tests.simulation.writing import writing_by

INTAKE = 8090
PROFILE = ENV.replace("default: none,", "default: raw,").replace(
    "  open: {type: bool",
    "".join(f"  note{n}: {{type: string}}\n" for n in range(24)) + "  open: {type: bool",
)
_PATIENCE = Patience(first=0.5, longest=30.0)


@functools.cache
def knowledge() -> Knowledge:
    """Return the one profile of this world, compiled; it is the same for every edge and life."""
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        catalogue = load_catalogue([write_profile(Path(made), PROFILE)], shipped=False)
    assert not catalogue.faults, catalogue.faults
    return Knowledge(catalogue, (), Policy(declare(catalogue), SiteEgress()))


class EdgeNode(Node):
    """An edge: the whole agent.

    Args:
        world: Where it is.
        name: Its name.
        host: Its address.
        told: Sections of its configuration.
        centre: The collector's address.
        site: The broker's address.
    """

    def __init__(
        self, world: World, name: str, host: str, told: dict[str, Any], centre: str, site: str
    ) -> None:
        super().__init__(world, name, host)
        self._config = EdgeConfig.model_validate(
            {
                "edge": {"id": name, "area": "371602", "data_dir": "/unknown"},
                "mqtt": [
                    {
                        "name": "site",
                        "url": f"mqtt://[{site}]:{broker.PORT}",
                        **told.get("mqtt", {}),
                    }
                ],
                "uplink": {"url": f"http://[{centre}]:{INTAKE}", **told.get("uplink", {})},
                "spool": told["spool"],
                "raw": {"keep": "0s"},
                "clock": {"wait": "20s"},
                "admin": {"listen": "127.0.0.1:0"},
            }
        )
        self.agent: Agent | None = None
        self.refused_once = False  # its disk did: what fits may be stored before what did not
        self._ending = asyncio.Event()

    @property
    def spool(self) -> Spool | None:
        """The spool of the running agent."""
        return None if self.agent is None or self.down else self.agent._spool

    async def run(self) -> None:
        self.agent = None
        assert self.disk is not None
        edge = self._config.edge.model_copy(update={"data_dir": self.disk.folder})
        config = self._config.model_copy(update={"edge": edge})
        machine = Machine(self.steady, lambda: None, self.boot)
        conditions = Conditions(writing_by(self.chance), self.chance)

        self._ending = asyncio.Event()

        def ready(agent: Agent) -> None:
            self.agent = agent
            watch_alarms(self, agent)

        await run_agent(
            config,
            stop=self._ending,
            ready=ready,
            clock=self.clock,
            machine=machine,
            conditions=conditions,
            known=knowledge(),
        )

    def stop(self) -> None:
        """End the agent in order, as systemd does; it is started again."""
        self.world.tell(self.name, "is told to stop")
        self._ending.set()

    def after_death(self, power: bool) -> None:
        self.agent = None

    def may_end(self, exc: BaseException) -> bool:
        return isinstance(exc, SpoolDamaged | Unavailable)


class CollectorNode(Node):
    """A collector: spool, reception, intake, and the road to the time-series store.

    Args:
        world: Where it is.
        host: Its address.
        shelf: The store's address.
        volatile: Seconds that the store's promises are worth nothing; 0: it keeps its word.
        options: Of the spool.
    """

    def __init__(
        self, world: World, host: str, shelf: str, volatile: float, options: SpoolOptions
    ) -> None:
        super().__init__(world, "centre", host)
        self._url = f"http://[{shelf}]:{store.PORT}"
        self._volatile, self._options = volatile, options
        self.spool_now: Spool | None = None
        self.reception: Reception | None = None

    def after_death(self, power: bool) -> None:
        self.spool_now = self.reception = None

    @property
    def spool(self) -> Spool | None:
        """The spool of the running collector."""
        return None if self.down else self.spool_now

    async def run(self) -> None:
        self.spool_now = None
        assert self.disk is not None
        path = self.disk.folder / "spool.db"
        meter, lull = Meter(), Lull()
        async with contextlib.AsyncExitStack() as stack:
            spool = await stack.enter_async_context(
                open_spool(path, "centre", self._options, self.clock, writing_by(self.chance))
            )
            await spool.register("timeseries")
            await take_up(spool)
            influx = await stack.enter_async_context(open_influx1(self._url, "tidegate"))
            reception = Reception(spool, self.clock, 100, Refills(spool, self.clock))
            await reception.load()
            settings = IntakeSection(listen=f"[::]:{INTAKE}")
            intake = Intake(settings, reception, Gatekeeper(None, None, certificates=False), meter)
            await intake.balances.load()
            await stack.enter_async_context(intake.serve([Door(self.host, INTAKE)]))
            self.spool_now, self.reception = spool, reception
            self.world.tell(self.name, f"listens, {spool.head} records in the spool")
            margin = self._volatile + 2.0
            trail = Trail(margin, functools.partial(born, self._url)) if self._volatile else None
            sink = WatchedSink(TimeSeriesSink(influx), Health(), lull)
            carry = Lane(sink, 5000, 0.05, trail).carry(spool)
            await supervise("timeseries", carry, _PATIENCE, self.chance)

    def may_end(self, exc: BaseException) -> bool:
        return isinstance(exc, SpoolDamaged | Unavailable)


class StoreNode(Node):
    """The time-series store; what it keeps is in a `store.Shelf`."""

    def __init__(self, world: World, host: str, volatile: float) -> None:
        super().__init__(world, "store", host)
        self.shelf = store.Shelf(volatile)

    async def run(self) -> None:
        self.shelf.started += 1

        def visited() -> store.Counter:
            return store.Counter(
                self.shelf,
                self.world.loop,
                self.chance,
                lambda text: self.world.tell("store", text),
            )

        self.world.network.listen(visited, (self.host, store.PORT))
        await asyncio.Event().wait()

    def after_death(self, power: bool) -> None:
        gone = self.shelf.die(self.world.loop.time())
        if gone:
            self.world.tell(self.name, f"forgets {gone} points that it had promised to keep")


class BrokerNode(Node):
    """A site's broker; sessions outlive it."""

    def __init__(self, world: World, name: str, host: str, ids: int) -> None:
        super().__init__(world, name, host)
        self.session = broker.Session(ids)

    async def run(self) -> None:
        def visited() -> broker.Visit:
            return broker.Visit(self.session, lambda text: self.world.tell(self.name, text))

        self.world.network.listen(visited, (self.host, broker.PORT))
        await asyncio.Event().wait()

    def after_death(self, power: bool) -> None:
        self.session.open = None
