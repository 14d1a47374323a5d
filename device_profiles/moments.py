"""A device's own time: from what it sent to nanoseconds since 1970, when that is believable."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from device_profiles.durations import duration_ns
from gateway_core.clock import NS

EARLIEST = 946_771_200 * NS
"""2000-01-02: clocks that were never set stand at 1970-01-01 or 2000-01-01."""

LATEST = 2**63 - 1

_DAY_AHEAD = "1d"
_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d{2})")
_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?"
)
_BCD = re.compile(r"\d{12}")
_MILLISECONDS_FROM = 100_000_000_000  # as seconds this is the year 5138
_SECONDS_TO = float(2**33)  # a double holds the microseconds of this many seconds exactly

ReadTime = Callable[[Any], int | None]
"""From a decoded value to nanoseconds; None when it is not a time of that format."""


Instant = Callable[[Any, int], int]
"""From a decoded value and the receive time to the time that counts."""


class TimeFault(Exception):
    """The profile's time zone is not known."""


def parse_zone(text: str) -> tzinfo:
    """Return the zone of ``8:00``, ``+05:30``, ``UTC``, ``Z`` or a name such as ``Asia/Shanghai``.

    Raises:
        TimeFault: None of these.
    """
    if text in ("UTC", "Z"):
        return UTC
    found = _OFFSET.fullmatch(text)
    if found is not None:
        delta = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if delta < timedelta(hours=24):
            return timezone(-delta if found[1] == "-" else delta)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise TimeFault(
            f"expected an offset such as '8:00' or a name such as 'Asia/Shanghai', found {text!r}"
        ) from exc


def compile_read(form: str | None, zone: tzinfo | None) -> ReadTime:
    """Return the reader of one format; without one, numbers are Unix time and text RFC 3339."""
    if form == "unix":
        return _unix
    if form == "unix_ms":
        return _unix_ms
    if form == "bcd_yymmddhhmmss":
        return _bcd(zone or UTC)
    rfc3339 = _rfc3339(zone)
    if form == "rfc3339":
        return rfc3339

    def read_any(value: Any) -> int | None:
        kind = type(value)
        if kind is int and -_MILLISECONDS_FROM < value < _MILLISECONDS_FROM:
            seconds: int = value * NS
            return seconds
        if kind is float and -_SECONDS_TO < value < _SECONDS_TO:
            micros: int = round(value * 1e6)  # as `_unix`: nearly all are such
            return micros * 1000
        if kind is str:
            return rfc3339(value)
        if kind is int or (kind is float and abs(value) >= _MILLISECONDS_FROM):
            return _unix_ms(value)
        return _unix(value)

    return read_any


def _unix(value: Any) -> int | None:
    if type(value) is int:
        return value * NS
    if type(value) is not float or not -_SECONDS_TO < value < _SECONDS_TO:
        return None
    return round(value * 1e6) * 1000  # a double of today's seconds holds microseconds, no more


def _unix_ms(value: Any) -> int | None:
    if type(value) is int:
        return value * 1_000_000
    if type(value) is not float or not -_SECONDS_TO < value / 1000 < _SECONDS_TO:
        return None
    return round(value * 1000) * 1000


def _rfc3339(zone: tzinfo | None) -> ReadTime:
    def read(value: Any) -> int | None:
        found = _STAMP.fullmatch(value) if type(value) is str and len(value) <= 64 else None
        if found is None:
            return None
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        where = _zone_of(found[8], zone)
        if where is None:
            return None
        leap = second == 60  # a leap second is the first instant of the next minute
        return _instant(
            (year, month, day, hour, minute, 59 if leap else second), where, leap, found[7]
        )

    return read


def _zone_of(text: str | None, default: tzinfo | None) -> tzinfo | None:
    if text is None:
        return default
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:
        return None
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if text[0] == "-" else delta)


def _instant(
    parts: tuple[int, int, int, int, int, int],
    where: tzinfo,
    leap: bool = False,  # noqa: FBT001, FBT002 - one caller, next to its meaning
    fraction: str | None = None,
) -> int | None:
    try:
        moment = datetime(*parts, tzinfo=where)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    nanos = int((fraction or "0").ljust(9, "0"))
    return (since.days * 86400 + since.seconds + leap) * NS + nanos


def _bcd(zone: tzinfo) -> ReadTime:
    def read(value: Any) -> int | None:
        if type(value) is not str or not _BCD.fullmatch(value):
            return None
        year, month, day, hour, minute, second = (int(value[i : i + 2]) for i in range(0, 12, 2))
        return _instant((2000 + year, month, day, hour, minute, second), zone)

    return read


class _Receipts:
    """What decoders share about the receive times they are given.

    Attributes:
        trusted: Whether a device's own time may be held against them; an edge whose clock is not
            set says no while it reads, so that a device which knows the time is believed.
        replaced: How many times of devices were not believed, ever.
    """

    __slots__ = ("replaced", "trusted")

    def __init__(self) -> None:
        self.trusted = True
        self.replaced = 0


RECEIPTS = _Receipts()


class Believed:
    """Decides between a device's time and the receive time.

    Attributes:
        max_age: Nanoseconds that a device's time may lie behind; None for no limit.
        max_ahead: Nanoseconds that it may lie ahead.
        behind: The least that it may lie ahead, below 0: it lies behind then.
    """

    __slots__ = ("behind", "max_age", "max_ahead")

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.max_age = duration_ns(spec["max_age"]) if "max_age" in spec else None
        self.max_ahead = duration_ns(spec.get("max_ahead", _DAY_AHEAD))
        self.behind = -LATEST if self.max_age is None else -self.max_age

    def __call__(self, time: int | None, received: int) -> int:
        """Return ``time`` when it is believable, else ``received``.

        A ``received`` of 0 means "not known" (a test vector without ``at``): any time counts.
        """
        if time is None:
            return received
        if not EARLIEST <= time <= LATEST:
            RECEIPTS.replaced += 1
            return received
        ahead = time - received
        if received and (ahead > self.max_ahead or ahead < self.behind) and RECEIPTS.trusted:
            RECEIPTS.replaced += 1
            return received
        return time

    def history(self, time: int | None, received: int) -> int | None:
        """Return a stored sample's time: it may be old, but not unset and not ahead."""
        if time is None or not EARLIEST <= time <= LATEST:
            return None
        ahead = received and time - received > self.max_ahead and RECEIPTS.trusted
        return None if ahead else time


def compile_instant(read: ReadTime, believed: Believed) -> Instant:
    """Return ``believed(read(value), received)`` as one function."""
    ahead, behind = believed.max_ahead, believed.behind

    def instant(value: Any, received: int) -> int:
        time = read(value)
        if time is None:
            return received
        if EARLIEST <= time <= LATEST and (
            not received or behind <= time - received <= ahead or not RECEIPTS.trusted
        ):
            return time
        RECEIPTS.replaced += 1
        return received

    return instant
