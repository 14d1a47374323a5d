"""The people's listener: API, console, metrics and health in one ASGI application."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline

from collector.api.balances import balance_routes
from collector.api.events import event_routes
from collector.api.feeds import feed_routes
from collector.api.gaps import gap_routes
from collector.api.heads import AnswerHeads
from collector.api.listings import listing_routes
from collector.api.parts import Parts
from collector.api.problem import answer_with_problems, problem
from collector.api.profile_keys import key_routes
from collector.api.profile_life import life_routes
from collector.api.profile_overview import overview_routes
from collector.api.profiles import profile_routes
from collector.api.questions import question_routes
from collector.api.refills import refill_routes
from collector.console.serve import mount_console
from device_profiles.bundle import MAX_BYTES as MAX_BUNDLE
from gateway_core.meter import CONTENT_TYPE

MAX_BODY = 1 << 20
"""Most bytes of a request; no question is longer."""
_DRAIN_BYTES = 16 << 20
_DRAIN_S = 5.0


_HARMLESS = {"GET", "HEAD", "OPTIONS"}


def _is_foreign(request: Request) -> bool:
    """Return whether a browser says that another site's page makes this request."""
    return request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}


def _is_bundle(request: Request) -> bool:
    return request.method == "PUT" and request.url.path.startswith("/api/v1/profiles/")


async def _drain(request: Request) -> None:
    """Take what is being sent, within reason: who is cut off while sending reads no answer."""
    taken = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in request.stream():
                taken += len(chunk)
                if taken > _DRAIN_BYTES:
                    return


def create_app(parts: Parts) -> FastAPI:
    """Return the application over ``parts``; ``/docs`` works without a network."""
    app: FastAPI = FastAPIOffline(
        title="Tidegate collector",
        version="1",
        summary="What a city's devices, feeds and systems are, were, and said.",
        description="Times are RFC 3339. Errors are application/problem+json and say what to do.",
    )
    answer_with_problems(app)
    app.include_router(feed_routes(parts))
    app.include_router(gap_routes(parts))  # before the devices, whose ids may hold slashes
    app.include_router(balance_routes(parts))
    app.include_router(listing_routes(parts))
    app.include_router(question_routes(parts))
    app.include_router(refill_routes(parts))
    app.include_router(event_routes(parts))
    app.include_router(key_routes(parts))
    app.include_router(overview_routes(parts))
    app.include_router(profile_routes(parts))
    app.include_router(life_routes(parts))

    @app.get(
        "/healthz",
        tags=["operations"],
        summary="200 while the spool takes data, sinks that wait for a store included; else 503",
    )
    async def healthz() -> Response:
        # A sink that waits for its store is not ill: restarting the collector would help nobody.
        vitals = await parts.vitals()
        body = {"status": vitals.status, "spool": vitals.spool, "parts": dict(vitals.parts)}
        return JSONResponse(body, 200 if vitals.spool == "ok" else 503)

    @app.get("/metrics", tags=["operations"], summary="Prometheus text")
    async def metrics() -> Response:
        return Response(await parts.metrics(), media_type=CONTENT_TYPE)

    @app.middleware("http")
    async def small_bodies(request: Request, call_next):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # Starlette's own types
        if request.method not in _HARMLESS and _is_foreign(request):
            return problem(403, "cross_site", "another site's page may not change anything here")
        if "transfer-encoding" in request.headers:
            return problem(411, "length_required", "send Content-Length instead of chunks")
        length = request.headers.get("content-length", "0")
        most = MAX_BUNDLE if _is_bundle(request) else MAX_BODY
        if not length.isdigit() or int(length) > most:
            await _drain(request)
            return problem(413, "too_large", f"at most {most} bytes in one request")
        return await call_next(request)

    app.add_middleware(AnswerHeads)
    mount_console(app)
    return app
