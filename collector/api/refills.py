"""``/api/v1/edges/{edge}/refill``: what an edge is asked to send again, and how far that is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from collector.api.parts import Parts
from collector.api.problem import problem
from collector.refill import Request
from gateway_core.errors import PayloadError
from gateway_core.instant import parse_instant, to_rfc3339

Edge = Annotated[str, Path(max_length=64, description="As /api/v1/edges lists it")]


class RefillForm(BaseModel):
    """A window that an edge is asked for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"since": "-24h"}]})

    since: Annotated[str | int | float, Field(description="RFC 3339, -24h, or a number")]
    until: Annotated[str | int | float, Field(description="As since")] = "now"
    again: Annotated[
        bool,
        Field(description="Give the time-series store what is here already, too: it lost data"),
    ] = False


def refill_routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/edges", tags=["operations"])

    def lacking(edge: str) -> int | None:
        found = (each.missing for each in parts.contacts() if each.edge == edge)
        return next(found, None)

    def unknown(edge: str) -> JSONResponse:
        detail = f"edge {edge!r} has never uploaded; GET /api/v1/edges lists those that have"
        return problem(404, "unknown_edge", detail)

    @routes.get("/{edge}/refill", summary="What an edge is asked for, and how far that is")
    async def shown(edge: Edge) -> JSONResponse:
        missing = lacking(edge)
        if missing is None:
            return unknown(edge)
        items = [_item(each) for each in parts.refills.of(edge)]
        return JSONResponse({"edge": edge, "missing": missing, "items": items})

    @routes.post("/{edge}/refill", summary="Ask an edge to send a window again", status_code=201)
    async def asked(edge: Edge, form: RefillForm) -> JSONResponse:
        if lacking(edge) is None:
            return unknown(edge)
        now = parts.clock()
        try:
            since, until = parse_instant(form.since, now), parse_instant(form.until, now)
        except (ValueError, OverflowError) as exc:
            raise PayloadError("bad_time", str(exc)) from exc
        if since >= until:
            return problem(400, "bad_time", "since must lie before until")
        made = await parts.refills.ask(edge, since, until, again=form.again)
        return JSONResponse(_item(made), 201)

    @routes.delete("/{edge}/refill/{name}", summary="Ask no more for a window")
    async def cancelled(edge: Edge, name: Annotated[str, Path(max_length=64)]) -> JSONResponse:
        found = parts.refills.open(edge, name)
        if found is None:
            detail = "no open request of that id; GET /api/v1/edges/{edge}/refill lists them"
            return problem(404, "unknown_request", detail)
        return JSONResponse(_item(await parts.refills.cancel(found)))

    return routes


def _item(request: Request) -> dict[str, Any]:
    said = request.progress
    return {
        "id": request.id,
        "since": to_rfc3339(request.since),
        "until": to_rfc3339(request.until),
        "again": request.again,
        "asked": to_rfc3339(request.asked),
        "ended": to_rfc3339(request.ended) if request.ended else None,
        "done": said.done,
        "whole": said.whole,
        "gone": said.gone,
        "records": request.records,
    }
