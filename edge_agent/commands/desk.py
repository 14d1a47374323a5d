"""The desk: commands asked for and looked up over the admin listener."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from edge_agent.commands.dispatcher import Dispatcher
from edge_agent.commands.order import STATES, Order, Request
from edge_agent.problems import json_answer, problem
from gateway_core.errors import PayloadError

MOST_ROWS = 1_000
LONGEST_WAIT_S = 50.0


class Desk:
    """``POST /command``, ``GET /commands`` and ``GET /commands/{id}``.

    Args:
        dispatcher: Takes the orders.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_post("/command", self._order)
        router.add_get("/commands", self._list)
        router.add_get("/commands/{id}", self._find)

    async def _order(self, request: web.Request) -> web.Response:
        wanted = msgspec.json.decode(await request.read(), type=Request)
        try:
            order = await self._dispatcher.order(wanted)
        except PayloadError as exc:
            status = 404 if exc.code in ("unknown_device", "unknown_command") else 422
            return problem(status, "nothing was sent", exc.detail or exc.code, exc.code)
        return json_answer(shown(order), status=202)

    async def _list(self, request: web.Request) -> web.Response:
        asked = request.query
        limit, state = asked.get("limit", "100"), asked.get("state") or None
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST_ROWS:
            return problem(400, "unreadable parameter", f"limit: 1 to {MOST_ROWS}")
        if state is not None and state not in STATES:
            return problem(400, "unreadable parameter", f"state: one of {', '.join(STATES)}")
        docket = self._dispatcher.docket
        found = await docket.latest(int(limit), asked.get("device", ""), state)
        return json_answer({"commands": [shown(order) for order in found]})

    async def _find(self, request: web.Request) -> web.Response:
        wait = request.query.get("wait", "0")
        if not wait.isdecimal() or int(wait) > LONGEST_WAIT_S:
            return problem(400, "unreadable parameter", f"wait: 0 to {LONGEST_WAIT_S:g} seconds")
        found = await self._dispatcher.docket.find(request.match_info["id"], float(wait))
        if found is None:
            return problem(404, "no such command", "see GET /commands", "unknown_id")
        order, steps = found
        return json_answer({**shown(order), "transitions": steps})


def shown(order: Order) -> dict[str, Any]:
    """Return an order as it is shown: the payload as hexadecimal text."""
    return {**msgspec.structs.asdict(order), "payload": order.payload.hex()}
