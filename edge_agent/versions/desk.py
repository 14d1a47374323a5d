"""The desk for versions: what is used, what a shadow found, pins; over the admin listener."""

from __future__ import annotations

import dataclasses

import msgspec
from aiohttp import web

from edge_agent.problems import json_answer, problem
from edge_agent.versions.life import Life
from gateway_core.errors import PayloadError


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /profiles/pin``; without a version: follow the plan again."""

    profile: str
    version: str | None = None


class VersionDesk:
    """``GET /profiles``, ``POST /profiles/pin`` and ``GET /profiles/shadow``.

    Args:
        life: Of the profile versions.
    """

    def __init__(self, life: Life) -> None:
        self._life = life

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/profiles", self._used)
        router.add_post("/profiles/pin", self._pin)
        router.add_get("/profiles/shadow", self._shadow)

    async def _used(self, request: web.Request) -> web.Response:
        del request
        return json_answer(dataclasses.asdict(self._life.switch.lock))

    async def _pin(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=Pin)
        try:
            done = await self._life.switch.pin(asked.profile, asked.version)
        except PayloadError as exc:
            return problem(422, "nothing was changed", exc.detail, exc.code)
        return json_answer({"applied": done.applied, "failed": done.failed})

    async def _shadow(self, request: web.Request) -> web.Response:
        profile = request.query.get("profile", "")
        shadow = self._life.switch.lock.shadow.get(profile)
        if shadow is None:
            known = ", ".join(self._life.switch.lock.shadow) or "none"
            return problem(
                404, "no shadow", f"{profile}: has none; there are: {known}", "no_shadow"
            )
        used = self._life.switch.lock.used.get(profile)
        return json_answer(
            {
                "profile": profile,
                "version": shadow.version,
                "used": used.version if used is not None else "",
                "summary": self._life.proving.summaries.get(profile),
            }
        )
