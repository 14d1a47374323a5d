"""What the registry cannot hold, and why, before it reaches a database. Pure.

The limits are the same for SQLite, which would take anything, and for PostgreSQL, which would
refuse the whole batch; codes are those of docs/reference/formats/series.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from gateway_core.model import (
    Alarm,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    Record,
    SystemHealth,
    Value,
)

EDGE_CHARS, ID_CHARS, RULE_CHARS, AREA_CHARS, NAME_CHARS = 64, 255, 64, 64, 255
GROUP_CHARS, GB_CODE_CHARS = 128, 20
VERSION_CHARS = 64
MARK_CHARS = 64
TEXT_CHARS = 65_536
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
COUNT_MAX = 2**31 - 1
_NAMES = 50_000
"""Names whose judgement is remembered: a device's readings all have the same."""

Fault = tuple[str, str]
"""A stable code, and which part of the record it is about."""


def judge(record: Record) -> Fault | None:
    """Return why no registry can hold ``record``; None when it can."""
    fault = _text("edge", record.edge, EDGE_CHARS) or _whole("time", record.time)
    if fault is not None:
        return fault
    match record:
        case Reading():
            return _reading(record)
        case FeedHealth():
            return _id("feed", record.feed) or _health(record)
        case SystemHealth():
            return _id("system", record.system) or _health(record)
        case Alarm():
            return _alarm(record)
        case Listed():
            return (
                _id(record.kind, record.id)
                or _text("profile", record.profile, ID_CHARS)
                or _text("area", record.area, AREA_CHARS)
                or _text("group", record.group, GROUP_CHARS)
                or _text("gb_code", record.gb_code, GB_CODE_CHARS)
                or _finite("lat", record.lat)
                or _finite("lon", record.lon)
            )
        case Loss():
            return None if 0 <= record.last - record.first < INT_MAX else ("int_range", "last")
        case ProfileUse():
            return (
                _id("profile", record.profile)
                or _text("version", record.version, VERSION_CHARS)
                or _text("previous", record.previous, VERSION_CHARS)
                or _text("sha256", record.sha256, VERSION_CHARS)
            )


def shown_name(name: str) -> str:
    """Return a name for people as the registry keeps it: printable, at most 255 characters."""
    return "".join(char for char in name[: 2 * NAME_CHARS] if char.isprintable())[:NAME_CHARS]


@lru_cache(_NAMES)
def of_device(edge: str, device: str) -> Fault | None:
    """Return why no registry can hold a device of this name; None when it can."""
    return _text("edge", edge, EDGE_CHARS) or _id("device", device)


def of_kind(name: str) -> Fault | None:
    """Return why no registry can hold readings of this profile or measurement."""
    return _text("profile", name, ID_CHARS)


def _reading(reading: Reading) -> Fault | None:
    fault = (
        _id("device", reading.device)
        or _text("profile", reading.profile, ID_CHARS)
        or _text("measurement", reading.measurement, ID_CHARS)
        or _whole("received", reading.received)
    )
    if fault is not None:
        return fault
    for name, value in reading.fields.items():
        fault = _value(name, value)
        if fault is not None:
            return fault
    return None


def _value(name: str, value: Value) -> Fault | None:
    if type(value) is float:
        return None if value - value == 0.0 else ("not_finite", name)
    if type(value) is int:
        return _whole(name, value)
    if type(value) is str:
        return None if len(value) <= TEXT_CHARS and "\0" not in value else ("bad_text", name)
    return None


def _health(health: FeedHealth | SystemHealth) -> Fault | None:
    for what, count in (("checks", health.checks), ("failures", health.failures)):
        if not 0 <= count <= COUNT_MAX:
            return "int_range", what
    return (
        _finite("rtt_ms", health.rtt_ms)
        or _plain("faults", health.faults)
        or _text("mark", health.mark, MARK_CHARS)
    )


def _alarm(alarm: Alarm) -> Fault | None:
    return (
        _id("device", alarm.device)
        or _text("rule", alarm.rule, RULE_CHARS)
        or _text("profile", alarm.profile, ID_CHARS)
        or _plain("text", (*alarm.text, *alarm.text.values()))
        or _text("mark", alarm.mark, MARK_CHARS)
    )


def _id(what: str, text: str) -> Fault | None:
    return _text(what, text, ID_CHARS) if text else ("empty_name", what)


@lru_cache(_NAMES)
def _text(what: str, text: str, chars: int) -> Fault | None:
    if len(text) > chars:
        return "too_long", f"{what}: more than {chars} characters"
    if not text.isprintable() and any(ord(char) < 32 or ord(char) == 127 for char in text):
        return "control_character", what
    return None


def _plain(what: str, texts: Iterable[str]) -> Fault | None:
    fits = all(len(text) <= TEXT_CHARS and "\0" not in text for text in texts)
    return None if fits else ("bad_text", what)


def _whole(what: str, value: int) -> Fault | None:
    return None if INT_MIN <= value <= INT_MAX else ("int_range", what)


def _finite(what: str, value: float | None) -> Fault | None:
    return None if value is None or value - value == 0.0 else ("not_finite", what)
