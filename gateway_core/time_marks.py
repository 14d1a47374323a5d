"""What is known against the times of a record: marks. Pure.

A mark says that the edge's clock, and with it the receive time, was not to be trusted when the
record was made, that it was put right later, or that a device's own time was not believable. A
record without one has times that nothing speaks against (docs/reference/clocks.md). A reading has
its marks among its flags, an alarm or a verdict in an attribute of its own.
"""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

from msgspec import structs

from gateway_core.clock import NS, Clock
from gateway_core.model import (
    Alarm,
    FeedHealth,
    Loss,
    ProfileUse,
    Reading,
    Record,
    SystemHealth,
)

Trouble = Literal["unset", "jumped", "unsynced"]
"""What may be wrong with an edge's clock; each is a mark."""

FIELD = "clock_mark"
"""The field that tells the mark in a time-series store; a point without one has no mark."""

_FLAG = "time:"
REPAIRED = "repaired"
REPLACED = "replaced"
_TROUBLES = frozenset(get_args(Trouble))
MARKS = frozenset((*_TROUBLES, REPAIRED, REPLACED))
_DOUBTS = frozenset(_FLAG + mark for mark in _TROUBLES)
FLAGS = frozenset(_FLAG + mark for mark in MARKS)

_TAKEN_NS = 100_000
"""Readings of one message that have no time of their own follow its receipt this closely."""
_DAY_NS = 86_400 * NS


Judgement = Alarm | FeedHealth | SystemHealth
"""What the edge itself says at a time of its own clock."""


def mark_of(flags: tuple[str, ...]) -> str:
    """Return the marks among a reading's flags, joined by commas; empty for none."""
    return ",".join(flag[len(_FLAG) :] for flag in flags if flag in FLAGS)


MarkedT = TypeVar("MarkedT", bound=Reading | Judgement)
HeardT = TypeVar("HeardT", bound=Record)


def marked(record: MarkedT, mark: str) -> MarkedT:
    """Return the record with one mark more."""
    if isinstance(record, Reading):
        return structs.replace(record, flags=(*record.flags, _FLAG + mark))
    return structs.replace(record, mark=",".join(filter(None, (record.mark, mark))))


def doubted(judgement: Judgement) -> bool:
    """Return whether an alarm's or a verdict's time is of a clock that was not to be trusted."""
    return not _TROUBLES.isdisjoint(judgement.mark.split(","))


def heard(record: HeardT, clock: Clock) -> HeardT:
    """Return what is to be taken for the record's time where an order of times counts.

    A doubted time orders nothing: an alarm of 1970 would be older than all, one of 2099 newer than
    whatever follows. It stands where it was heard. A time of the device's own is kept.

    Args:
        record: Any.
        clock: That of who hears it; trusted.
    """
    if isinstance(record, Reading):
        if record.flags and not _DOUBTS.isdisjoint(record.flags):
            now, taken = clock(), 0 <= record.time - record.received < _TAKEN_NS
            return structs.replace(record, time=now if taken else record.time, received=now)
    elif isinstance(record, Judgement) and record.mark and doubted(record):
        return structs.replace(record, time=clock())
    return record


def replaced(reading: Reading) -> Reading:
    """Mark a reading of a message whose device time was not believed, if it has the receipt's."""
    taken = 0 <= reading.time - reading.received < _TAKEN_NS
    return marked(reading, REPLACED) if taken else reading


def instant_of(record: Record) -> int:
    """Return when the edge took a record in, by its own clock."""
    return record.received if isinstance(record, Reading) else record.time


def put_right(record: Record, by: int, trouble: str) -> Record:
    """Return a record whose times were taken from a clock that was wrong, with the right ones.

    Args:
        record: Any; a reading keeps a time that its device gave.
        by: How far the clock was behind, in nanoseconds; 0: it was right after all.
        trouble: The mark that goes; empty for none.
    """
    if isinstance(record, Judgement):
        marks = [each for each in record.mark.split(",") if each not in {trouble, ""}]
        marks += [REPAIRED] if by else []
        return structs.replace(record, time=record.time + by, mark=",".join(marks))
    if not isinstance(record, Reading):
        if not by or isinstance(record, ProfileUse):  # its time names it, at the centre too
            return record
        if isinstance(record, Loss) and record.since:
            since, until = record.since + by, record.until + by
            return structs.replace(record, time=record.time + by, since=since, until=until)
        return structs.replace(record, time=record.time + by)
    flags = tuple(flag for flag in record.flags if flag != _FLAG + trouble)
    if not by:
        return structs.replace(record, flags=flags)
    apart = record.time - record.received
    near = abs(by) // 2 if abs(by) > _DAY_NS else 0  # such a time was reckoned from the clock
    own = not 0 <= apart < _TAKEN_NS and abs(apart) >= near
    received, flags = record.received + by, (*flags, _FLAG + REPAIRED)
    time = record.time if own else record.time + by
    if own and time - received > _DAY_NS:  # nothing could be held against it before
        time, flags = received, (*flags, _FLAG + REPLACED)
    return structs.replace(record, time=time, received=received, flags=flags)
