"""``/api/v1/profiles/{vendor}/{model}/…``: decisions, roll-outs, backtests, reports and lineage."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from collector.api.events import Name
from collector.api.forms import PageOf
from collector.api.parts import Parts
from collector.api.problem import problem
from collector.api.profile_shown import (
    shown_report,
    shown_rollout,
    shown_use,
    shown_version,
    timed,
)
from collector.api.profiles import Model, Vendor
from collector.profiles.rollouts import Wish
from collector.profiles.versions import Clash, Decision
from gateway_core.clock import NS
from gateway_core.config import Duration
from gateway_core.instant import parse_instant

EdgeId = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]
_VERSION = Field(max_length=64, examples=["1.2.0"])


def _plain(text: str) -> str:
    if any(ord(char) < 32 and char not in "\n\t" for char in text):
        raise ValueError("control characters are not text")
    return text.strip()


Comment = Annotated[str, AfterValidator(_plain), Field(max_length=4000)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    actor: Annotated[Name, Field(description="Who does it")]


class DecisionForm(_Form):
    """Why a version is approved, rejected, deprecated or withdrawn."""

    reason: Comment = ""
    successor: Annotated[str, Field(max_length=255, description="For deprecate: id or version")] = (
        ""
    )


class RolloutForm(_Form):
    """Which version goes where, and how carefully."""

    version: Annotated[str, _VERSION]
    canary: Annotated[
        str, Field(max_length=64, description="Edge that goes first; `none`: no canary")
    ] = ""
    shadow: Annotated[Duration, Field(description="How long it only compares before")] = 0.0
    hold: Annotated[Duration, Field(description="How long a stage is watched")] = 600.0
    edges: Annotated[list[EdgeId], Field(max_length=10_000, description="None given: all")] = []


class RollbackForm(_Form):
    """Why the newest roll-out is taken back."""

    version: Annotated[
        str | None, Field(max_length=64, description="Only if it is of this one")
    ] = None
    reason: Comment = ""


class PinForm(_Form):
    """Hold an edge at a version whatever is rolled out."""

    version: Annotated[str | None, Field(max_length=64, description="null: let go")] = None
    edge: Annotated[str, Field(max_length=64, description="Empty: all edges")] = ""


class BacktestForm(_Form):
    """Try a version on the raw payloads that edges kept."""

    version: Annotated[str, _VERSION]
    since: Annotated[str, Field(max_length=64, description="-24h, or RFC 3339")] = "-24h"
    limit: Annotated[int, Field(ge=1, le=10_000_000, description="Payloads of one edge")] = 100_000
    edges: Annotated[list[EdgeId], Field(max_length=10_000, description="None given: all")] = []


def life_routes(parts: Parts) -> APIRouter:
    """Return the routes of what happens to versions."""
    routes = APIRouter(prefix="/api/v1/profiles/{vendor}/{model}", tags=["profiles"])
    _decisions(routes, parts)
    _rollouts(routes, parts)
    _findings(routes, parts)
    return routes


def _decisions(routes: APIRouter, parts: Parts) -> None:
    desk = parts.desk

    @routes.post(
        "/versions/{version}/{decision}",
        summary="Decide about a version: approve, reject, deprecate or withdraw",
        responses={409: {"description": "It does not follow the version's state"}},
    )
    async def decide(
        vendor: Vendor, model: Model, version: str, decision: Decision, form: DecisionForm
    ) -> JSONResponse:
        profile = f"{vendor}/{model}"
        try:
            row = await desk.versions.decide(
                profile, version, decision, form.actor, form.reason, form.successor
            )
        except Clash as exc:
            return problem(409, "wrong_state", str(exc))
        if row is None:
            detail = f"no {profile} {version}; GET /api/v1/profiles/{profile}/versions lists them"
            return problem(404, "unknown_version", detail)
        if decision == "withdraw":
            await desk.rollouts.drop(profile, version, form.actor, form.reason)
        return JSONResponse(shown_version(row))

    @routes.post("/pin", summary="Hold an edge, or all, at a version; without version let it go")
    async def pin(vendor: Vendor, model: Model, form: PinForm) -> JSONResponse:
        profile = f"{vendor}/{model}"
        try:
            await desk.rollouts.pin(profile, form.edge, form.version, form.actor)
        except Clash as exc:
            return problem(409, "not_published", str(exc))
        return JSONResponse({"profile": profile, "edge": form.edge, "version": form.version})

    @routes.get("/history", response_model=PageOf, summary="Who did what to it, newest first")
    async def history(
        vendor: Vendor, model: Model, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> JSONResponse:
        rows = await desk.history(f"{vendor}/{model}", limit)
        return _page([row | timed(row, ("time",)) for row in rows])


def _rollouts(routes: APIRouter, parts: Parts) -> None:
    desk = parts.desk

    @routes.post("/rollout", status_code=201, summary="Bring a version to edges, canary first")
    async def rollout(vendor: Vendor, model: Model, form: RolloutForm) -> JSONResponse:
        wish = Wish(
            f"{vendor}/{model}",
            form.version,
            form.canary,
            tuple(form.edges),
            round(form.shadow * NS),
            round(form.hold * NS),
            form.actor,
        )
        try:
            row = await desk.rollouts.start(wish)
        except Clash as exc:
            return problem(409, "no_rollout", str(exc))
        return JSONResponse(shown_rollout(row), 201)

    @routes.post(
        "/rollback", summary="Take the newest roll-out back; edges return with their next poll"
    )
    async def rollback(vendor: Vendor, model: Model, form: RollbackForm) -> JSONResponse:
        try:
            row = await desk.rollouts.roll_back(
                f"{vendor}/{model}", form.actor, form.reason, form.version
            )
        except Clash as exc:
            return problem(409, "no_rollout", str(exc))
        return JSONResponse(shown_rollout(row))

    @routes.get("/rollouts", summary="Roll-outs, newest first, pins, and what each edge runs")
    async def rollouts(vendor: Vendor, model: Model) -> JSONResponse:
        profile = f"{vendor}/{model}"
        rows = await desk.rollouts.of(profile)
        pins = await desk.rollouts.pins_of(profile)
        edges = [each | timed(each, ("asked",)) for each in await desk.whereabouts(profile)]
        return JSONResponse(
            {
                "items": [shown_rollout(row) for row in rows],
                "pins": [row | timed(row, ("time",)) for row in pins],
                "edges": edges,
                "next": None,
            }
        )

    @routes.post("/backtest", status_code=202, summary="Try a version on what edges kept")
    async def backtest(vendor: Vendor, model: Model, form: BacktestForm) -> JSONResponse:
        task = f"bt-{secrets.token_hex(8)}"
        try:
            since = parse_instant(form.since, parts.clock())
        except (ValueError, OverflowError) as exc:
            return problem(400, "bad_time", str(exc))
        try:
            asked = await desk.rollouts.backtest(
                task,
                f"{vendor}/{model}",
                form.version,
                form.edges,
                max(since, 0),
                form.limit,
                form.actor,
            )
        except Clash as exc:
            return problem(409, "no_backtest", str(exc))
        return JSONResponse({"task": task, "edges": asked}, 202)


def _findings(routes: APIRouter, parts: Parts) -> None:
    desk = parts.desk

    @routes.get("/reports", response_model=PageOf, summary="What edges said, newest first")
    async def reports(
        vendor: Vendor,
        model: Model,
        kind: Literal["applied", "failed", "running", "shadow", "backtest"] | None = None,
        task: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> JSONResponse:
        rows = await desk.reports.of(f"{vendor}/{model}", kind=kind, task=task, limit=limit)
        return _page([shown_report(row) for row in rows])

    @routes.get("/backtests/{task}", summary="A backtest: which edges are done, what they found")
    async def tested(vendor: Vendor, model: Model, task: str) -> JSONResponse:
        rows = [r for r in await desk.reports.task(task) if r["profile"] == f"{vendor}/{model}"]
        if not rows:
            return problem(404, "unknown_task", f"no backtest {task} of {vendor}/{model}")
        said = await desk.reports.of(f"{vendor}/{model}", task=task, limit=1000)
        waiting = [row["edge"] for row in rows if row["done"] is None]
        body = {"task": task, "version": rows[0]["version"], "waiting": waiting}
        return JSONResponse(body | {"reports": [shown_report(row) for row in said]})

    @routes.get("/uses", response_model=PageOf, summary="When edges began with which version")
    async def uses(
        vendor: Vendor,
        model: Model,
        edge: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> JSONResponse:
        rows = await desk.lineage.of(f"{vendor}/{model}", edge, limit)
        return _page([shown_use(row) for row in rows])

    @routes.get("/lineage", summary="Which version decoded a point of an edge")
    async def lineage(
        vendor: Vendor,
        model: Model,
        edge: Annotated[str, Query(max_length=64)],
        seq: Annotated[
            int | None, Query(ge=0, description="Its number in the edge's spool: exact")
        ] = None,
        epoch: Annotated[str | None, Query(max_length=64, description="Of that spool")] = None,
        at: Annotated[
            str | None,
            Query(max_length=64, description="When the edge received it, instead of seq"),
        ] = None,
    ) -> JSONResponse:
        profile = f"{vendor}/{model}"
        if (seq is None) == (at is None):
            return problem(422, "bad_request", "give seq, or at")
        if seq is not None:
            row = await desk.lineage.at(edge, profile, seq, epoch)
        else:
            try:
                row = await desk.lineage.when(edge, profile, parse_instant(at or "", parts.clock()))
            except (ValueError, OverflowError) as exc:
                return problem(400, "bad_time", str(exc))
        if row is None:
            detail = f"edge {edge} did not say which version of {profile} it used then"
            return problem(404, "unknown_lineage", detail)
        return JSONResponse(shown_use(row))


def _page(items: list[dict[str, Any]]) -> JSONResponse:
    return JSONResponse({"items": items, "next": None})
