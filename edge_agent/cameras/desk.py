"""The desk: video feeds looked up, and marked as being worked on, over the admin listener."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

import msgspec
from aiohttp import web

from edge_agent.cameras.feed_status import FeedStatus
from edge_agent.problems import json_answer, problem
from gateway_core.model import FeedState

if TYPE_CHECKING:
    from edge_agent.cameras.patrol import Patrol

MOST_ROWS = 10_000
_PARAMETERS = frozenset({"state", "group", "q", "limit", "after"})
_KNOWN = ", ".join(sorted(_PARAMETERS))


class Maintenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``PATCH /feeds/{id}``."""

    maintenance: bool


class FeedDesk:
    """Feeds over HTTP: listed, looked up, marked, their baselines reset and their streams sampled.

    Args:
        patrol: Knows the feeds; None on an edge without cameras.
    """

    def __init__(self, patrol: Patrol | None) -> None:
        self._patrol = patrol

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/feeds", self._list)
        router.add_get("/feeds/{id:.+}/baseline", self._baseline)
        router.add_delete("/feeds/{id:.+}/baseline", self._forget)
        router.add_post("/feeds/{id:.+}/sample", self._sample)
        router.add_get("/feeds/{id:.+}", self._find)
        router.add_patch("/feeds/{id:.+}", self._maintain)

    async def _list(self, request: web.Request) -> web.Response:
        asked = request.query
        limit, state = asked.get("limit", "100"), asked.get("state", "")
        if unknown := sorted(set(asked) - _PARAMETERS):
            return problem(
                400, "unknown parameter", f"{unknown[0]}: expected state, group, q, limit"
            )
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST_ROWS:
            return problem(400, "unreadable parameter", f"limit: 1 to {MOST_ROWS}")
        if state and state not in get_args(FeedState):
            known = ", ".join(get_args(FeedState))
            return problem(400, "unreadable parameter", f"state: one of {known}")
        rows = list(self._rows(state, asked.get("group"), asked.get("q", "").lower()))
        first = next((n for n, row in enumerate(rows, 1) if row.id == asked.get("after")), 0)
        some = rows[first : first + int(limit)]
        more = some[-1].id if first + len(some) < len(rows) else None
        return json_answer({"feeds": some, "found": len(rows), "next": more})

    def _rows(self, state: str, group: str | None, wanted: str) -> Iterator[FeedStatus]:
        for row in self._patrol.rows() if self._patrol is not None else ():
            text = f"{row.id}\n{row.name}".lower()
            if state in {"", row.state} and group in {None, row.group} and wanted in text:
                yield row

    async def _find(self, request: web.Request) -> web.Response:
        feed = request.match_info["id"]
        found = self._patrol.detail(feed) if self._patrol is not None else None
        return json_answer(found) if found is not None else _nobody(feed)

    async def _maintain(self, request: web.Request) -> web.Response:
        feed = request.match_info["id"]
        wanted = msgspec.json.decode(await request.read(), type=Maintenance)
        if self._patrol is None or not await self._patrol.maintain(feed, on=wanted.maintenance):
            return _nobody(feed)
        return json_answer(self._patrol.detail(feed))

    async def _baseline(self, request: web.Request) -> web.Response:
        feed = request.match_info["id"]
        if self._patrol is None or self._patrol.detail(feed) is None:
            return _nobody(feed)
        return json_answer({"feed": feed, "hours": await self._patrol.pictures.usual(feed)})

    async def _sample(self, request: web.Request) -> web.Response:
        feed = request.match_info["id"]
        if self._patrol is None or not await self._patrol.sample(feed):
            return _nobody(feed)
        return json_answer(self._patrol.detail(feed))

    async def _forget(self, request: web.Request) -> web.Response:
        feed = request.match_info["id"]
        if self._patrol is None or self._patrol.detail(feed) is None:
            return _nobody(feed)
        await self._patrol.pictures.forget((feed,))
        return json_answer({"feed": feed, "hours": await self._patrol.pictures.usual(feed)})


def _nobody(feed: str) -> web.Response:
    detail = f"{feed!r} is not in the feeds file of this edge; GET /feeds lists what is"
    return problem(404, "no such feed", detail, "unknown_id")
