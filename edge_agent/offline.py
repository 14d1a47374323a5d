"""The on-site history of an edge whose agent does not run."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from edge_agent.archive import Archive, ArchiveOptions
from edge_agent.config import EdgeConfig, spool_options
from edge_agent.history import History
from gateway_core.clock import Clock, wall_ns
from gateway_core.errors import Unavailable
from gateway_core.spool import open_spool


@contextlib.asynccontextmanager
async def open_history(config: EdgeConfig, clock: Clock = wall_ns) -> AsyncIterator[History]:
    """Open spool and archive as the agent does, and nothing else; nobody else may have them open.

    Raises:
        ConfigError: The agent is running: ask it.
        Unavailable: There is nothing yet, or the disk does not answer.
    """
    edge, spool_file = config.edge, config.edge.data_dir / "spool.db"
    if not spool_file.exists():
        raise Unavailable(f"{spool_file}: no such file; the agent has not run with this data_dir")
    limits = ArchiveOptions(config.archive.keep, config.archive.max_bytes)
    async with open_spool(spool_file, edge.id, spool_options(config), clock) as spool:
        archive = Archive(edge.data_dir / "archive", spool, clock, limits)
        yield History(archive, spool, edge.data_dir / "spill")
