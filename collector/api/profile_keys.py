"""``/api/v1/profile-keys``: whose signature counts, and the key that edges know us by."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from collector.api.events import Name
from collector.api.forms import PageOf
from collector.api.parts import Parts
from collector.api.problem import problem
from collector.api.profile_shown import timed


class KeyForm(BaseModel):
    """A key that may publish one vendor's profiles from now on."""

    model_config = ConfigDict(extra="forbid")

    vendor: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$", max_length=128)]
    pem: Annotated[str, Field(max_length=4096, description="Ed25519 public key, the .pub file")]
    actor: Annotated[Name, Field(description="Who enrols it")]


class ActorForm(BaseModel):
    """Who does it."""

    model_config = ConfigDict(extra="forbid")

    actor: Annotated[Name, Field(description="Who does it")]


def key_routes(parts: Parts) -> APIRouter:
    """Return the routes of keys."""
    routes = APIRouter(prefix="/api/v1/profile-keys", tags=["profiles"])
    desk = parts.desk

    @routes.get("", response_model=PageOf, summary="Vendors' keys, revoked ones too")
    async def listed() -> JSONResponse:
        rows = await desk.trust.all()
        items = [
            {name: row[name] for name in ("vendor", "key", "pem", "added_by")}
            | timed(row, ("added", "revoked"))
            for row in rows
        ]
        return JSONResponse({"items": items, "next": None})

    @routes.post("", status_code=201, summary="Let a key publish a vendor's profiles")
    async def trust(form: KeyForm) -> JSONResponse:
        key = await desk.trust.add(form.vendor, form.pem, form.actor)
        return JSONResponse({"vendor": form.vendor, "key": key}, 201)

    @routes.post("/{vendor}/{key}/revoke", summary="Let a key publish nothing more")
    async def revoke(
        vendor: Annotated[str, Path(max_length=128)],
        key: Annotated[str, Path(max_length=64)],
        form: ActorForm,
    ) -> JSONResponse:
        if not await desk.trust.revoke(vendor, key, form.actor):
            detail = f"{vendor} has no key {key}; GET /api/v1/profile-keys lists them"
            return problem(404, "unknown_key", detail)
        return JSONResponse({"vendor": vendor, "key": key})

    @routes.get(
        "/registry",
        summary="The public key that this registry signs plans with: catalogue.key_file of an edge",
        response_class=Response,
    )
    async def registry() -> Response:
        return Response(desk.registry.pem, media_type="application/x-pem-file")

    return routes
