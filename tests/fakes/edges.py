"""Edges that upload: real wire bytes over real HTTP, and parts of a collector to upload to."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from collector.config import IntakeSection
from collector.intake import Intake, open_intake
from collector.reception import Reception
from gateway_core.clock import wall_ns
from gateway_core.meter import Meter
from gateway_core.model import Reading, Record
from gateway_core.spool import Spool, SpoolOptions, open_spool
from gateway_core.wire import Upload, encode_upload

T = 1_700_000_000_000_000_000
AT_ONCE = SpoolOptions(group_commit_s=0)


def readings(first: int, last: int, edge: str = "e1") -> list[Record]:
    """Return one reading for each sequence number, its value the number."""
    return [
        Reading(edge, f"d{seq % 7}", "acme", "env", T + seq, T + seq, {"n": seq, "t": seq / 4})
        for seq in range(first, last + 1)
    ]


def upload(first: int, last: int, edge: str = "e1", epoch: str = "ep1") -> Upload:
    """Return an upload in which every number has a record."""
    return Upload(
        edge, epoch, first, last, list(range(first, last + 1)), readings(first, last, edge)
    )


@dataclass
class Edge:
    """A client that posts uploads as an edge does.

    Attributes:
        session: Open session.
        url: Of the intake.
        ssl: TLS settings or None.
        headers: Sent with every request.
    """

    session: aiohttp.ClientSession
    url: str
    ssl: ssl.SSLContext | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def post(self, body: bytes, **headers: str) -> tuple[int, dict, dict]:
        """Post bytes; return status, JSON and headers."""
        async with self.session.post(
            f"{self.url}/v1/batches",
            data=body,
            headers=self.headers | headers,
            ssl=self.ssl or True,
        ) as response:
            return response.status, await response.json(content_type=None), dict(response.headers)

    async def send(self, what: Upload) -> tuple[int, dict]:
        """Post an upload; return status and JSON."""
        status, answer, _ = await self.post(encode_upload(what))
        return status, answer


@dataclass
class Centre:
    """An intake over a spool.

    Attributes:
        spool: Where records go.
        reception: The books.
        intake: The listener.
        meter: The counters.
        edge: A client of it.
    """

    spool: Spool
    reception: Reception
    intake: Intake
    meter: Meter
    edge: Edge

    async def stored(self) -> list[Record]:
        """Return every record in the spool."""
        records: list[Record] = []
        while batch := await self.spool.read_after(len(records), 10_000):
            records += batch.records
        return records


@contextlib.asynccontextmanager
async def centre(
    folder: Path, settings: IntakeSection, options: SpoolOptions = AT_ONCE
) -> AsyncIterator[Centre]:
    """Open spool, reception and intake; close them in order."""
    meter = Meter()
    async with open_spool(folder / "spool.db", "centre", options) as spool:
        await spool.register("timeseries")
        reception = Reception(spool, wall_ns, settings.max_edges)
        await reception.load()
        async with (
            open_intake(settings, reception, meter) as intake,
            aiohttp.ClientSession() as session,
        ):
            yield Centre(spool, reception, intake, meter, Edge(session, intake.url))
