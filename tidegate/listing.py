"""Lists and documents of the collector's API, as commands ask for them."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import msgspec

from tidegate.remote import ask


def get(url: str, path: str) -> dict[str, Any]:
    """Return what ``GET /api/v1/<path>`` answers.

    Raises:
        Unavailable: The collector does not answer, or answers with an error.
    """
    found: dict[str, Any] = msgspec.json.decode(
        asyncio.run(ask("GET", f"{url.rstrip('/')}/api/v1/{path}"))
    )
    return found


def listed(url: str, kind: str, wanted: dict[str, str], limit: int) -> list[dict[str, Any]]:
    """Return up to ``limit`` items, over as many pages as it takes."""
    items: list[dict[str, Any]] = []
    while len(items) < limit:
        page = get(url, f"{kind}?{urlencode(wanted | {'limit': min(1000, limit - len(items))})}")
        items += page["items"]
        if page["next"] is None:
            break
        wanted = wanted | {"cursor": page["next"]}
    return items
