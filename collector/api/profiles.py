"""``GET /api/v1/profiles``: the profiles that ship, to read. A site's own stay at the site."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse

from collector.api.forms import PageOf
from collector.api.problem import problem
from device_profiles.catalogue import load_catalogue
from gateway_core.yaml_document import read_yaml

YAML = "application/yaml"


@dataclass(frozen=True, slots=True)
class Document:
    """A profile's file.

    Attributes:
        id: ``vendor/model``.
        version: Semantic version.
        measurement: Where its readings go.
        text: The YAML as it was written.
        etag: Of the text.
    """

    id: str
    version: str
    measurement: str
    text: str
    etag: str


@functools.cache
def shipped() -> dict[str, Document]:
    """Return every profile that ships, by id; they do not change while the program runs."""
    found = {}
    for profile in load_catalogue([]).profiles.values():
        text = Path(profile.file).read_text(encoding="utf-8")
        etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
        found[profile.id] = Document(profile.id, profile.version, profile.measurement, text, etag)
    return dict(sorted(found.items()))


def profile_routes() -> APIRouter:
    """Return the routes of the catalogue."""
    routes = APIRouter(prefix="/api/v1/profiles", tags=["profiles"])

    @routes.get("", response_model=PageOf, summary="The profiles that ship with Tidegate")
    async def listed(
        q: Annotated[str, Query(max_length=255, description="Part of the id")] = "",
    ) -> JSONResponse:
        documents = (await asyncio.to_thread(shipped)).values()
        items = [
            {"id": each.id, "version": each.version, "measurement": each.measurement}
            for each in documents
            if q.lower() in each.id.lower()
        ]
        return JSONResponse({"items": items, "next": None})

    @routes.get(
        "/{vendor}/{model}",
        summary="One profile, as JSON or, where Accept says so, as the YAML it was written in",
        responses={200: {"content": {"application/json": {}, YAML: {}}}},
    )
    async def one(
        vendor: Annotated[str, InPath(max_length=128)],
        model: Annotated[str, InPath(max_length=128)],
        accept: Annotated[str, Header(max_length=1024)] = "",
    ) -> Response:
        document = (await asyncio.to_thread(shipped)).get(f"{vendor}/{model}")
        if document is None:
            detail = f"no profile {vendor}/{model} ships; GET /api/v1/profiles lists them"
            return problem(404, "unknown_profile", detail)
        headers = {"ETag": document.etag, "Vary": "Accept"}
        if "yaml" in accept:
            return Response(document.text, media_type=YAML, headers=headers)
        return JSONResponse(read_yaml(document.text).data, headers=headers)

    return routes
