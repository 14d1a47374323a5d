"""``GET /api/v1/profile-overview``: what goes on with profiles, for the console."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from collector.api.parts import Parts
from collector.api.profile_shown import shown_rollout, timed

MOST_EDGES = 50
"""Edges shown for one roll-out."""


def overview_routes(parts: Parts) -> APIRouter:
    """Return the route of the overview."""
    routes = APIRouter(prefix="/api/v1", tags=["profiles"])

    @routes.get(
        "/profile-overview",
        summary="Versions that wait for a person, and the newest roll-out of each profile",
    )
    async def overview() -> JSONResponse:
        found = await parts.desk.overview()
        pending = [
            {"id": row["profile"], "version": row["version"]}
            | {"questions": [name for name, _ in row["questions"]]}
            for row in found.pending
        ]
        rolled = [_shown(row, found.edges[row["profile"]]) for row in found.rollouts]
        return JSONResponse({"pending": pending, "rollouts": rolled})

    return routes


def _shown(row: dict[str, Any], edges: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a roll-out with its edges: what each is told, and what it last said."""
    mine = [edge for edge in edges if row["everywhere"] or edge["edge"] in row["edges"]]
    applied = sum(edge["version"] == row["version"] and edge["said"] != "failed" for edge in mine)
    shown = shown_rollout(row) | {"told": len(mine), "applied": applied}
    shown["edges"] = [edge | timed(edge, ("asked",)) for edge in mine[:MOST_EDGES]]
    return shown
