"""``/api/v1/profiles``: those that ship and those that were published; a site's own stay there."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse

from collector.api.forms import PageOf
from collector.api.parts import Parts
from collector.api.problem import problem
from collector.api.profile_shown import shown_version
from collector.profiles.desk import ProfileDesk
from collector.profiles.shipped import Document, shipped
from collector.profiles.trust import NotTrusted
from collector.profiles.versions import Clash, NotFit, State, Submission, current
from device_profiles.bundle import CONTENT_TYPE as BUNDLE
from device_profiles.bundle import PROFILE, decode_bundle, digest_of, pack, pack_text
from device_profiles.semver import read_version
from gateway_core.errors import PayloadError
from gateway_core.yaml_document import read_yaml

YAML = "application/yaml"
_YAMLS = (YAML, "application/x-yaml", "text/yaml", "text/x-yaml", "text/vnd.yaml")

Vendor = Annotated[str, InPath(pattern="^[a-z0-9][a-z0-9-]*$", max_length=128)]
Model = Annotated[str, InPath(pattern="^[a-z0-9][a-z0-9.-]*$", max_length=128)]
Row = dict[str, Any]


def profile_routes(parts: Parts) -> APIRouter:
    """Return the routes of the catalogue."""
    routes = APIRouter(prefix="/api/v1/profiles", tags=["profiles"])
    _to_read(routes, parts.desk)
    _to_publish(routes, parts.desk)
    return routes


def _to_read(routes: APIRouter, desk: ProfileDesk) -> None:
    @routes.get("", response_model=PageOf, summary="Profiles that ship or were published, by id")
    async def listed(
        q: Annotated[str, Query(max_length=255, description="Part of the id")] = "",
        state: Annotated[State | None, Query(description="With a version in this state")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
        cursor: Annotated[str, Query(max_length=128, description="next of the page before")] = "",
    ) -> JSONResponse:
        ours = await asyncio.to_thread(shipped)
        names = set(await desk.versions.names(q.lower(), state, cursor, limit + 1))
        if state in {None, "published"}:
            names |= {name for name in ours if q.lower() in name and name > cursor}
        page = sorted(names)[:limit]
        items = [_item(name, await desk.versions.of(name), ours.get(name)) for name in page]
        following = page[-1] if len(names) > limit else None
        return JSONResponse({"items": items, "next": following})

    @routes.get(
        "/{vendor}/{model}",
        summary="One version, or the current one (else the newest pending): JSON, YAML or bundle",
        responses={200: {"content": {"application/json": {}, YAML: {}, BUNDLE: {}}}},
    )
    async def one(
        vendor: Vendor,
        model: Model,
        version: Annotated[str | None, Query(max_length=64)] = None,
        accept: Annotated[str, Header(max_length=1024)] = "",
        if_none_match: Annotated[str, Header(max_length=1024)] = "",
    ) -> Response:
        found = await _bundle(desk, f"{vendor}/{model}", version)
        if found is None:
            what = f"{vendor}/{model}" + (f" {version}" if version else "")
            detail = f"no profile {what}; GET /api/v1/profiles lists them"
            return problem(404, "unknown_profile", detail)
        data, state = found
        headers = {"ETag": f'"{digest_of(data)}"', "Vary": "Accept", "Tidegate-State": state}
        if headers["ETag"] in if_none_match:
            return Response(status_code=304, headers=headers)
        if BUNDLE in accept:
            return Response(data, media_type=BUNDLE, headers=headers)
        text = decode_bundle(data).text
        if "yaml" in accept:
            return Response(text, media_type=YAML, headers=headers)
        return JSONResponse(read_yaml(text, strict=False).data, headers=headers)

    @routes.get("/{vendor}/{model}/versions", summary="Every version, newest first, with its gates")
    async def versions(vendor: Vendor, model: Model) -> JSONResponse:
        rows = await desk.versions.of(f"{vendor}/{model}")
        ours = (await asyncio.to_thread(shipped)).get(f"{vendor}/{model}")
        items = [shown_version(row) for row in rows]
        if ours is not None:
            items.append({"id": ours.id, "version": ours.version, "state": "shipped"})
        if not items:
            detail = f"no profile {vendor}/{model}; GET /api/v1/profiles lists them"
            return problem(404, "unknown_profile", detail)
        items.sort(key=lambda item: read_version(item["version"]), reverse=True)
        return JSONResponse({"items": items, "next": None})


def _to_publish(routes: APIRouter, desk: ProfileDesk) -> None:
    @routes.put(
        "/{vendor}/{model}",
        summary="Publish a version: a signed bundle, or plain YAML that a person must approve",
        description=(
            "A bundle is signed with `Tidegate-Key` (the key's id) and `Tidegate-Signature` "
            "(base64, over the bundle's digest). 201: published; 202: waits for a person; "
            "200: it was here before. Versions never change."
        ),
        responses={
            202: {"description": "Stored; a person must approve it first, `questions` says why"},
            403: {"description": "The signature does not count for this vendor"},
            409: {"description": "This version has other bytes here: raise the version"},
            422: {"description": "A gate refused it; `faults` has line, column and what to do"},
        },
        openapi_extra={"requestBody": {"content": {YAML: {}, BUNDLE: {}}, "required": True}},
    )
    async def publish(
        vendor: Vendor,
        model: Model,
        request: Request,
        tidegate_key: Annotated[str, Header(max_length=64)] = "",
        tidegate_signature: Annotated[str, Header(max_length=128)] = "",
        tidegate_actor: Annotated[str, Header(max_length=64)] = "",
    ) -> JSONResponse:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != BUNDLE and kind not in _YAMLS:
            return problem(415, "bad_content_type", f"send {YAML}, or {BUNDLE}")
        body = await request.body()
        signature = _signature(tidegate_signature)
        data = body if kind == BUNDLE else pack_text(_text(body)).encode()
        sent = Submission(f"{vendor}/{model}", data, tidegate_key, signature, tidegate_actor)
        return await _submit(desk, sent)


async def _submit(desk: ProfileDesk, sent: Submission) -> JSONResponse:
    try:
        row, fresh = await desk.versions.submit(sent)
    except NotFit as exc:
        faults = [
            {"gate": result.gate, "file": PROFILE, "line": each.line, "col": each.col}
            | {"path": each.path, "message": each.message}
            for result in exc.examined.results
            for each in result.mistakes
        ]
        told = "; ".join(f"{PROFILE}:{f['line']}:{f['col']}: {f['message']}" for f in faults[:5])
        results = shown_results(exc)
        return problem(422, "not_fit", f"{exc}: {told}", faults=faults, results=results)
    except NotTrusted as exc:
        return problem(403, exc.code, str(exc))
    except Clash as exc:
        return problem(409, "version_exists", str(exc))
    except PayloadError as exc:
        return problem(422 if exc.code == "wrong_id" else 400, exc.code, exc.detail)
    place = {"Location": f"/api/v1/profiles/{row['profile']}?version={row['version']}"}
    status = 200 if not fresh else 201 if row["state"] == "published" else 202
    return JSONResponse(shown_version(row), status, headers=place | {"ETag": f'"{row["sha256"]}"'})


def shown_results(exc: NotFit) -> list[dict[str, Any]]:
    """Return what every gate said, without the faults."""
    return [
        {"gate": each.gate, "passed": each.passed, "detail": each.detail}
        for each in exc.examined.results
    ]


async def _bundle(desk: ProfileDesk, profile: str, version: str | None) -> tuple[bytes, str] | None:
    """Return a version's bundle and state, of the one that ships too.

    Without a version the current one's; where none was published yet, the newest that waits for a
    person: who sent it can read it back, and its state says that no edge uses it.
    """
    rows = await desk.versions.of(profile)
    ours = (await asyncio.to_thread(shipped)).get(profile)
    if version is None:
        row = current(rows)
        newer = row is not None and (
            ours is None or read_version(row["version"]) >= read_version(ours.version)
        )
        row = row if newer else None
    else:
        row = next((row for row in rows if row["version"] == version), None)
    if row is None and ours is not None and version in {None, ours.version}:
        return (await asyncio.to_thread(pack, ours.file)).encode(), "shipped"
    if row is None and version is None:
        waiting = [each for each in rows if each["state"] == "pending"]
        row = max(waiting, key=lambda each: read_version(each["version"]), default=None)
    data = None if row is None else await desk.versions.bundle(row["sha256"])
    return None if row is None or data is None else (data, row["state"])


def _item(name: str, rows: list[Row], ours: Document | None) -> dict[str, Any]:
    """Return one line of the list."""
    row = current(rows)
    if row is not None and ours is not None:
        row = row if read_version(row["version"]) >= read_version(ours.version) else None
    waiting = [each["version"] for each in rows if each["state"] == "pending"]
    shown: dict[str, Any] = {"id": name, "origin": "ships", "state": "published"}
    if row is not None or ours is None:
        row = row or rows[0]
        shown |= {"version": row["version"], "measurement": row["measurement"]}
        shown |= {"title": row["title"], "state": row["state"], "origin": "published"}
    else:
        shown |= {"version": ours.version, "measurement": ours.measurement, "title": ours.title}
    return shown | {"versions": len(rows) + (ours is not None), "pending": waiting}


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise PayloadError("bad_signature", "Tidegate-Signature is base64") from exc


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise PayloadError("bad_bundle", f"not UTF-8 at byte {exc.start}") from exc
