"""What feeds share a fate with (switch, recorder, subnet), and when the fault lies there. Pure.

The rules, each one a property in the tests:

* a group or a subnet is lost when all of its devices that are thought alive, or `ENOUGH` of them
  where it is large, fail one after the other and none answers in between;
* a recorder is lost when two of its channels fail one after the other and none answers;
* with fewer than `FEWEST` thought alive nothing is lost: each may well have a fault of its own;
* a group or a subnet is found again when two of its devices answer, a recorder when one channel
  does; until then one feed of it is asked at a time, and the others are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from edge_agent.cameras.address import neighbourhood
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.verdict import OUTCOME_STATES, UNREACHED, Outcome

FEWEST = 3
"""Devices, or channels of a recorder, that a parent must have alive to be told from them."""
ENOUGH = 20
"""So many in a row are proof, however large the group."""
CHANNELS = 2
"""A recorder's channels share all there is between us and it, so two of them are proof."""
ASKED_NEXT = 3
"""How many siblings are asked at once when one fails: an answer of one of them ends a suspicion."""
PROBE_S = 1.0
"""While a parent is lost, one of its feeds is asked in this time."""

Kind = Literal["group", "nvr", "net"]
_RANK: dict[Kind, int] = {"group": 0, "net": 1, "nvr": 2}


@dataclass(slots=True)
class Parent:
    """One switch, recorder or subnet. Times are seconds of a monotonic clock.

    Attributes:
        kind: ``group`` as the feeds file says, ``nvr`` for feeds of one host and port, ``net`` for
            a /24 or /64.
        name: Of the group, ``host:port``, or the subnet.
        feeds: Whose fate depends on it.
        seen: All that counts as one: devices, or channels of a recorder.
        alive: What answered at its last look or was never asked, oldest answer first: a device, or
            a channel, and a feed to ask it through.
        failed: What failed since the last answer, when, and a feed to ask it through.
        answered: What answered since it was lost.
        lost_at: When it was lost; None while it is not.
    """

    kind: Kind
    name: str
    feeds: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    alive: dict[str, str] = field(default_factory=dict)
    failed: dict[str, tuple[float, str]] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    lost_at: float | None = None
    probed_at: float = 0.0

    @property
    def label(self) -> str:
        """What it is called in alarms, for example ``group:east switch``."""
        return f"{self.kind}:{self.name}"

    def suspected(self) -> bool:
        """Whether several failed and none answered since: one failure more proves little."""
        known = len(self.alive) + len(self.failed)
        return self.lost_at is not None or (len(self.failed) >= 2 and known >= FEWEST)

    def fail(self, unit: str, feed: str, now: float, window_s: float) -> None:
        """Take in that a look failed."""
        if self.lost_at is not None:
            self.answered.discard(unit)
            self.alive.pop(unit, None)
            self.failed.setdefault(unit, (now, feed))
            return
        for old in [key for key, (at, _) in self.failed.items() if now - at > window_s]:
            del self.failed[old]  # failed for so long alone, its fault is its own
        if self.alive.pop(unit, None) is not None:
            self.failed[unit] = (now, feed)
        known = len(self.alive) + len(self.failed)
        enough = CHANNELS if self.kind == "nvr" else min(ENOUGH, known)
        if known >= FEWEST and len(self.failed) >= enough:
            self.lost_at = self.probed_at = now
            self.answered.clear()

    def answer(self, unit: str, feed: str) -> None:
        """Take in that it answered."""
        self.alive.pop(unit, None)
        self.alive[unit] = feed
        if self.lost_at is None:
            self.failed.clear()
            return
        self.failed.pop(unit, None)
        self.answered.add(unit)
        if len(self.answered) >= (1 if self.kind == "nvr" else 2):
            self.lost_at = None
            self.alive = {key: each for key, (_, each) in self.failed.items()} | self.alive
            self.failed.clear()

    def next_to_ask(self) -> list[str]:
        """Return feeds whose answer would tell most; another call names others."""
        asked = list(islice(self.alive.items(), ASKED_NEXT))
        for unit, feed in asked:
            del self.alive[unit]
            self.alive[unit] = feed
        return [feed for _, feed in asked]


class Parents:
    """All parents of the listed feeds."""

    def __init__(self, sweep_s: float) -> None:
        self._window_s = 1.5 * sweep_s
        self._probe_s = min(PROBE_S, sweep_s / 10)
        self._parents: dict[str, Parent] = {}
        self._of: dict[str, list[Parent]] = {}

    def relist(self, feeds: Collection[Feed]) -> None:
        """Take over a new listing; what is known of those who stay is kept."""
        old = self._parents
        found: dict[str, Parent] = {}
        units: dict[str, dict[str, str]] = {}
        for feed in feeds:
            for kind, name in _ties(feed):
                parent = found.setdefault(f"{kind}:{name}", Parent(kind, name))
                parent.feeds.add(feed.id)
                units.setdefault(parent.label, {})[_unit(feed, kind)] = feed.id
        self._parents = {
            label: _continued(parent, old.get(label), units[label])
            for label, parent in found.items()
            if len(units[label]) >= FEWEST
        }
        self._of = {}
        for parent in self._parents.values():
            for feed_id in parent.feeds:
                self._of.setdefault(feed_id, []).append(parent)

    def note(self, feed: Feed, outcome: Outcome, now: float) -> list[str]:
        """Take in how a look ended; return feeds to look at at once, to see whose fault it is."""
        state = OUTCOME_STATES[outcome]
        if state == "unknown":
            return []  # we could not ask: it says nothing about anybody
        ask: list[str] = []
        for parent in self._of.get(feed.id, ()):
            unit = _unit(feed, parent.kind)
            # That a group is one, people said; a subnet is a guess, and only the want of any answer
            # tells of the way to it.
            failed = outcome in UNREACHED if parent.kind == "net" else state == "offline"
            if not failed:
                parent.answer(unit, feed.id)
                continue
            parent.fail(unit, feed.id, now, self._window_s)
            if parent.lost_at is None and len(parent.alive) + len(parent.failed) >= FEWEST:
                ask += parent.next_to_ask()
        return ask

    def lost(self, feed_id: str) -> Parent | None:
        """Return the widest lost parent of a feed."""
        lost = [each for each in self._of.get(feed_id, ()) if each.lost_at is not None]
        return max(lost, key=lambda each: len(each.feeds), default=None)

    def suspected(self, feed_id: str) -> bool:
        """Whether a failure of this feed may well be a parent's."""
        return any(each.suspected() for each in self._of.get(feed_id, ()))

    def thought_alive(self, feed: Feed) -> bool:
        """Whether a channel answered at its last look, or was never asked; its recorder's say."""
        parents = self._of.get(feed.id, ())
        return any(each.kind == "nvr" and feed.id in each.alive for each in parents)

    def spared(self, feed_id: str, now: float) -> bool:
        """Whether a feed need not be asked now, since its parent is lost and another one is."""
        lost = [each for each in self._of.get(feed_id, ()) if each.lost_at is not None]
        if not lost:
            return False
        if any(now - each.probed_at < self._probe_s for each in lost):
            return True
        for each in lost:
            each.probed_at = now
        return False

    def size(self, feed_id: str, kind: Kind) -> int:
        """Return how many feeds share a parent of this kind with a feed; 1 for none."""
        sizes = (len(each.feeds) for each in self._of.get(feed_id, ()) if each.kind == kind)
        return max(sizes, default=1)

    def presume_lost(self, label: str, now: float) -> None:
        """Begin with a parent as it was before a restart; one that is not there is no error."""
        parent = self._parents.get(label)
        if parent is not None:
            parent.lost_at, parent.probed_at = now, 0.0

    def all_lost(self) -> list[Parent]:
        """Return the lost parents, widest first."""
        lost = [each for each in self._parents.values() if each.lost_at is not None]
        return sorted(lost, key=lambda each: (-len(each.feeds), _RANK[each.kind], each.name))

    def outermost(self) -> Iterator[Parent]:
        """Yield the lost parents that no wider ones account for."""
        covered: set[str] = set()
        for parent in self.all_lost():
            if not parent.feeds <= covered:
                yield parent
            covered |= parent.feeds


def _ties(feed: Feed) -> Iterator[tuple[Kind, str]]:
    if feed.group:
        yield "group", feed.group
    yield "nvr", feed.place
    yield "net", neighbourhood(feed.host)


def _unit(feed: Feed, kind: Kind) -> str:
    """Return what counts as one there."""
    if kind == "nvr":
        return feed.id
    return feed.place if kind == "group" else feed.host


def _continued(parent: Parent, before: Parent | None, units: dict[str, str]) -> Parent:
    parent.seen = set(units)
    if before is None:
        parent.alive = dict(units)  # who was never asked is presumed alive
        return parent
    failed = {key: each for key, each in before.failed.items() if key in units}
    alive = {key: units[key] for key in before.alive if key in units}
    new = {key: feed for key, feed in units.items() if key not in before.seen}
    parent.alive, parent.failed = {**alive, **new}, failed
    parent.answered = before.answered & units.keys()
    parent.lost_at, parent.probed_at = before.lost_at, before.probed_at
    return parent
