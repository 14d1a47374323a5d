"""How far the clock was to be trusted since the machine was started, stretch by stretch. Pure.

Within a stretch the wall clock and the steady one (which counts from the machine's start) go
together. A step of the wall clock begins another. Once the clock is right, the distance between
the two tells by how much it was wrong in the stretches before.

Invariants (tests/edge_agent/clock/test_timeline.py):

* a clock that stands before this program was written, or before it was last known to be right,
  is *unset*;
* a clock that jumps and nobody vouches for has *jumped*, until it comes back, a time service
  vouches for it, or an hour has passed: then somebody meant it, and nothing before is touched;
* where a time service once kept the clock right, it is *unsynced* until it does so again;
* a clock that a time service vouched for since the machine was started is never said to have
  been wrong before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from gateway_core.clock import NS, RELEASED_NS
from gateway_core.time_marks import Trouble

LEAP_NS = 5 * NS
"""A wall clock that is put right by less than this stays in its stretch."""
MEANT_NS = 3600 * NS
_SLACK_NS = LEAP_NS + NS
_MOST = 32
_ON_ITS_WAY_NS = 60 * NS
"""What was received longer ago is stored."""


class Stretch(msgspec.Struct):
    """A while in which the wall clock did not jump.

    Attributes:
        after: The spool's last number when it began.
        anchor: Wall clock less steady clock.
        begin: On the steady clock.
        trouble: Why the wall clock is not trusted; empty where it is.
        sure: Whether a time service vouched for it.
        end: On the steady clock; 0 while it lasts.
        last: The spool's last number when it ended.
        by: How far the wall clock was behind; None while nobody knows.
        next: Number at which putting right goes on; 0: there is nothing to do, or it is done.
    """

    after: int
    anchor: int
    begin: int
    trouble: Trouble | None = None
    sure: bool = False
    end: int = 0
    last: int = 0
    by: int | None = None
    next: int = 0

    def window(self, steady: int) -> tuple[int, int]:
        """Return its first and last instant, by the wall clock of then."""
        end = self.end or steady
        return self.anchor + self.begin - _SLACK_NS, self.anchor + end + _SLACK_NS


class Timeline:
    """The stretches since the machine was started.

    Args:
        vouched: Asks whether a time service keeps the clock right; None: nobody can tell.
        stretches: Those that an earlier run of the program knew.
        strict: Do not trust a clock that no time service vouches for.
        good: The last instant at which one did.
    """

    def __init__(
        self,
        vouched: Callable[[], bool | None],
        stretches: Iterable[Stretch] = (),
        *,
        strict: bool = False,
        good: int = 0,
    ) -> None:
        self.stretches = list(stretches)
        self.strict = strict
        self.vouched: bool | None = None
        self._ask = vouched
        self._good = good - MEANT_NS
        self.plain = False

    @property
    def trouble(self) -> Trouble | None:
        """Why the clock is not trusted now; None where it is."""
        return self.stretches[-1].trouble if self.stretches else None

    def look(self, wall: int, steady: int, head: int) -> bool:
        """Compare the clocks; return whether another stretch began.

        Args:
            wall: Nanoseconds since 1970.
            steady: Nanoseconds since the machine was started.
            head: The spool's last number.
        """
        anchor = wall - steady
        if self.stretches:
            now = self.stretches[-1]
            if -LEAP_NS <= anchor - now.anchor <= LEAP_NS:
                if now.trouble is None:
                    now.anchor = anchor  # slewed, not set
                return False
            self.plain = False
        self.vouched = self._ask()
        trouble, back = self._judged(wall, anchor)
        self._begin(anchor, steady, head, trouble)
        self._settle(back=back)
        return True

    def tick(self, steady: int, head: int) -> bool:
        """Ask whether a time service vouches for the clock; return whether that changes a thing."""
        self.vouched = self._ask()
        self.plain = self._is_plain(steady)
        now = self.stretches[-1]
        meant = now.trouble == "jumped" and steady - now.begin > MEANT_NS
        if now.trouble in {"jumped", "unsynced"} and (self.vouched or meant):
            self._begin(now.anchor, steady, head, None)
            if self.vouched:
                self._settle(back=False)
            return True
        if now.trouble is None and self.vouched and not now.sure:
            now.sure = self.strict = True
            self._settle(back=False)
            return True
        return False

    def at(self, instant: int, steady: int) -> Stretch | None:
        """Return the newest stretch that an instant of the wall clock may be of."""
        for stretch in reversed(self.stretches):
            since, until = stretch.window(steady)
            if since <= instant <= until:
                return stretch
        return None

    def _judged(self, wall: int, anchor: int) -> tuple[Trouble | None, bool]:
        """Return what is wrong with a clock that was just set, and whether it only came back."""
        if wall < RELEASED_NS:
            return "unset", False
        if self.vouched:
            return None, False
        if wall < self._good:
            return "unset", False
        before = self.stretches[-1].trouble if self.stretches else "unset"
        if before == "unset":
            return ("unsynced" if self.strict else None), False
        for stretch in self.stretches:
            if stretch.trouble is None and abs(stretch.anchor - anchor) <= LEAP_NS:
                return None, True
        return before or "jumped", False

    def _begin(self, anchor: int, steady: int, head: int, trouble: Trouble | None) -> None:
        if self.stretches:
            ended = self.stretches[-1]
            ended.end, ended.last = steady, head
        sure = trouble is None and bool(self.vouched)
        self.strict = self.strict or sure
        self.stretches.append(Stretch(head, anchor, steady, trouble, sure))
        del self.stretches[:-_MOST]
        self.plain = False

    def _settle(self, *, back: bool) -> None:
        """Reckon by how much the clock was wrong before, now that it is right."""
        now = self.stretches[-1]
        if now.trouble is not None:
            return
        for stretch in self.stretches[:-1]:
            by = now.anchor - stretch.anchor
            if abs(by) <= LEAP_NS:
                by = 0
            wrong = stretch.trouble is not None or by != 0
            known = now.sure or stretch.trouble == "unset" or (back and stretch.trouble == "jumped")
            if stretch.by is None and not stretch.sure and wrong and known:
                stretch.by, stretch.next = by, stretch.after + 1

    def _is_plain(self, steady: int) -> bool:
        """Tell whether nothing that comes now can need a mark or another time."""
        return self.trouble is None and all(
            steady - each.end > _ON_ITS_WAY_NS for each in self.stretches[:-1]
        )
