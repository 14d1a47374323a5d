"""Where the records of one edge go: the archive on site, the aggregates, the uplink."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.aggregate import Aggregate
from edge_agent.archive import Archive, ArchiveOptions
from edge_agent.balance import Balances
from edge_agent.config import EdgeConfig, UplinkSection
from edge_agent.ledger import Ledger
from edge_agent.parts import Parts
from edge_agent.policy import Policy
from edge_agent.refill import Refill
from edge_agent.throttle import Throttle
from edge_agent.uplink import STATE_COVERED, Uplink
from edge_agent.versions.exchange import Exchange
from gateway_core.clock import Clock
from gateway_core.forward import forward
from gateway_core.lanes import Lanes
from gateway_core.link import Link, LinkOptions
from gateway_core.meter import Meter
from gateway_core.spool import Spool

if TYPE_CHECKING:
    from edge_agent.answer import Export
    from edge_agent.history import History

AGGREGATED_AT_ONCE = 20_000
"""Under load each consumer takes what there is in few large batches: one that falls too far behind
the head finds its records no longer in memory, and decoding them again costs more than they do."""
LINGER_S = 0.1
SENT_AT_ONCE = 10_000
UPLINK_LINGER_S = 0.25
"""Each batch is a ledger entry of some hundred bytes: four a second at most keep it for weeks."""
ARCHIVED_AT_ONCE = 20_000
ARCHIVE_S = 5.0


class Outlets:
    """The consumers of the spool; made by `open_outlets`.

    Args:
        spool: From where.
        archive: Always there: everything that this site took in.
        aggregate: Always there: what leaves only as aggregates is computed here.
        uplink: None where the site has no collector.
        lanes: Of the uplink: alarms, live data, backlog.
        balances: Close the books once a day.
        clock: Says what ``now`` is in a question.
        spill: Folder for questions that do not fit into memory.

    Attributes:
        exchange: To the centre's registry of profiles; None where the site follows none.
        refill: Answers what the centre asks for; None where the site has no collector.
    """

    def __init__(
        self,
        spool: Spool,
        archive: Archive,
        aggregate: Aggregate,
        uplink: Uplink | None,
        lanes: Lanes,
        balances: Balances,
        clock: Clock,
        spill: Path,
    ) -> None:
        self._spool = spool
        self._archive = archive
        self._aggregate = aggregate
        self._uplink = uplink
        self._clock = clock
        self._spill = spill
        self._history: History | None = None
        self._lanes = lanes
        self.exchange: Exchange | None = None
        self.balances = balances
        self.refill: Refill | None = None

    def start(self, parts: Parts, gate: Callable[[], Callable[[], Awaitable[None]]]) -> None:
        """Start every consumer; each awaits what ``gate`` gives it before it reads a batch."""
        spool = self._spool
        parts.start(
            "archive",
            partial(
                forward,
                spool,
                self._archive,
                limit=ARCHIVED_AT_ONCE,
                linger_s=ARCHIVE_S,
                ready=gate(),
            ),
        )
        parts.start("shelf", self._archive.run)
        parts.start(
            "aggregate",
            partial(
                forward,
                spool,
                self._aggregate,
                limit=AGGREGATED_AT_ONCE,
                linger_s=LINGER_S,
                ready=gate(),
            ),
        )
        parts.start("windows", self._aggregate.run)
        parts.start("balance", self.balances.run)
        if self._uplink is not None:
            parts.start(
                "uplink",
                partial(
                    forward,
                    spool,
                    self._uplink,
                    limit=SENT_AT_ONCE,
                    linger_s=UPLINK_LINGER_S,
                    lanes=self._lanes,
                    ready=gate(),
                ),
            )
            parts.start("report", partial(self._uplink.report.run, self._uplink.beat))
        if self.refill is not None:
            parts.start("refill", self.refill.run)

    def adopt(self, policy: Policy) -> None:
        """Use other egress rules from the next batch on."""
        self._aggregate.adopt(policy)
        if self._uplink is not None:
            self._uplink.adopt(policy)
        if self.refill is not None:
            self.refill.adopt(policy)

    async def answer(self, form: dict[str, Any]) -> tuple[str, bytes]:
        """Answer a question to the on-site history; see `edge_agent.answer`."""
        history = await self.open_history()
        from edge_agent.answer import answer

        return await answer(history, form, self._clock)

    async def export(self, form: dict[str, Any]) -> Export:
        """Begin an answer of any length; see `edge_agent.answer.export_answer`."""
        history = await self.open_history()
        from edge_agent.answer import export_answer

        return await export_answer(history, form, self._clock)

    async def open_history(self) -> History:
        """Return the on-site history, opened when it is first asked for."""
        # DuckDB costs 23 MB and a third of a second: only an edge that is asked pays for it.
        await asyncio.to_thread(importlib.import_module, "edge_agent.answer")
        from edge_agent.history import History

        if self._history is None:
            self._history = History(self._archive, self._spool, self._spill)
        return self._history

    def ledger_head(self) -> str:
        """Return number and hash of the egress ledger's newest entry; empty without an uplink."""
        return self.balances.ledger_head


@contextlib.asynccontextmanager
async def open_outlets(
    config: EdgeConfig, spool: Spool, policy: Policy, clock: Clock, meter: Meter
) -> AsyncIterator[Outlets]:
    """Open what the consumers write to.

    Raises:
        ConfigError: A file that the uplink needs cannot be read.
        Unavailable: The disk does not allow it.
    """
    edge, section = config.edge, config.uplink
    aggregate = Aggregate(policy, spool, clock)
    limits = ArchiveOptions(config.archive.keep, config.archive.max_bytes)
    await spool.register(Archive.name)
    archive = Archive(edge.data_dir / "archive", spool, clock, limits, meter)
    await archive.open()
    async with contextlib.AsyncExitStack() as stack:
        uplink = exchange = None
        throttle = Throttle(section.bandwidth if section is not None else None)
        if section is not None:
            ledger = Ledger(edge.data_dir / "ledger", clock)
            stack.callback(ledger.close)
            link = await stack.enter_async_context(Link(_options(section), clock))
            told = (await spool.state(STATE_COVERED)).get(STATE_COVERED, b"")
            await spool.register(Uplink.name)
            uplink = Uplink(edge.id, spool, policy, ledger, link, clock, told, throttle)
            await uplink.report.begin()
            apart = await stack.enter_async_context(Link(_options(section), clock))
            exchange = Exchange(edge.id, apart, ledger)
        share = section.backlog_share if section is not None else 1.0
        lanes = Lanes(share=share, most=throttle.most)
        spill = edge.data_dir / "spill"
        key = edge.data_dir / "identity.key"
        balances = Balances(edge.id, spool, key, exchange, clock)
        outlets = Outlets(spool, archive, aggregate, uplink, lanes, balances, clock, spill)
        if uplink is not None:
            outlets.refill = Refill(spool, archive, uplink, policy, lanes, clock, meter)
        if config.catalogue is not None:
            outlets.exchange = exchange
        yield outlets


def _options(section: UplinkSection) -> LinkOptions:
    return LinkOptions(
        section.url, section.ca_file, section.cert_file, section.key_file, section.token_file
    )
