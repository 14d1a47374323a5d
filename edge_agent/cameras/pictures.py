"""The grading of a feed's pictures: measured in the worker, compared with its baseline, learned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from edge_agent.cameras.baseline import Slot, admit, hour_of, sample, usual
from edge_agent.cameras.baselines import BaselineStore
from edge_agent.cameras.board import Entry
from edge_agent.cameras.evidence import PictureCheck
from edge_agent.cameras.grader import Grader, grading_available
from edge_agent.cameras.grading import PictureLimits, faults_of, grade
from gateway_core.clock import Clock
from gateway_core.errors import PayloadError
from gateway_core.meter import Meter

log = structlog.get_logger()


class UsualHour(msgspec.Struct, frozen=True):
    """What is usual for a feed at one hour, for people.

    Attributes:
        hour: Of day, UTC.
        looks: Kept of this hour.
        learned: Whether they suffice, together with those of the hours beside it.
        focus: In thousandths; None until learned, as all below.
        chroma: Mean distance from grey.
        stripes: Highest amplitude.
        likeness: How alike the looks are to their median, at most 1.
        still: Whether they show one scene; a camera that is moved about has none.
    """

    hour: int
    looks: int
    learned: bool
    focus: float | None
    chroma: float | None
    stripes: float | None
    likeness: float | None
    still: bool | None


class PictureGrading:
    """Grades one picture of a feed after the other.

    Args:
        path: Where baselines are kept; None keeps them in memory.
        clock: Wall clock.
        meter: Gets ``tidegate_pictures``.
        limits: Where a picture begins to be bad.
    """

    def __init__(
        self,
        path: Path | None,
        clock: Clock,
        meter: Meter,
        limits: PictureLimits | None = None,
    ) -> None:
        self._store = BaselineStore(path)
        self._clock = clock
        self._meter = meter
        self._limits = limits or PictureLimits()
        self._grader: Grader | None = None

    @property
    def available(self) -> bool:
        """Whether pictures are graded at all."""
        return self._grader is not None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PictureGrading]:
        """Hold the worker and the file."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._store)
            if grading_available():
                self._grader = await stack.enter_async_context(Grader())
            else:
                log.warning(
                    "picture_grading_skipped",
                    why="OpenCV is not installed; pip install 'tidegate[camera]'",
                )
            yield self

    async def grade(self, entry: Entry, jpeg: bytes) -> PictureCheck | None:
        """Grade a picture and learn from it when it is good; None when it says nothing."""
        assert self._grader is not None
        feed, before = entry.feed.id, entry.before
        try:
            measures = await self._grader.measure(jpeg, before.profile)
        except PayloadError as exc:
            self._meter.count("tidegate_pictures", result=exc.code)
            return None
        now = self._clock()
        slots = await self._store.near(feed, hour_of(now))
        grades = grade(measures, before, usual(slots), self._limits)
        entry.before = before.after(measures)
        faults = faults_of(grades)
        for result in faults or ("picture_good",):
            self._meter.count("tidegate_pictures", result=result)
        if not faults:
            slot = admit(slots[1], sample(measures, now))
            if slot != slots[1]:
                await self._store.put(feed, hour_of(now), slot)
        return PictureCheck(faults, grades)

    async def forget(self, feeds: Collection[str]) -> None:
        """Forget what is usual for these feeds: replaced devices, or scenes that are to be new."""
        await self._store.forget(feeds)

    async def forget_except(self, feeds: Collection[str]) -> None:
        """Forget what is usual for all feeds but these."""
        await self._store.forget_except(feeds)

    async def usual(self, feed: str) -> tuple[UsualHour, ...]:
        """Return what is usual for a feed at every hour at which it was seen."""
        slots = await self._store.all(feed)
        return tuple(_hour(hour, slots) for hour in sorted(slots))


def _hour(hour: int, slots: dict[int, Slot]) -> UsualHour:
    beside = [slots.get((hour + by) % 24, ()) for by in (-1, 0, 1)]
    found = usual(beside)
    return UsualHour(
        hour=hour,
        looks=len(beside[1]),
        learned=found is not None,
        focus=round(2**found.focus, 1) if found else None,
        chroma=round(found.chroma, 2) if found else None,
        stripes=round(found.most_stripes, 2) if found else None,
        likeness=round(found.likeness, 3) if found else None,
        still=found.still if found else None,
    )
