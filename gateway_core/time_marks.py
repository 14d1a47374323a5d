"""What is known against the times of a record: marks among a reading's flags. Pure.

A mark says that the edge's clock, and with it the receive time, was not to be trusted when the
reading came, that it was put right later, or that the device's own time was not believable. A
reading without one has times that nothing speaks against (docs/reference/clocks.md).
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import structs

from gateway_core.clock import NS
from gateway_core.model import Loss, ProfileUse, Reading, Record

Trouble = Literal["unset", "jumped", "unsynced"]
"""What may be wrong with an edge's clock; each is a mark."""

FIELD = "clock_mark"
"""The field that tells the mark in a time-series store; a point without one has no mark."""

_FLAG = "time:"
REPAIRED = "repaired"
REPLACED = "replaced"
MARKS = frozenset((*get_args(Trouble), REPAIRED, REPLACED))
FLAGS = frozenset(_FLAG + mark for mark in MARKS)

_TAKEN_NS = 100_000
"""Readings of one message that have no time of their own follow its receipt this closely."""
_DAY_NS = 86_400 * NS


def mark_of(flags: tuple[str, ...]) -> str:
    """Return the marks among a reading's flags, joined by commas; empty for none."""
    return ",".join(flag[len(_FLAG) :] for flag in flags if flag in FLAGS)


def marked(reading: Reading, mark: str) -> Reading:
    """Return the reading with one mark more."""
    return structs.replace(reading, flags=(*reading.flags, _FLAG + mark))


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
