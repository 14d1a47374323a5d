"""What edges ask of the profile registry: their plan, bundles, and a place for their reports.

On the listener for edges, with the identity that their uploads have.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from aiohttp import web

from collector.config import EDGE_ID
from collector.identity import Gatekeeper
from collector.profiles.desk import ProfileDesk
from collector.profiles.plans import TooManyEdges
from collector.reception import is_edge_id
from collector.refused import Refused
from collector.registry.database import Unfit
from device_profiles import bundle, plan
from gateway_core.meter import Meter

Body = Callable[[web.Request], AbstractAsyncContextManager[bytes]]
"""Holds a request's body, read within the listener's limits."""


def add_plan_routes(
    app: web.Application, desk: ProfileDesk, gate: Gatekeeper, body: Body, meter: Meter
) -> None:
    """Answer edges' requests about profiles."""

    async def sealed(request: web.Request) -> web.Response:
        edge = asker(request, gate)
        try:
            found = await desk.plans.of(edge)
        except TooManyEdges as exc:
            raise Refused(403, "too_many_edges", str(exc)) from exc
        headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == found.etag:
            return web.Response(status=304, headers=headers)
        meter.count("tidegate_profile_plans_sent")
        return web.Response(body=found.data, content_type=plan.CONTENT_TYPE, headers=headers)

    async def packed(request: web.Request) -> web.Response:
        asker(request, gate)
        data = await desk.versions.bundle(request.match_info["sha256"])
        if data is None:
            raise Refused(404, "no_bundle", "no version has these bytes; ask for the plan again")
        return web.Response(body=data, content_type=bundle.CONTENT_TYPE)

    async def report(request: web.Request) -> web.Response:
        edge = asker(request, gate)
        async with body(request) as data:
            said = plan.decode_report(data)
        if said.edge != edge:
            raise Refused(403, "wrong_edge", f"a report of edge {said.edge} sent by {edge}")
        try:
            await desk.take(said)
        except Unfit as exc:
            raise Refused(422, "bad_report", f"the registry cannot hold it: {exc}") from exc
        meter.count("tidegate_profile_reports", kind=said.kind)
        return web.Response(status=204)

    app.router.add_get("/v1/profiles/plan", sealed)
    app.router.add_get("/v1/profiles/bundles/{sha256:[0-9a-f]{64}}", packed)
    app.router.add_post("/v1/profiles/reports", report)


def asker(request: web.Request, gate: Gatekeeper) -> str:
    """Return who asks.

    Raises:
        Refused: It does not say so, or is not who it says.
    """
    edge = request.headers.get(plan.EDGE_HEADER, "")
    if not is_edge_id(edge):
        raise Refused(400, "bad_edge", f"send {plan.EDGE_HEADER}: the edge's id, {EDGE_ID}")
    certificate = request.get_extra_info("peercert")
    gate.admit(edge, certificate, request.headers.get("Authorization", ""))
    return edge
