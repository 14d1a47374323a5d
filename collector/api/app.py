"""The people's listener: API, console, metrics and health in one ASGI application."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline

from collector.api.listings import listing_routes
from collector.api.parts import Parts
from collector.api.problem import answer_with_problems, problem
from collector.api.questions import question_routes
from collector.console.serve import mount_console
from gateway_core.meter import CONTENT_TYPE

MAX_BODY = 1 << 20
"""Most bytes of a request; no question is longer."""


def create_app(parts: Parts) -> FastAPI:
    """Return the application over ``parts``; ``/docs`` works without a network."""
    app: FastAPI = FastAPIOffline(
        title="Tidegate collector",
        version="1",
        summary="What a city's devices, feeds and systems are, were, and said.",
        description="Times are RFC 3339. Errors are application/problem+json and say what to do.",
    )
    answer_with_problems(app)
    app.include_router(listing_routes(parts))
    app.include_router(question_routes(parts))

    @app.get("/healthz", tags=["operations"], summary="200 when every part runs, else 503")
    async def healthz() -> Response:
        wrong = await parts.healthy()
        if wrong:
            return problem(503, "unhealthy", "; ".join(wrong))
        return Response('{"status": "ok"}', media_type="application/json")

    @app.get("/metrics", tags=["operations"], summary="Prometheus text")
    async def metrics() -> Response:
        return Response(await parts.metrics(), media_type=CONTENT_TYPE)

    @app.middleware("http")
    async def small_bodies(request: Request, call_next):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # Starlette's own types
        if "transfer-encoding" in request.headers:
            return problem(411, "length_required", "send Content-Length instead of chunks")
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return problem(413, "too_large", f"at most {MAX_BODY} bytes in one request")
        return await call_next(request)

    mount_console(app)
    return app
