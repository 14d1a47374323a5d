"""Errors as ``application/problem+json`` (RFC 9457), each with what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from collector.query import QueryError
from collector.registry.database import Unfit
from gateway_core.errors import PayloadError, Unavailable

log = structlog.get_logger()


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """Return an error whose ``type`` is a stable code and whose ``detail`` says what to do.

    Args:
        status: HTTP status.
        code: Stable.
        detail: What was wrong and what to do next.
        headers: Of the answer.
        more: Members of the document beyond those of RFC 9457.
    """
    body = {"type": f"urn:tidegate:{code}", "title": code, "status": status, "detail": detail}
    return JSONResponse(body | more, status, media_type="application/problem+json", headers=headers)


def answer_with_problems(app: FastAPI) -> None:
    """Turn every error of ``app`` into a problem document."""

    async def refused(_request: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, PayloadError | QueryError)
        return problem(400, exc.code, exc.detail)

    async def away(_request: Request, exc: Exception) -> JSONResponse:
        return problem(
            503,
            "unavailable",
            f"{exc}; try again in some seconds",
            headers={"Retry-After": "5"},
        )

    async def unfit(_request: Request, exc: Exception) -> JSONResponse:
        return problem(422, "bad_value", f"{exc}; the database cannot hold it")

    async def invalid(request: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, RequestValidationError)
        kind = request.headers.get("content-type", "application/json").partition(";")[0]
        if kind.strip().lower() == "application/x-www-form-urlencoded":  # what curl -d says
            return problem(
                415, "not_json", f"the body is called {kind}: send Content-Type: application/json"
            )
        faults = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        return problem(422, "bad_request", "; ".join(faults) + "; see /docs for what is expected")

    async def other(request: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, HTTPException)
        detail = f"{exc.detail}: {request.method} {request.url.path}; see /docs for what exists"
        return problem(exc.status_code, "http_error", detail)

    async def broken(request: Request, exc: Exception) -> JSONResponse:
        log.error("request_failed", path=request.url.path, exc_info=exc)
        detail = "the collector failed at this; its log says where. Please report it"
        return problem(500, "internal_error", detail)

    app.add_exception_handler(Exception, broken)
    app.add_exception_handler(PayloadError, refused)
    app.add_exception_handler(QueryError, refused)
    app.add_exception_handler(Unavailable, away)
    app.add_exception_handler(Unfit, unfit)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)
