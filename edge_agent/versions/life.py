"""The life of profile versions on one edge: switch, trials and the fetcher, built and started."""

from __future__ import annotations

from pathlib import Path

from edge_agent.config import EdgeConfig
from edge_agent.holdings.versions import Versions
from edge_agent.parts import Parts
from edge_agent.tally import Tally
from edge_agent.versions.exchange import Exchange
from edge_agent.versions.fetcher import Fetcher, FetcherOptions
from edge_agent.versions.proving import Proving
from edge_agent.versions.reporting import Reports
from edge_agent.versions.running import Running
from edge_agent.versions.switch import Adopt, Switch
from gateway_core.clock import Clock


class Life:
    """What an agent needs to change versions, prove them, and follow the centre's plan.

    Args:
        config: Of the edge.
        versions: Of the edge.
        exchange: To the centre's registry; None where there is none.
        adopt: Lets what was read take over.
        clock: The edge's clock.
        tally: How each profile does.

    Attributes:
        switch: Changes versions.
        proving: Runs shadows and backtests.
        fetcher: Follows the plan; None where the site names no registry's key.
    """

    def __init__(
        self,
        config: EdgeConfig,
        versions: Versions,
        exchange: Exchange | None,
        adopt: Adopt,
        clock: Clock,
        tally: Tally,
    ) -> None:
        edge, section = config.edge, config.catalogue
        raw: Path | None = edge.data_dir / "raw" if config.raw.keep else None
        reports = Reports(edge.id, clock)
        self.switch = Switch(config, versions, adopt)
        self.proving = Proving(raw, versions, self.switch, reports, clock)
        self.fetcher: Fetcher | None = None
        if section is not None and exchange is not None:
            options = FetcherOptions(edge.id, section.key_file, section.every)
            running = Running(tally, clock)
            self.fetcher = Fetcher(
                options, exchange, versions, self.switch, self.proving, reports, running
            )

    def start(self, parts: Parts) -> None:
        """Start what runs beside the road; nothing where no centre is followed."""
        if self.fetcher is not None:
            parts.start("proving", self.proving.run)
            parts.start("catalogue", self.fetcher.run)
