"""From evidence to verdict: pure functions over a small memory for each feed.

The rules, each one a property in the tests:

* one check that disagrees never changes a verdict, two of the last three do; only the first
  success of a feed that nothing was known about, and a fault proven by others, count at once;
* what the stream check says comes first: a fault of picture, packets or device degrades a feed
  that is online, and says nothing about one that is not;
* such a fault holds while two of its last three checks, none older than its
  `MEMORY_S`, found it;
* what a device says of itself counts at once and until it takes it back: it saw it over time, and
  there is nothing to ask a second time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from edge_agent.cameras.evidence import (
    DeviceCheck,
    EventCheck,
    Evidence,
    PictureCheck,
    SampleCheck,
    StreamCheck,
)
from edge_agent.cameras.verdict import UNKNOWN, Finding, stream_finding
from gateway_core.clock import NS

WINDOW = 3
AGREE = 2
MEMORY_S = 3 * 3600
"""Seconds after which a device, picture or packet check says nothing any more."""


NO_EVENTS = EventCheck((), 0)
_ONLINE = Finding("online")


@dataclass(frozen=True, slots=True)
class Seen:
    """The faults that one device, picture or packet check found, and when."""

    time: int
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """All that judging remembers of one feed.

    Attributes:
        verdict: What holds now.
        stream: What the stream checks argue for, after hysteresis.
        streams: The last findings of stream checks, oldest first.
        devices: The last device checks, oldest first.
        pictures: The last graded pictures, oldest first.
        samples: The last samples of the stream, oldest first.
        events: What the device says of itself.
        checked: When the last stream check ended, in nanoseconds; 0 for never.
    """

    verdict: Finding = UNKNOWN
    stream: Finding = UNKNOWN
    streams: tuple[Finding, ...] = ()
    devices: tuple[Seen, ...] = ()
    pictures: tuple[Seen, ...] = ()
    samples: tuple[Seen, ...] = ()
    events: EventCheck = NO_EVENTS
    checked: int = 0

    def unsettled(self) -> bool:
        """Whether the last stream check could be made and one more may change the verdict."""
        if not self.streams or self.streams[-1].state == "unknown":
            return False
        return any(finding.state != self.stream.state for finding in self.streams)


def judge(memory: Memory, evidence: Evidence, now: int) -> Memory:
    """Return the memory, and in it the verdict, after one more piece of evidence.

    Args:
        memory: From the call before, or ``Memory()``.
        evidence: What a check brought back.
        now: Nanoseconds since 1970.
    """
    match evidence:
        case StreamCheck():
            streams = (*memory.streams, stream_finding(evidence.outcome))[-WINDOW:]
            stream = streams[-1] if evidence.proven else _adopt(memory.stream, streams)
            memory = replace(memory, streams=streams, stream=stream, checked=now)
        case DeviceCheck():
            devices = (*memory.devices, Seen(now, evidence.faults))[-WINDOW:]
            memory = replace(memory, devices=devices)
        case PictureCheck():
            pictures = (*memory.pictures, Seen(now, evidence.faults))[-WINDOW:]
            memory = replace(memory, pictures=pictures)
        case SampleCheck() if evidence.sample is not None:
            samples = (*memory.samples, Seen(now, evidence.faults))[-WINDOW:]
            memory = replace(memory, samples=samples)
        case SampleCheck():
            pass  # what could not be listened to says nothing
        case EventCheck():
            memory = replace(memory, events=evidence)
    return replace(memory, verdict=_verdict(memory, now))


def overlay(memory: Memory, now: int, *, stale_after_s: float, maintenance: bool) -> Finding:
    """Return what to report: the verdict, unless it is too old or people are at work there.

    Args:
        memory: Of the feed.
        now: Nanoseconds since 1970.
        stale_after_s: Age in seconds beyond which a verdict is ``stale``.
        maintenance: Whether the feed is being worked on.
    """
    if maintenance:
        return Finding("maintenance")
    if memory.checked and now - memory.checked > stale_after_s * NS:
        return Finding("stale", ("not_checked",))
    return memory.verdict


def _adopt(current: Finding, recent: tuple[Finding, ...]) -> Finding:
    latest = recent[-1]
    if latest.state == current.state:
        # The same state for another reason: let the reason change only when it is seen twice.
        return latest if recent.count(latest) >= AGREE else current
    if current.state == "unknown" and latest.state == "online":
        return latest
    disagreeing = sum(finding.state != current.state for finding in recent)
    return latest if disagreeing >= AGREE else current


def _verdict(memory: Memory, now: int) -> Finding:
    if memory.stream.state != "online":
        return memory.stream
    told = memory.events.faults if now <= memory.events.until else ()
    faults = (
        *_lasting(memory.devices, now),
        *_lasting(memory.pictures, now),
        *_lasting(memory.samples, now),
        *told,
    )
    return Finding("degraded", faults) if faults else _ONLINE


def _lasting(seen: tuple[Seen, ...], now: int) -> tuple[str, ...]:
    fresh = [each for each in seen if now - each.time <= MEMORY_S * NS]
    counts = Counter(fault for each in fresh for fault in set(each.faults))
    return tuple(sorted(fault for fault, count in counts.items() if count >= AGREE))
