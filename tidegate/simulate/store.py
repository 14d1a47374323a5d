"""What the collector says it holds, asked over its public API; nothing here is a counter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from simulators.sensors.profiled import SEQ
from simulators.sensors.truth import Key
from tidegate.query import pages
from tidegate.remote import ask

_PAGE = 1000


class Store:
    """A running collector, from outside.

    Args:
        url: Of its API, without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbered: set[str] = set()

    async def keys(
        self, measurement: str, start_ns: int, stop_ns: int, devices: Sequence[str] = ()
    ) -> list[Key]:
        """Return (device, seq) of every point between two instants, with repeats.

        Args:
            measurement: Whose points; one that does not exist (yet) has none.
            start_ns: Nanoseconds since 1970.
            stop_ns: Exclusive.
            devices: Only these; none: all.

        Raises:
            Unavailable: The collector does not answer.
        """
        if not await self._has_seq(measurement):
            return []
        body: dict[str, Any] = {
            "measurement": measurement,
            "fields": [SEQ],
            "where": {"device": list(devices)} if devices else {},
            "start": start_ns,
            "stop": stop_ns,
        }
        found: list[Key] = []
        async for page in pages(self.url, body):
            device, seq = page["columns"].index("device"), page["columns"].index(SEQ)
            found += [(row[device], row[seq]) for row in page["rows"] if row[seq] is not None]
        return found

    async def status(self) -> dict[str, Any]:
        """Return ``GET /api/v1/status``."""
        return await self._get("/api/v1/status")

    async def listed(self, kind: str) -> AsyncIterator[dict[str, Any]]:
        """Yield every entry of ``devices``, ``feeds`` or ``systems``."""
        cursor: str | None = None
        while True:
            wanted = {"limit": _PAGE} | ({"cursor": cursor} if cursor else {})
            page = await self._get(f"/api/v1/{kind}?{urlencode(wanted)}")
            for item in page["items"]:
                yield item
            cursor = page["next"]
            if cursor is None:
                return

    async def _has_seq(self, measurement: str) -> bool:
        """Whether a measurement is there and has numbers; once it has, it keeps them."""
        if measurement not in self._numbered:
            known = await self._get("/api/v1/measurements")
            self._numbered.update(m["name"] for m in known["items"] if SEQ in m["fields"])
        return measurement in self._numbered

    async def _get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(await ask("GET", f"{self.url}{path}"))
        return found
