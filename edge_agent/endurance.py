"""How long a site can go on without its collector, and when a backlog is done. Pure."""

from __future__ import annotations

import msgspec

from gateway_core.spool import Books, SpoolOptions

ALARM_BYTES = 512
"""What an alarm costs in the spool where nothing is committed with it."""


class Endurance(msgspec.Struct, frozen=True):
    """What the uplink has still to do, and how long it can be put off at the present rates.

    Attributes:
        backlog: Records that the collector does not have.
        backlog_done_s: Seconds until it has them; None while they do not become fewer.
        live_lag_s: Age of the newest records that it does not have, those of the backlog left out.
        telemetry_s: Seconds without the collector until telemetry is refused or given up; None
            when nothing comes in.
        alarms_s: Seconds until alarms are refused; None when none was raised of late.
    """

    backlog: int
    backlog_done_s: float | None
    live_lag_s: float | None
    telemetry_s: float | None
    alarms_s: float | None


def telemetry_s(books: Books, rate: float) -> float | None:
    """Return how long the spool's budget lasts if nothing gets away from now on.

    Args:
        books: Of the spool.
        rate: Records a second that come in now.
    """
    held = books.head - books.oldest + 1
    if held <= 0 or rate <= 0:
        return None
    waiting = max((each.buffered for each in books.consumers.values()), default=0)
    each_bytes = books.bytes / held
    return max(0.0, books.max_bytes - waiting * each_bytes) / (rate * each_bytes)


def alarms_s(options: SpoolOptions, telemetry: float | None, rate: float) -> float | None:
    """Return how long alarms can be kept if nothing gets away from now on.

    Where telemetry may be given up they have the whole budget in the end, else what is reserved
    for them once telemetry is refused.

    Args:
        options: Of the spool.
        telemetry: As `telemetry_s` returns it.
        rate: Alarms a second of late.
    """
    if rate <= 0:
        return None
    own = options.reserve / 2
    if options.when_full == "evict":
        return (options.max_bytes + own) / (rate * ALARM_BYTES)
    return None if telemetry is None else telemetry + own / (rate * ALARM_BYTES)


def done_s(backlog: int, grows: float) -> float | None:
    """Return when a backlog is done that grows by so many records a second."""
    if not backlog:
        return 0.0
    return backlog / -grows if grows < 0 else None
