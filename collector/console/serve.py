"""Serve the console's files, under a policy that lets the page reach nothing but this collector.

There is no build step: ES modules, and vendored libraries whose digests ``vendor/manifest.json``
holds. The page works with the network cable pulled.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_STATIC = Path(str(files("collector.console"))) / "static"


def mount_console(app: FastAPI) -> None:
    """Serve the overview at ``/`` and its files below ``/static``."""
    page = (_STATIC / "index.html").read_text(encoding="utf-8")
    policy = _content_security_policy(page)

    async def index(_request: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy} | _HEADERS)

    app.add_api_route("/", index, methods=["GET"], include_in_schema=False)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")


_HEADERS = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _content_security_policy(page: str) -> str:
    """Allow this origin only, and the one inline script: the import map, by its digest."""
    found = re.search(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)
    assert found, "index.html holds the import map"
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self'; "
        "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
