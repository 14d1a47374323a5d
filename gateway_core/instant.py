"""Instants as people write them, to nanoseconds and back. Pure."""

from __future__ import annotations

import datetime as dt
import re

from gateway_core.clock import NS
from gateway_core.units import parse_duration

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|z|[+-]\d\d:\d\d)"
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_PLAIN = 10**11
"""A bare number below it is seconds since 1970, above it nanoseconds."""


def to_rfc3339(time_ns: int) -> str:
    """Return RFC 3339 in UTC with as many digits of the second as are needed (0, 3, 6 or 9)."""
    seconds, rest = divmod(time_ns, NS)
    text = (_EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    if not rest:
        return f"{text}Z"
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}Z"


def parse_instant(text: str | float, now_ns: int) -> int:
    """Return nanoseconds since 1970.

    Args:
        text: RFC 3339 with an offset; ``now``; ``-1h`` (that long before now); a number.
        now_ns: What ``now`` is.

    Raises:
        ValueError: None of these.
    """
    if isinstance(text, int | float):
        return int(text) if abs(text) >= _PLAIN else int(text * NS)
    text = text.strip()
    if text == "now":
        return now_ns
    if text[:1] in {"-", "+"} and not text[1:].isdigit():
        shift = parse_every(text[1:])
        return now_ns - shift if text[0] == "-" else now_ns + shift
    if text.lstrip("-").isdigit():
        return parse_instant(int(text), now_ns)
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"expected 2026-01-31T08:00:00+08:00, now or -1h, found {text!r}")
    *parts, fraction, offset = found.groups()
    year, month, day, hour, minute, second = map(int, parts)
    leap = second == 60  # RFC 3339 allows it; the clock of 1970 does not count it
    moment = dt.datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=dt.UTC)
    seconds = (moment - _EPOCH) // dt.timedelta(seconds=1) + leap
    if offset not in {"Z", "z"}:
        away = int(offset[1:3]) * 3600 + int(offset[4:6]) * 60
        seconds -= away if offset[0] == "+" else -away
    return seconds * NS + int((fraction or "").ljust(9, "0") or 0)


def parse_every(text: str | float) -> int:
    """Return the nanoseconds of a duration such as ``5m``.

    Raises:
        ValueError: It is not a duration.
    """
    return round(parse_duration(text) * NS)
