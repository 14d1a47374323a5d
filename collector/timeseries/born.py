"""When a time-series server was started, as its own metrics say: whether it forgot what it took."""

from __future__ import annotations

import re

import structlog

from collector.timeseries.web import open_web

log = structlog.get_logger()

_STARTED = re.compile(r"^process_start_time_seconds(?:\{[^}]*\})? (\S+)", re.MULTILINE)
_TIMEOUT_S = 10.0


async def born(url: str) -> str:
    """Return what differs after a restart; empty where the server does not say.

    VictoriaMetrics says it to the second.

    Raises:
        Unavailable: It does not answer.
    """
    async with open_web(url, timeout_s=_TIMEOUT_S) as web:
        answer = await web.send("GET", "/metrics")
    found = _STARTED.search(answer.body.decode(errors="replace")) if answer.status == 200 else None
    if found is None:
        log.warning("store_start_unknown", url=url, why="its /metrics does not say")
        return ""
    return found[1]
