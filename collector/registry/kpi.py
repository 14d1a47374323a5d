"""The figures on feeds by area, owner, group, edge or day: as it is now, or over days.

Both come from sums that are kept with every verdict, so that an answer does not read the feeds: the
time-weighted ones are exact to the millisecond up to each feed's last verdict (see `timed`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from collector.registry.condition import DAY_MS, KEPT_DAYS
from collector.registry.database import Database
from collector.registry.figures import Figures
from collector.registry.tallies import Held, catch_up, counted, prune, timed
from collector.registry.tally import NS_PER_MS

By = Literal["area", "owner", "group", "edge", "day"]
_LEVELS = (6, 9, 12)
"""Characters of a county's, a township's and a village's code (GB/T 2260, GB/T 10114)."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Which figures are wanted.

    Attributes:
        by: What they are broken down by.
        under: Only feeds of this area or below; for ``owner`` and ``group`` it must be empty.
        digits: How many characters of the area's code name one row; 0: the level below ``under``.
    """

    by: By = "area"
    under: str = ""
    digits: int = 0

    def level(self) -> int:
        """Return how many characters of an area's code name one row."""
        deeper = (level for level in _LEVELS if level > len(self.under))
        return self.digits or next(deeper, 64)


class FeedKpis:
    """Asks a registry's database for figures.

    Args:
        database: Of the registry.
        shift_s: How far the city's clocks are ahead of UTC: where its days begin.
    """

    def __init__(self, database: Database, shift_s: float = 0.0) -> None:
        self._database = database
        self._shift_ms = round(shift_s * 1000)

    def day(self, now: int) -> int:
        """Return the city's day at an instant (nanoseconds), as days since 1970-01-01."""
        return (now // NS_PER_MS + self._shift_ms) // DAY_MS

    async def now(self, cut: Cut, here: Collection[str] | None = None) -> dict[str, Figures]:
        """Return the figures of this instant in feeds, by key.

        Args:
            cut: Which.
            here: Edges in contact; what the others said is not known to hold still. None: all.

        Raises:
            Unavailable: The database does not answer.
        """
        by = _dimension(cut)
        found = await self._database.ask(lambda db: counted(db, by))
        if here is not None:
            found = [
                (day, key, edge, held if edge in here or held == "maintenance" else "unknown", n)
                for day, key, edge, held, n in found
            ]
        return _fold(cut, found)

    async def over(self, cut: Cut, first: int, last: int, now: int) -> dict[str, Figures]:
        """Return the figures over whole days in milliseconds, by key.

        Args:
            cut: Which.
            first: First day; at most `KEPT_DAYS` before ``last``.
            last: Last day, included.
            now: Nanoseconds since 1970: nothing later is counted.

        Raises:
            Unavailable: The database does not answer.
        """
        assert 0 <= last - first <= KEPT_DAYS
        by, days = _dimension(cut), range(first, last + 1)
        found = await self._database.ask(
            lambda db: timed(db, by, days, now // NS_PER_MS, self._shift_ms)
        )
        return _fold(cut, found)

    async def catch_up(self) -> int:
        """Tally what an older program kept; return how many feeds.

        Raises:
            Unavailable: The database does not answer.
        """
        return await self._database.change(lambda db: catch_up(db, self._database))

    async def prune(self, now: int) -> None:
        """Let go what is older than is kept.

        Raises:
            Unavailable: The database does not answer.
        """
        await self._database.change(lambda db: prune(db, self.day(now)))


def shown_day(day: int) -> str:
    """Return a day as ``YYYY-MM-DD``."""
    return date.fromordinal(_EPOCH + day).isoformat()


def parse_day(text: str) -> int:
    """Return the day that ``YYYY-MM-DD`` names.

    Raises:
        ValueError: It names none.
    """
    return date.fromisoformat(text).toordinal() - _EPOCH


_EPOCH = date(1970, 1, 1).toordinal()


def _dimension(cut: Cut) -> str:
    return cut.by if cut.by in {"owner", "group"} else "area"


def _fold(cut: Cut, cells: Iterable[Held]) -> dict[str, Figures]:
    """Add up the cells of each row."""
    level = cut.level()
    held: dict[str, dict[str, int]] = {}
    for day, key, edge, condition, amount in cells:
        match cut.by:
            case "area":
                name = key[:level]
            case "edge":
                name = edge
            case "day":
                name = shown_day(day)
            case _:
                name = key
        if cut.under and not key.startswith(cut.under):
            continue
        row = held.setdefault(name, {})
        row[condition] = row.get(condition, 0) + amount
    return {key: Figures(held[key]) for key in sorted(held)}
