"""``/api/v1/edges``, ``/devices``, ``/feeds``, ``/systems``, ``/alarms``: what is known now."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from collector.api.forms import PageOf
from collector.api.overview import alarm, connected, overview
from collector.api.parts import Parts
from collector.api.problem import problem
from collector.registry.registry import Filter
from collector.registry.rows import Row
from gateway_core.instant import to_rfc3339
from gateway_core.model import SystemState

_TIMES = ("since", "first_seen", "last_seen", "judged", "planned")
_OURS = ("seq", "online", "silent", "counted")

DeviceState = Literal["online", "silent", "offline", "unknown"]
Edge = Annotated[str | None, Query(max_length=64)]
Area = Annotated[str | None, Query(max_length=64, description="This code or below")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Q = Annotated[str | None, Query(max_length=255, description="Part of id or name")]
Cursor = Annotated[str | None, Query(max_length=1024)]
State = Annotated[
    str | None,
    Query(max_length=16, description="As it is shown; stale: the edge is out of contact"),
]


def listing_routes(parts: Parts) -> APIRouter:
    """Return the routes of every list."""
    routes = APIRouter(prefix="/api/v1", tags=["lists"])

    @routes.get("/status", summary="Totals, edges with lag, backlog and residual, last readings")
    async def status() -> JSONResponse:
        return JSONResponse(await overview(parts))

    @routes.get("/edges", response_model=PageOf, summary="Every edge that was heard from")
    async def edges(
        edge: Edge = None,
        area: Area = None,
        state: Literal["connected", "stale", "unknown"] | None = None,
        q: Annotated[str, Query(max_length=255, description="Part of the id")] = "",
        limit: Limit = 100,
        cursor: Annotated[str, Query(max_length=64, description="next of the page before")] = "",
    ) -> JSONResponse:
        near = None if area is None else await parts.registry.edges_in(area)
        found = [
            each
            for each in (await overview(parts))["edges"]
            if edge in {None, each["id"]}
            and state in {None, each["state"]}
            and (near is None or each["id"] in near)
            and q.lower() in each["id"]
            and each["id"] > cursor
        ]
        page = found[:limit]
        following = page[-1]["id"] if len(found) > limit else None
        return JSONResponse({"items": page, "next": following})

    @routes.get("/alarms", response_model=PageOf, summary="Alarms raised now, newest first")
    async def alarms(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> JSONResponse:
        rows = await parts.registry.alarms(limit)
        return JSONResponse({"items": [alarm(row) for row in rows], "next": None})

    @routes.get("/devices/{device:path}", summary="Registry entry, latest values, last seen")
    async def device(
        device: Annotated[str, Path(max_length=255)],
        edge: Annotated[str | None, Query(max_length=64)] = None,
    ) -> JSONResponse:
        row = await parts.registry.device(device, edge)
        if row is None:
            detail = f"no device {device!r} was ever listed or heard; GET /api/v1/devices?q="
            return problem(404, "unknown_device", detail)
        return JSONResponse(_item(row, connected(parts)))

    _add_list(routes, parts, "devices", DeviceState)
    _add_list(routes, parts, "systems", SystemState)
    return routes


def _add_list(
    routes: APIRouter, parts: Parts, kind: Literal["devices", "systems"], states: Any
) -> None:
    known = (*get_args(states), "stale")

    async def page(
        edge: Edge = None,
        area: Area = None,
        state: State = None,
        q: Q = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> JSONResponse:
        wanted = Filter(edge, area, state, q, limit, cursor)
        return refused_state(state, known) or await page_of(parts, kind, wanted)

    routes.add_api_route(
        f"/{kind}", page, response_model=PageOf, summary=f"{kind.capitalize()}, page by page"
    )


async def page_of(parts: Parts, kind: str, wanted: Filter) -> JSONResponse:
    """Return one page; a state is the one that is shown, ``stale`` of an edge out of contact."""
    here = connected(parts)
    if wanted.state == "stale":
        wanted = replace(wanted, state=None, not_of=here)
    elif wanted.state is not None:
        wanted = replace(wanted, of=here)
    found = await parts.registry.page(kind, wanted)
    return JSONResponse({"items": [_item(row, here) for row in found.rows], "next": found.next})


def refused_state(state: str | None, known: Sequence[str]) -> JSONResponse | None:
    """Return the problem with a state that nothing is ever in; None when there is none."""
    if state in {None, *known}:
        return None
    near = difflib.get_close_matches(str(state), known, 1) or [", ".join(known)]
    return problem(400, "unknown_state", f"no state {state!r}; did you mean {near[0]}?")


def _item(row: Row, here: Sequence[str]) -> dict[str, Any]:
    """Return a row as people see it: times as RFC 3339, each latest value with its own.

    Of an edge out of contact, ``state`` is ``stale``; ``last_state`` is what it last said.
    """
    item = {key: value for key, value in row.items() if key not in _OURS}
    item["last_state"] = row["state"]
    if row["edge"] not in here:
        item["state"] = "stale"
    for key in _TIMES:
        if item.get(key) is not None:
            item[key] = to_rfc3339(item[key])
    if "latest" in item:
        item["latest"] = {
            measurement: {
                field: {"value": value, "time": to_rfc3339(time)}
                for field, (value, time) in fields.items()
            }
            for measurement, fields in item["latest"].items()
        }
    return item
