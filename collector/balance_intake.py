"""Where edges leave their balances: ``POST /v1/balances``, with the identity of their uploads."""

from __future__ import annotations

from aiohttp import web

from collector.balances import Balances
from collector.identity import Gatekeeper
from collector.plan_intake import Body, asker
from collector.refused import Refused
from gateway_core.balance import MOST_BYTES


def add_balance_route(
    app: web.Application, balances: Balances, gate: Gatekeeper, body: Body
) -> None:
    """Take the balances of edges."""

    async def take(request: web.Request) -> web.Response:
        edge = asker(request, gate)
        async with body(request) as data:
            if len(data) > MOST_BYTES:
                raise Refused(413, "too_large", f"at most {MOST_BYTES} bytes in one balance")
            await balances.take(edge, data)
        return web.Response(status=204)

    app.router.add_post("/v1/balances", take)
