"""``/api/v1/feeds``: every feed that is planned or was seen, and the city's figures on them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from collector.api.forms import PageOf
from collector.api.listings import Area, Cursor, Edge, Limit, Q, State, page_of, refused_state
from collector.api.overview import connected
from collector.api.parts import Parts
from collector.api.problem import problem
from collector.registry.condition import KEPT_DAYS
from collector.registry.figures import AMOUNTS, RATES, Figures, total
from collector.registry.kpi import By, Cut, parse_day, shown_day
from collector.registry.registry import Filter
from gateway_core.instant import to_rfc3339
from gateway_core.model import FeedState

_STATES = (*get_args(FeedState), "stale")
_MS_PER_S = 1000
Day = Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}$", description="YYYY-MM-DD")]


def feed_routes(parts: Parts) -> APIRouter:
    """Return the routes on feeds."""
    routes = APIRouter(prefix="/api/v1", tags=["lists"])

    @routes.get("/feeds", response_model=PageOf, summary="Feeds, page by page")
    async def feeds(  # noqa: PLR0913, PLR0917  # one for each filter of the URL
        edge: Edge = None,
        area: Area = None,
        state: State = None,
        owner: Annotated[str | None, Query(max_length=128)] = None,
        group: Annotated[str | None, Query(max_length=128)] = None,
        gb_code: Annotated[str | None, Query(max_length=20, description="GB/T 28181")] = None,
        fault: Annotated[
            str | None, Query(pattern="^[a-z0-9_]{1,64}$", description="For example clock_skew")
        ] = None,
        plan: Annotated[
            Literal["planned", "missing", "unplanned"] | None,
            Query(description="missing: planned and never seen; unplanned: seen, not planned"),
        ] = None,
        q: Q = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> JSONResponse:
        wanted = Filter(edge, area, state, q, limit, cursor)
        wanted = replace(wanted, owner=owner, group=group, gb_code=gb_code, fault=fault, plan=plan)
        return refused_state(state, _STATES) or await page_of(parts, "feeds", wanted)

    @routes.get(
        "/feeds/kpi",
        summary="Online, intact, picture and clock rates, now in feeds, or over days in seconds",
        responses={200: {"content": {"application/json": {}, "text/csv": {}}}},
    )
    async def kpi(
        request: Request,
        by: By = "area",
        area: Annotated[str, Query(max_length=64, description="This code or below")] = "",
        digits: Annotated[
            int, Query(ge=0, le=64, description="Characters of an area's code; 0: the next level")
        ] = 0,
        day: Day = None,
        since: Day = None,
        until: Day = None,
    ) -> Response:
        if area and by in {"owner", "group"}:
            return problem(400, "bad_cut", "area goes with by=area, edge or day; leave one out")
        cut = Cut(by, area, digits)
        now = parts.clock()
        try:
            window = _window(day, since, until, parts.kpis.day(now), by)
        except ValueError as exc:
            return problem(400, "bad_day", str(exc))
        if window is None:
            found = await parts.kpis.now(cut, connected(parts))
            head: dict[str, Any] = {"by": by, "unit": "feeds", "at": to_rfc3339(now)}
        else:
            found = await parts.kpis.over(cut, *window, now)
            first, last = map(shown_day, window)
            head = {"by": by, "unit": "seconds", "since": first, "until": last}
        scale = 1 if window is None else _MS_PER_S
        items = [_item(key, figures, scale) for key, figures in found.items()]
        if "text/csv" in request.headers.get("accept", ""):
            return Response(_csv(items), media_type="text/csv; charset=utf-8")
        whole = _item("", total(found.values()), scale)
        return JSONResponse(head | {"items": items, "total": whole})

    return routes


def _window(
    day: str | None, since: str | None, until: str | None, today: int, by: str
) -> tuple[int, int] | None:
    """Return first and last day; None: now.

    Raises:
        ValueError: They name no window that there are figures for.
    """
    if day is not None:
        if since is not None or until is not None:
            raise ValueError("give day, or since and until")
        since = until = day
    if since is None and until is None:
        if by == "day":
            raise ValueError("by=day needs since (and until); for example since=2026-01-01")
        return None
    last = today if until is None else parse_day(until)
    first = last if since is None else parse_day(since)
    if not 0 <= last - first <= KEPT_DAYS:
        raise ValueError(f"since must not be after until, and at most {KEPT_DAYS} days before it")
    return first, last


def _item(key: str, figures: Figures, scale: int) -> dict[str, Any]:
    amounts = figures.amounts()
    shown = amounts if scale == 1 else {name: ms / scale for name, ms in amounts.items()}
    return {"key": key, **shown, **figures.rates()}


def _csv(items: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    columns = ("key", *AMOUNTS, *RATES)
    writer.writerow(columns)
    writer.writerows([["" if item[c] is None else item[c] for c in columns] for item in items])
    return out.getvalue()
