"""The state table: what is known of every feed now, and the records that follow from it.

Invariants: a record is made when what is reported changes and after an hour without one; the
counts of a feed's records add up to the checks that were made, each in exactly one record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from edge_agent.cameras.evidence import (
    DeviceCheck,
    Evidence,
    PictureCheck,
    SampleCheck,
    StreamCheck,
)
from edge_agent.cameras.grading import GRADES, Before, Grade
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.judge import Memory, judge, overlay
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.verdict import OUTCOME_STATES, UNKNOWN, Finding, Outcome
from gateway_core.clock import NS
from gateway_core.model import FeedHealth, FeedState

UP: frozenset[FeedState] = frozenset({"online", "degraded"})


LOOKS = 5
"""Stream checks of each feed that are kept for people."""
_MAX_DETAIL = 200
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[Grade, ...]).decode
_unpack_looks = msgspec.msgpack.Decoder(list[tuple[int, Outcome, float | None, str]]).decode
_rank = {str(fault): rank for rank, fault in enumerate(GRADES)}.__getitem__


@dataclass(frozen=True, slots=True)
class Look:
    """One stream check, for people.

    Attributes:
        time: When it ended, nanoseconds since 1970.
        outcome: How.
        rtt_ms: From OPTIONS to its answer; None without one.
        detail: What was expected and found.
    """

    time: int
    outcome: Outcome
    rtt_ms: float | None
    detail: str


class Graded(NamedTuple):
    """The grades of one picture, packed into 400 bytes for so many feeds.

    Attributes:
        time: When it was graded.
        packed: Of its grades.
    """

    time: int
    packed: bytes

    def grades(self) -> tuple[Grade, ...]:
        """Unpack them."""
        return _unpack(self.packed)


class Sampled(NamedTuple):
    """One sample of a stream's packets, and when it was taken."""

    time: int
    check: SampleCheck


@dataclass(slots=True)
class Entry:
    """One feed and all that is remembered of it between checks.

    Attributes:
        feed: As listed.
        memory: What judging remembers.
        reported: What the last record, or the start, said.
        fingerprint: Of the last answer to OPTIONS.
        describe_at: When DESCRIBE is due, in seconds of the monotonic clock.
        before: Of the graded pictures so far.
        graded: The grades of the last picture, packed, with when it was taken.
        sampled: The last sample of its packets.
        worst: The worst fault of a picture since the last record; empty for none.
        busy: A check of it is under way.
        maintenance: People are at work there.
        device: The last device check.
        changed_at: When the last record of a change was made; 0 for never.
        looked: The last stream checks, packed: as objects they were a seventh of a feed's memory.
    """

    feed: Feed
    memory: Memory = field(default_factory=Memory)
    reported: Finding = UNKNOWN
    fingerprint: str = ""
    describe_at: float = 0.0
    before: Before = field(default_factory=Before)
    graded: Graded | None = None
    worst: str = ""
    sampled: Sampled | None = None
    busy: bool = False
    maintenance: bool = False
    device: DeviceCheck | None = None
    changed_at: int = 0
    checks: int = 0
    failures: int = 0
    rtt_ms: float | None = None
    up_s: float = 0.0
    counted_at: int = 0
    recorded_at: int = 0
    looked: bytes = _pack(())

    @property
    def looks(self) -> tuple[Look, ...]:
        """The last stream checks, oldest first."""
        return tuple(Look(*each) for each in _unpack_looks(self.looked))

    def look(self, now: int, check: StreamCheck) -> None:
        """Keep a stream check, for people."""
        last = now, check.outcome, check.rtt_ms, check.detail[:_MAX_DETAIL]
        self.looked = _pack((*_unpack_looks(self.looked), last)[-LOOKS:])


class Board:
    """All entries of one edge."""

    def __init__(self, edge: str, settings: PatrolSettings) -> None:
        self._edge = edge
        self._settings = settings
        self._stale_after_s = settings.stale_sweeps * settings.sweep_s
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, feed_id: str) -> Entry | None:
        """Return a feed's entry."""
        return self._entries.get(feed_id)

    def feeds(self) -> Mapping[str, Feed]:
        """Return the listed feeds by id."""
        return {key: entry.feed for key, entry in self._entries.items()}

    def put(self, feed: Feed, now: int) -> None:
        """List a feed, or take over its changed listing; its history stays."""
        entry = self._entries.get(feed.id)
        if entry is None:
            self._entries[feed.id] = Entry(feed, counted_at=now, recorded_at=now)
        else:
            entry.feed, entry.fingerprint, entry.describe_at = feed, "", 0.0

    def remove(self, feed_id: str) -> None:
        """Take a feed off the list."""
        self._entries.pop(feed_id, None)

    def note(self, entry: Entry, evidence: Evidence, now: int) -> FeedHealth | None:
        """Judge one piece of evidence; return the record if what is reported changed."""
        self._count_up_time(entry, now)
        if isinstance(evidence, StreamCheck):
            state = OUTCOME_STATES[evidence.outcome]
            # A check that could not be made says nothing about the feed and counts as none.
            entry.checks += state != "unknown"
            entry.failures += state not in {"unknown", "online"}
            entry.rtt_ms = evidence.rtt_ms if evidence.rtt_ms is not None else entry.rtt_ms
            entry.look(now, evidence)
        elif isinstance(evidence, DeviceCheck):
            entry.device = evidence
        elif isinstance(evidence, SampleCheck):
            entry.sampled = Sampled(now, evidence)
        elif isinstance(evidence, PictureCheck):
            entry.graded = Graded(now, _pack(evidence.grades))
            entry.worst = min(filter(None, (entry.worst, *evidence.faults)), key=_rank, default="")
        entry.memory = judge(entry.memory, evidence, now)
        return self._changed(entry, now)

    def tick(self, now: int) -> Iterator[FeedHealth]:
        """Yield the records that time alone brings about: stale feeds and hourly roll-ups."""
        for entry in self._entries.values():
            record = self._changed(entry, now)
            if record is None and now - entry.recorded_at >= self._settings.roll_up_s * NS:
                record = self._record(entry, now, hourly=True)
            if record is not None:
                yield record

    def coverage(self, now: int) -> float | None:
        """Return the share of feeds judged within the last sweep; None without feeds.

        A tenth of a sweep is allowed for jitter and for the check itself.
        """
        if not self._entries:
            return None
        since = now - int(1.1 * self._settings.sweep_s * NS)
        judged = sum(entry.memory.checked >= since for entry in self._entries.values())
        return judged / len(self._entries)

    def states(self) -> Counter[FeedState]:
        """Return how many feeds are reported in each state."""
        return Counter(entry.reported.state for entry in self._entries.values())

    def entries(self) -> Iterator[Entry]:
        """Yield the table in the order of the listing."""
        return iter(self._entries.values())

    def look_again(self, entry: Entry, now: int) -> FeedHealth | None:
        """Return the record if what is reported of a feed changed without a check."""
        return self._changed(entry, now)

    def _changed(self, entry: Entry, now: int) -> FeedHealth | None:
        finding = overlay(
            entry.memory,
            now,
            stale_after_s=self._stale_after_s,
            maintenance=entry.maintenance,
        )
        if finding == entry.reported:
            return None
        self._count_up_time(entry, now)
        entry.reported, entry.changed_at = finding, now
        return self._record(entry, now, hourly=False)

    def _record(self, entry: Entry, now: int, *, hourly: bool) -> FeedHealth:
        self._count_up_time(entry, now)
        record = FeedHealth(
            edge=self._edge,
            feed=entry.feed.id,
            time=now,
            state=entry.reported.state,
            faults=entry.reported.faults,
            checks=entry.checks,
            failures=entry.failures,
            rtt_ms=entry.rtt_ms,
            up_s=entry.up_s,
            hourly=hourly,
            worst=entry.worst,
        )
        entry.checks, entry.failures, entry.worst = 0, 0, ""
        entry.up_s, entry.rtt_ms, entry.recorded_at = 0.0, None, now
        return record

    def _count_up_time(self, entry: Entry, now: int) -> None:
        if entry.reported.state in UP:
            entry.up_s += max(0, now - entry.counted_at) / NS
        entry.counted_at = now
