"""Answers of the admin listener: JSON, and errors as application/problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from gateway_core.errors import ConfigError, PayloadError, Unavailable


def json_answer(body: object, status: int = 200) -> web.Response:
    """Return an answer with a JSON body."""
    encoded = msgspec.json.encode(body)
    return web.Response(body=encoded, status=status, content_type="application/json")


def problem(status: int, title: str, detail: str, code: str = "") -> web.Response:
    """Return an error.

    Args:
        status: Of HTTP.
        title: What is wrong, the same each time.
        detail: What is wrong this time, and what to do.
        code: A stable code for programs; empty for none.
    """
    kind = f"urn:tidegate:{code}" if code else "about:blank"
    body = {"type": kind, "status": status, "title": title, "detail": detail}
    encoded = msgspec.json.encode({**body, "code": code} if code else body)
    return web.Response(body=encoded, status=status, content_type="application/problem+json")


@web.middleware
async def problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn our errors into problems."""
    try:
        return await handler(request)
    except ConfigError as exc:
        return problem(422, "a file must be edited", str(exc))
    except PayloadError as exc:
        return problem(400, "the question cannot be read", exc.detail, exc.code)
    except msgspec.MsgspecError as exc:
        return problem(400, "the question cannot be read", str(exc), "bad_request")
    except Unavailable as exc:
        return problem(503, "not available now", str(exc))
    except TimeoutError:
        return problem(504, "took too long", "ask for less: a shorter time, fewer devices")
