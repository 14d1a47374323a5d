"""``/api/v1/edges/{id}/balances``: the daily balances of an edge, with what is wrong with them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse, Response

from collector.api.parts import Parts
from collector.api.problem import problem
from collector.balances import Kept
from gateway_core.instant import to_rfc3339


def balance_routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1", tags=["lists"])

    @routes.get("/edges/{edge}/balances", summary="An edge's daily balances, oldest first")
    async def balances(edge: Annotated[str, Path(max_length=64)]) -> Response:
        found = await parts.balances.of(edge)
        if not found:
            detail = f"edge {edge!r} never sent a balance; GET /api/v1/edges"
            return problem(404, "no_balance", detail)
        return JSONResponse({"items": [_shown(each) for each in found], "next": None})

    @routes.post("/edges/{edge}/balances/trust", summary="Let its next balance bring another key")
    async def trust(edge: Annotated[str, Path(max_length=64)]) -> Response:
        if not await parts.balances.trust(edge):
            return problem(404, "no_balance", f"edge {edge!r} never sent one: any key will do")
        return Response(status_code=204)

    return routes


def _shown(kept: Kept) -> dict[str, Any]:
    balance = kept.balance
    told: dict[str, Any] = msgspec.to_builtins(balance)
    for name, account in balance.accounts.items():
        told["accounts"][name]["residual"] = account.residual
    times = {"since": to_rfc3339(balance.since), "until": to_rfc3339(balance.until)}
    verdict = {"received": to_rfc3339(kept.received), "faults": kept.faults}
    return {**told, **times, **verdict, "signed": msgspec.to_builtins(kept.signed)}
