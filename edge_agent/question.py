"""A question to the on-site history, as people and programs put it. Pure."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from gateway_core.errors import PayloadError
from gateway_core.instant import parse_every, parse_instant

Agg = Literal["mean", "min", "max", "sum", "count", "first", "last", "median", "p95"]
AGGS: tuple[Agg, ...] = get_args(Agg)
Format = Literal["json", "jsonl", "csv"]

MAX_LIMIT = 100_000


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Records of one kind in ``start_ns <= time < stop_ns``.

    Attributes:
        measurement: Of readings; or ``feed_health``, ``system_health``, ``alarm``, ``loss``,
            ``inventory``, ``profile_use``.
        start_ns: Nanoseconds since 1970.
        stop_ns: Nanoseconds since 1970, exclusive.
        fields: Which columns; none: all.
        where: Column to accepted values.
        every_ns: Width of windows that begin at its multiples; None for records as they are.
        agg: What to compute of each window, series and field; needs ``every_ns``.
        limit: Most rows, 1 to 100,000.
        cursor: ``next`` of the answer before.
        format: Of the answer.
    """

    measurement: str
    start_ns: int
    stop_ns: int
    fields: tuple[str, ...] = ()
    where: dict[str, tuple[str, ...]] = {}
    every_ns: int | None = None
    agg: Agg = "mean"
    limit: int = 10_000
    cursor: str | None = None
    format: Format = "json"


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /query``."""

    measurement: str
    fields: list[str] = []
    where: dict[str, list[str] | str] = {}
    start: str | int | float = "-1h"
    stop: str | int | float = "now"
    every: str | int | float | None = None
    agg: Agg | None = None
    limit: int = 10_000
    cursor: str | None = None
    format: Format = "json"


def read_question(form: dict[str, Any], now: int) -> Question:
    """Read a question.

    Args:
        form: ``{"measurement": …, "fields": […], "where": {"device": […]}, "start": "-1h",
            "stop": "now", "every": "5m", "agg": "mean", "limit": 10000, "format": "json"}``.
        now: What ``now`` is, in nanoseconds.

    Raises:
        PayloadError: ``bad_question``: it says what was expected.
    """
    try:
        asked = msgspec.convert(form, _Form)
        start, stop = parse_instant(asked.start, now), parse_instant(asked.stop, now)
        every = None if asked.every is None else parse_every(asked.every)
    except (ValueError, OverflowError) as exc:  # msgspec's errors are ValueErrors
        raise PayloadError("bad_question", str(exc)) from exc
    if not 1 <= asked.limit <= MAX_LIMIT:
        raise PayloadError("bad_question", f"limit must be 1 to {MAX_LIMIT}; more by export")
    if every is not None and every <= 0:
        raise PayloadError("bad_question", "every must be more than 0")
    if asked.agg is not None and every is None:
        raise PayloadError("bad_question", "agg needs every, for example 5m")
    return Question(
        measurement=asked.measurement,
        start_ns=start,
        stop_ns=stop,
        fields=tuple(dict.fromkeys(asked.fields)),
        where={
            name: (values,) if isinstance(values, str) else tuple(values)
            for name, values in asked.where.items()
        },
        every_ns=every,
        agg=asked.agg or "mean",
        limit=asked.limit,
        cursor=asked.cursor,
        format=asked.format,
    )
