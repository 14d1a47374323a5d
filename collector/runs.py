"""Which run of an edge agent sends from an epoch, so that two agents with one identity are noticed.

An agent names its run, and the run before it, with every upload; both stand in its spool. A disk
that was copied holds the same spool, so its agent claims to follow a run that lives on, or one
that others followed before. The agent that came second is refused from then on. What it sent
before that was noticed is kept under an epoch of its own, so that none of its sequence numbers
stand for those of the first.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from collector.dedupe import EpochBook
from collector.edge_alarm import edge_alarm
from collector.refused import Refused
from gateway_core.clock import NS, Clock
from gateway_core.intervals import Intervals
from gateway_core.model import Alarm
from gateway_core.spool import Spool
from gateway_core.stored import read

log = structlog.get_logger()

HEADER = "Tidegate-Run"
STATE = "run/"
SURE_NS = 10 * NS
"""A run that was followed and says something new so long after its first new word lives."""
_MOST = 64
_FORM = re.compile(r"([0-9a-f]{1,32});([0-9a-f]{0,32})")
_RETRY_S = 5


class _Stored(msgspec.Struct):
    current: str
    past: list[str] = []
    banned: list[str] = []
    before: bytes = b""


@dataclass(slots=True)
class Line:
    """The runs of one epoch.

    Attributes:
        current: The one that sends.
        past: Those that it followed, oldest first.
        banned: Those of another agent.
        before: The epoch's books when the current run took over; None: not known any more.
        strays: Run that was followed to when it first said something new.
    """

    current: str
    past: list[str] = field(default_factory=list)
    banned: list[str] = field(default_factory=list)
    before: EpochBook | None = None
    strays: dict[str, int] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return what must survive a restart."""
        before = self.before.encode() if self.before is not None else b""
        return msgspec.json.encode(_Stored(self.current, self.past, self.banned, before))

    @classmethod
    def decode(cls, data: bytes) -> Line:
        """Read what `encode` made.

        Raises:
            ValueError: It is not.
        """
        held = msgspec.json.decode(data, type=_Stored)
        before = EpochBook.decode(held.before) if held.before else None
        return cls(held.current, held.past, held.banned, before)

    def repeats(self, span: tuple[int, int]) -> bool:
        """Whether an upload says nothing that had not come before the current run took over."""
        first, last = span
        came = self.before.received.overlap(first, last) if self.before is not None else 0
        return came == last - first + 1


class Runs:
    """The runs of every epoch.

    Args:
        spool: Keeps them.
        clock: The collector's clock.
    """

    def __init__(self, spool: Spool, clock: Clock) -> None:
        self._spool, self._clock = spool, clock
        self._lines: dict[tuple[str, str], Line] = {}

    async def load(self) -> None:
        """Take up what the spool holds."""
        for key, data in (await self._spool.state(STATE)).items():
            _, edge, epoch = key.split("/")
            line = read(key, data, Line.decode)
            if line is None:  # whoever sends next is taken for the first
                continue
            self._lines[edge, epoch] = line

    async def admit(
        self, edge: str, epoch: str, header: str, page: EpochBook, span: tuple[int, int]
    ) -> dict[str, EpochBook]:
        """Let the right run pass; return the books that this changed, already stored.

        Args:
            edge: Who sends.
            epoch: From which spool.
            header: What it says of its run; empty for an older program, which passes.
            page: The epoch's books.
            span: First and last number that the upload accounts for.

        Raises:
            Refused: It is another agent's, or must be asked again.
        """
        found = _FORM.fullmatch(header)
        if found is None:
            return {}
        run, before = found[1], found[2]
        line = self._lines.get((edge, epoch))
        if line is None:
            await self._keep(edge, epoch, Line(run))
            return {}
        if run == line.current:
            return {}
        if run in line.banned or before in line.banned:
            raise _doubled(edge)
        if run in line.past:
            if line.repeats(span):  # however late and often: a way that says things twice
                raise _followed()
            return await self._returned(edge, epoch, line, run, page)
        if before and before in line.past:  # it follows one that another followed already
            await self._ban(edge, epoch, line, run, {})
            raise _doubled(edge)
        past = [*line.past, line.current][-_MOST:]
        await self._keep(edge, epoch, Line(run, past, line.banned, page))
        return {}

    async def _returned(
        self, edge: str, epoch: str, line: Line, run: str, page: EpochBook
    ) -> dict[str, EpochBook]:
        """Judge a run that was followed: its last words, long under way, or an agent that lives."""
        now = self._clock()
        since = line.strays.setdefault(run, now)
        if run != line.past[-1] or 0 <= now - since < SURE_NS:
            raise _followed()
        second = line.current
        pages: dict[str, EpochBook] = {}
        if line.before is not None:
            theirs = _difference(page, line.before)
            pages = {epoch: replace(line.before, contact=now)}
            if theirs.received:
                pages[f"{epoch[:31]}-{second}"] = theirs
        restored = Line(run, line.past[:-1], line.banned)
        await self._ban(edge, epoch, restored, second, pages)
        return pages

    async def _ban(
        self, edge: str, epoch: str, line: Line, run: str, pages: dict[str, EpochBook]
    ) -> None:
        line.banned = [*line.banned, run][-_MOST:]
        alarm = edge_alarm(edge, "identity_doubled", self._clock(), f"epoch {epoch}, run {run}")
        state = {f"intake/{edge}/{name}": each.encode() for name, each in pages.items()}
        await self._keep(edge, epoch, line, [alarm], state)
        log.error("identity_doubled", edge=edge, epoch=epoch, refused=run, goes_on=line.current)

    async def _keep(
        self,
        edge: str,
        epoch: str,
        line: Line,
        alarms: list[Alarm] | None = None,
        state: dict[str, bytes] | None = None,
    ) -> None:
        keys = {**(state or {}), f"{STATE}{edge}/{epoch}": line.encode()}
        await self._spool.append(alarms or [], source="intake", state=keys)
        self._lines[edge, epoch] = line


def _followed() -> Refused:
    detail = "another run of this agent has sent since; ask again"
    return Refused(503, "run_followed", detail, _RETRY_S)


def _doubled(edge: str) -> Refused:
    detail = (
        f"another agent sends as {edge} from the same spool: this disk was copied or set back. "
        "Stop one of them; give this one an edge.id of its own, or move its spool.db aside"
    )
    return Refused(409, "identity_doubled", detail)


def _difference(now: EpochBook, before: EpochBook) -> EpochBook:
    """Return the books of what came between two pages."""
    spans = [part for span in now.received for part in before.received.missing(*span)]
    return replace(
        now,
        received=Intervals(spans),
        lost=Intervals(),
        stored=now.stored - before.stored,
        duplicates=now.duplicates - before.duplicates,
        unexplained=now.unexplained - before.unexplained,
        withheld=dict(Counter(now.withheld) - Counter(before.withheld)),
    )
