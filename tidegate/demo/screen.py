"""What a person sees while the demo runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway_core.clock import monotonic
from gateway_core.errors import GatewayError
from tidegate.demo.outcome import Outcome
from tidegate.output import show

_LIVE_S = 1.0
_LINES_S = 5.0


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The city at one instant; figures of the store are its own counters, not the verdict."""

    status: Mapping[str, Any]
    sent: int
    acknowledged: int
    p50_ms: float | None


Look = Callable[[], Awaitable[Glimpse]]


class Screen:
    """Prints to one console.

    Args:
        console: Where to.
        seconds: How long the sensors will speak.
        edges: How many edges there are.
    """

    def __init__(self, console: Console, seconds: float, edges: int) -> None:
        self._console = console
        self._seconds = seconds
        self._edges = edges

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(Text(text), soft_wrap=True)

    async def run(self, url: str, look: Look) -> NoReturn:
        """Show the city until cancelled.

        Args:
            url: The console's address.
            look: Returns what there is to show.
        """
        began = monotonic()
        if not self._console.is_terminal:
            while True:
                await asyncio.sleep(_LINES_S)
                glimpse = await _seen(look)
                if glimpse is not None:
                    self.say(self._line(monotonic() - began, glimpse))
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:
            while True:
                glimpse = await _seen(look)
                if glimpse is not None:
                    live.update(self._table(url, monotonic() - began, glimpse))
                await asyncio.sleep(_LIVE_S)

    def verdict(self, outcome: Outcome) -> None:
        """Print what was found."""
        report = outcome.as_dict()
        table = Table(box=None, show_header=False, pad_edge=False)
        for name in (
            *("accepted", "delivered", "lost", "duplicated", "residual", "devices", "feeds"),
            *("systems", "p50_ms", "p99_ms", "rate", "seconds", "drained_s", "wall_s"),
        ):
            table.add_row(name, Text(show(report[name])))
        self._console.print(table)
        for complaint in report["complaints"]:
            self._console.print(Text(complaint), style="bold red", soft_wrap=True)
        if report["ok"]:
            self.say("every acknowledged message is in the store exactly once")

    def _time(self, elapsed: float) -> str:
        if elapsed > self._seconds:
            return "sensors are silent, looking for what they sent"
        return f"{elapsed:.0f} of {self._seconds:g} s"

    def _line(self, elapsed: float, glimpse: Glimpse) -> str:
        return "  ".join(f"{name} {value}" for name, value in self._rows(elapsed, glimpse))

    def _table(self, url: str, elapsed: float, glimpse: Glimpse) -> Group:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        for name, value in self._rows(elapsed, glimpse):
            table.add_row(name, value)
        note = Text("All data is simulated; the last word is a query of the store, at the end.")
        return Group(Text(f"Tidegate demo  {url}", style="bold"), table, note)

    def _rows(self, elapsed: float, glimpse: Glimpse) -> list[tuple[str, str]]:
        status = glimpse.status
        totals, books = status["totals"], status["books"]["timeseries"]
        connected = sum(edge["state"] == "connected" for edge in status["edges"])
        return [
            ("time", self._time(elapsed)),
            ("edges", f"{connected} of {self._edges} connected"),
            ("acknowledged", f"{glimpse.acknowledged} of {glimpse.sent} sent"),
            ("in the store", f"{books['delivered']} (waiting: {books['buffered']})"),
            ("rate", f"{status['rate']['per_s'] or 0:.0f}/s"),
            ("latency p50", "—" if glimpse.p50_ms is None else f"{glimpse.p50_ms:.0f} ms"),
            ("devices", show(totals["devices"])),
            ("feeds", show(totals["feeds"])),
            ("systems", show(totals["systems"])),
            ("alarms", show(totals["alarms"])),
        ]


async def _seen(look: Look) -> Glimpse | None:
    try:
        return await look()
    except GatewayError:
        return None  # busy for a moment; a collector that ended is noticed elsewhere
