"""``/api/v1/edges``, ``/devices``, ``/feeds``, ``/systems``, ``/alarms``: what is known now."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from collector.api.forms import PageOf
from collector.api.overview import alarm, overview
from collector.api.parts import Parts
from collector.api.problem import problem
from collector.registry.changes import Row
from collector.registry.registry import Filter
from gateway_core.instant import to_rfc3339

_TIMES = ("since", "first_seen", "last_seen", "judged")
_OURS = ("seq", "online", "silent")


def listing_routes(parts: Parts) -> APIRouter:
    """Return the routes of every list."""
    routes = APIRouter(prefix="/api/v1", tags=["lists"])

    @routes.get("/status", summary="Totals, edges with lag, backlog and residual, last readings")
    async def status() -> JSONResponse:
        return JSONResponse(await overview(parts))

    @routes.get("/edges", response_model=PageOf, summary="Every edge that was heard from")
    async def edges() -> JSONResponse:
        return JSONResponse({"items": (await overview(parts))["edges"], "next": None})

    @routes.get("/alarms", response_model=PageOf, summary="Alarms raised now, newest first")
    async def alarms(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> JSONResponse:
        rows = await parts.registry.alarms(limit)
        return JSONResponse({"items": [alarm(row) for row in rows], "next": None})

    @routes.get("/devices/{device}", summary="Registry entry, latest values, last seen")
    async def device(
        device: Annotated[str, Path(max_length=255)],
        edge: Annotated[str | None, Query(max_length=64)] = None,
    ) -> JSONResponse:
        row = await parts.registry.device(device, edge)
        if row is None:
            detail = f"no device {device!r} was ever listed or heard; GET /api/v1/devices?q="
            return problem(404, "unknown_device", detail)
        return JSONResponse(_item(row))

    for kind in ("devices", "feeds", "systems"):
        _add_list(routes, parts, kind)
    return routes


def _add_list(
    routes: APIRouter, parts: Parts, kind: Literal["devices", "feeds", "systems"]
) -> None:
    async def page(
        edge: Annotated[str | None, Query(max_length=64)] = None,
        area: Annotated[str | None, Query(max_length=64, description="This code or below")] = None,
        state: Annotated[str | None, Query(max_length=16)] = None,
        q: Annotated[str | None, Query(max_length=255, description="Part of id or name")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(max_length=1024)] = None,
    ) -> JSONResponse:
        found = await parts.registry.page(kind, Filter(edge, area, state, q, limit, cursor))
        return JSONResponse({"items": [_item(row) for row in found.rows], "next": found.next})

    routes.add_api_route(
        f"/{kind}", page, response_model=PageOf, summary=f"{kind.capitalize()}, page by page"
    )


def _item(row: Row) -> dict[str, Any]:
    """Return a row as people see it: times as RFC 3339, each latest value with its own."""
    item = {key: value for key, value in row.items() if key not in _OURS}
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
