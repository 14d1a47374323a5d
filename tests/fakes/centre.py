"""A collector's intake in process: speaks the wire format, remembers every byte, can be rude."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from aiohttp import web

from gateway_core.intervals import Intervals
from gateway_core.model import Record
from gateway_core.wire import Ask, Upload, UploadReceipt, decode_upload, encode_receipt


@dataclass
class FakeCentre:
    """What arrived, and what to answer next.

    Attributes:
        url: Where it listens.
        bodies: Every body that came, as it came.
        uploads: Those that were accepted, decoded.
        records: (edge, epoch, seq) to record.
        duplicates: Records that came again.
        received: Ranges accounted for.
        answers: Status codes to answer with before anything else, first to last.
        retry_after: Header sent with 429 and 503.
        poison: Records for which the whole upload is refused with 400 …
        poisoned: … and this code.
        picky: Records that are refused one by one in the receipt.
        headers: Of the last request.
        arrived: Set at each request.
        lacks: Numbers that every receipt asks for until they came …
        restored: … which is noted here.
        asks: What every receipt asks for besides.
    """

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    records: dict[tuple[str, str, int], Record] = field(default_factory=dict)
    duplicates: int = 0
    received: Intervals = field(default_factory=Intervals)
    answers: list[int] = field(default_factory=list)
    retry_after: str = ""
    poison: Callable[[Record], bool] = field(default=lambda _: False)
    poisoned: str = "bad_record"
    picky: Callable[[Record], bool] = field(default=lambda _: False)
    most_records: int = 1_000_000
    headers: dict[str, str] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    lacks: tuple[int, int] | None = None
    restored: Intervals = field(default_factory=Intervals)
    asks: list[Ask] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        self.headers = dict(request.headers)
        self.arrived.set()
        if self.answers:
            status = self.answers.pop(0)
            held = {"Retry-After": self.retry_after} if self.retry_after else {}
            return web.Response(status=status, headers=held)
        upload = decode_upload(body)
        if any(self.poison(record) for record in upload.records):
            return web.json_response({"code": self.poisoned}, status=400)
        if len(upload.records) > self.most_records:
            return web.Response(status=413)
        refused = self._take(upload)
        asks = [*self._lacking(upload), *self.asks]
        receipt = UploadReceipt(len(upload.records) - len(refused), 0, refused, asks)
        return web.Response(body=encode_receipt(receipt), content_type="application/json")

    def _lacking(self, upload: Upload) -> list[Ask]:
        if self.lacks is None:
            return []
        if upload.seqs or upload.withheld:
            self.restored.add(upload.first, upload.last)
        spans = self.restored.missing(*self.lacks)
        return [Ask(epoch=upload.epoch, spans=spans)] if spans else []

    def _take(self, upload: Upload) -> list[tuple[int, str]]:
        self.uploads.append(upload)
        refused: list[tuple[int, str]] = []
        for seq, record in zip(upload.seqs, upload.records, strict=True):
            if self.picky(record):
                refused.append((seq, "bad_line"))
                continue
            key = (upload.edge, upload.epoch, seq)
            self.duplicates += key in self.records
            self.records[key] = record
        self.received.add(upload.first, upload.last)
        return refused


@contextlib.asynccontextmanager
async def fake_centre(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[FakeCentre]:
    """Run a fake intake on a free port."""
    centre = FakeCentre()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/batches", centre.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port, ssl_context=tls)
    await site.start()
    assert site._server is not None
    (address, *_) = [sock.getsockname() for sock in site._server.sockets]
    shown = f"[{host}]" if ":" in host else host
    centre.url = f"{'https' if tls else 'http'}://{shown}:{address[1]}"
    try:
        yield centre
    finally:
        await runner.cleanup()


@dataclass
class Capture:
    """A TCP proxy that keeps every byte that crossed it.

    Attributes:
        url: Where it listens.
        out: What went from the client to the server, all connections in order of arrival.
    """

    url: str = ""
    out: bytearray = field(default_factory=bytearray)


@contextlib.asynccontextmanager
async def capture(host: str, port: int) -> AsyncIterator[Capture]:
    """Proxy a free loopback port to ``host:port``."""
    captured = Capture()

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, into: bytearray | None
    ) -> None:
        while data := await reader.read(65_536):
            if into is not None:
                into += data
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port)
        with contextlib.suppress(ExceptionGroup, ConnectionError):
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, back, captured.out))
                group.create_task(pump(there, writer, None))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    captured.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield captured
