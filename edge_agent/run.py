"""An edge's files opened, its agent built on them and run until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog

from edge_agent.agent import Agent, Files
from edge_agent.clock.keeper import KEY as CLOCK_KEY
from edge_agent.clock.keeper import Keeper, Machine
from edge_agent.commands.book import CommandBook
from edge_agent.config import EdgeConfig, spool_options
from edge_agent.holdings.versions import Versions
from edge_agent.knowledge import Knowledge, read_knowledge
from edge_agent.outlets import open_outlets
from edge_agent.parts import Parts
from edge_agent.raw.store import RawOptions, RawStore
from edge_agent.register import Register
from edge_agent.registry import Registry
from edge_agent.replay import Replayed
from edge_agent.signals import handled_signals
from gateway_core.clock import Clock, wall_ns
from gateway_core.conditions import Conditions
from gateway_core.errors import GatewayError
from gateway_core.exhaustion import end_when_exhausted
from gateway_core.meter import Meter
from gateway_core.notify import notify, watchdog
from gateway_core.spool import open_spool

log = structlog.get_logger()


async def run_agent(
    config: EdgeConfig,
    *,
    stop: asyncio.Event | None = None,
    ready: Callable[[Agent], None] | None = None,
    clock: Clock = wall_ns,
    machine: Machine = Machine(),  # noqa: B008  # frozen
    conditions: Conditions = Conditions(),  # noqa: B008  # frozen
    known: Knowledge | None = None,
    leaving: Callable[[], object] = lambda: None,
) -> None:
    """Run one edge agent until it is told to stop.

    Args:
        config: As `load_edge_config` returns it.
        stop: Stops the agent when set; SIGTERM and SIGINT do so too, SIGHUP reloads the files.
        ready: Is called once everything runs.
        clock: The edge's clock.
        machine: What the machine knows of time beside it.
        conditions: What a simulation sets.
        known: What people wrote, where it was read already.
        leaving: Is called when the end begins, an orderly one or not.

    Raises:
        ConfigError: A file has a mistake, or an address cannot be listened on.
        Unavailable: The spool's file is damaged; the next start checks and mends it.
    """
    ending = stop or asyncio.Event()
    end_when_exhausted(asyncio.get_running_loop())
    async with _built(config, clock, machine, conditions, known) as (agent, knowledge):
        try:
            async with asyncio.TaskGroup() as group:
                parts = Parts(group, conditions.chance)

                def opened() -> None:
                    notify("READY=1")
                    if ready is not None:
                        ready(agent)

                with handled_signals(ending, agent.life.switch.reload, group):
                    agent.start(parts, knowledge.catalogue, opened)
                    alive = group.create_task(watchdog(), name="watchdog")
                    try:
                        await ending.wait()
                    finally:
                        leaving()
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
    profile: str | None = None,
) -> Replayed:
    """Try refused payloads again while the agent does not run; as `edge_agent.replay.replay`.

    Raises:
        ConfigError: A file has a mistake, or the agent is running: ask its ``POST /replay``.
        SpoolFull: What was mended so far is stored; call again for the rest.
    """
    async with _built(config, clock) as (agent, _):
        done = await agent.replay(reason, since, limit, profile)
        await agent.flush()
    return done


@contextlib.asynccontextmanager
async def _built(
    config: EdgeConfig,
    clock: Clock,
    machine: Machine = Machine(),  # noqa: B008  # frozen
    conditions: Conditions = Conditions(),  # noqa: B008  # frozen
    known: Knowledge | None = None,
) -> AsyncIterator[tuple[Agent, Knowledge]]:
    """Open the files of an edge and build its agent on them and on what people wrote."""
    versions = await asyncio.to_thread(Versions, config.edge.data_dir, clock)
    knowledge = known
    if knowledge is None:
        knowledge = await asyncio.to_thread(read_knowledge, config, strict=False, versions=versions)
    edge = config.edge
    options = spool_options(config)
    meter = Meter()
    async with contextlib.AsyncExitStack() as stack:
        spool = await stack.enter_async_context(
            open_spool(edge.data_dir / "spool.db", edge.id, options, clock, conditions.writing)
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
        raw = await stack.enter_async_context(_raw_store(config, meter, clock))
        trust = config.clock
        keeper = Keeper(
            spool,
            clock,
            machine,
            (await spool.state(CLOCK_KEY)).get(CLOCK_KEY, b""),
            meter,
            service=trust.service,
            wait_s=trust.wait,
        )
        files = Files(spool, registry, book, raw, versions, keeper)
        agent = Agent(config, files, knowledge, outlets, meter, clock)
        await agent.recall()
        await agent.life.switch.note(knowledge)
        yield agent, knowledge


@contextlib.asynccontextmanager
async def _raw_store(
    config: EdgeConfig, meter: Meter, clock: Clock
) -> AsyncIterator[RawStore | None]:
    """Open the raw store, where the site wants one."""
    if not config.raw.keep:
        yield None
        return
    options = RawOptions(config.raw.keep, config.raw.max_bytes)
    store = RawStore(config.edge.data_dir / "raw", options, meter, clock)
    store.start()
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception of a group, however deep it lies."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
