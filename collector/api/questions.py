"""``POST /api/v1/query``: one question to the time-series store, as JSON, CSV or Arrow."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from collector.api.forms import QueryForm
from collector.api.parts import Parts
from collector.query import Table
from collector.timeseries.render import to_arrow_stream, to_csv, to_json

ARROW = "application/vnd.apache.arrow.stream"
_FORMS = {
    "application/json": "json",
    "json": "json",
    "text/csv": "csv",
    "csv": "csv",
    ARROW: "arrow",
    "arrow": "arrow",
}
"""What `Accept` may name; the first that is known counts."""


def question_routes(parts: Parts) -> APIRouter:
    """Return the routes that ask the time-series store."""
    routes = APIRouter(prefix="/api/v1", tags=["time series"])

    @routes.post(
        "/query",
        summary="Raw points, or aggregates over windows, of one measurement",
        responses={
            200: {
                "description": "columns, rows and the cursor of the next page; Accept chooses",
                "content": {"application/json": {}, "text/csv": {}, ARROW: {}},
            }
        },
    )
    async def query(form: QueryForm, request: Request) -> Response:
        table = await parts.timeseries.query(form.query(parts.clock()))
        return await asyncio.to_thread(_render, table, request.headers.get("accept", ""))

    @routes.get("/measurements", summary="What can be asked for, with tags and typed fields")
    async def measurements() -> JSONResponse:
        found = await parts.timeseries.measurements()
        return JSONResponse(
            {"items": [{"name": m.name, "tags": m.tags, "fields": m.fields} for m in found]}
        )

    return routes


def _render(table: Table, accept: str) -> Response:
    following = {"X-Next-Cursor": table.next} if table.next else None
    match next((_FORMS[each] for each in _named(accept) if each in _FORMS), "json"):
        case "csv":
            csv = to_csv(table)
            return Response(csv, media_type="text/csv; charset=utf-8", headers=following)
        case "arrow":
            return Response(to_arrow_stream(table), media_type=ARROW, headers=following)
        case _:
            return Response(to_json(table), media_type="application/json")


def _named(accept: str) -> list[str]:
    return [each.partition(";")[0].strip().lower() for each in accept.split(",")]
