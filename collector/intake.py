"""The listener for edges: ``POST /v1/batches``, and what `plan_intake` adds.

aiohttp lives here, because it shows certificates.

The receipt leaves after the spool's fsynced commit. Everything a peer can send is bounded: headers
and body in time, body in bytes before and after decompression, uploads at once, connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from aiohttp import web

from collector.balance_intake import add_balance_route
from collector.balances import Balances
from collector.config import IntakeSection
from collector.identity import Gatekeeper, open_gate, tls_context
from collector.pace import Pace
from collector.plan_intake import add_plan_routes
from collector.profiles.desk import ProfileDesk
from collector.reception import Reception, Report
from collector.refused import Refused
from collector.runs import HEADER
from gateway_core.clock import monotonic
from gateway_core.errors import PayloadError, SpoolFull, Unavailable
from gateway_core.guard import Limits, guarded
from gateway_core.listening import tcp_sockets
from gateway_core.meter import Meter
from gateway_core.units import Address
from gateway_core.wire import (
    CLOCK_HEADER,
    MIRROR_HEADER,
    REFILL_HEADER,
    SETTLED_HEADER,
    VERSION,
    Progress,
    Upload,
    decode_upload,
    encode_receipt,
)

log = structlog.get_logger()

Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]

_DECODE_HERE = 64 << 10
"""Bodies up to this many bytes are decoded on the event loop."""
_DECODING = 4
"""Uploads that may be held decompressed at once."""
_HELD_BYTES = 256 << 20
"""Compressed bytes of all uploads that are arriving or being stored."""
_HEADER_BYTES = 8 << 10
_TELL_AGAIN_S = 10.0
_FULL_RETRY_S = 5
_DOWN_RETRY_S = 2


class Problem(NamedTuple):
    """An error for a peer, as RFC 9457 says it."""

    status: int
    code: str
    detail: str
    retry_after_s: int | None = None


class Intake:
    """Answers edges; made by `open_intake`.

    Attributes:
        addresses: Where it listens, ports filled in.
        url: One of them as a URL.
        balances: Takes the balances of edges.
    """

    def __init__(
        self,
        settings: IntakeSection,
        reception: Reception,
        gate: Gatekeeper,
        meter: Meter,
        desk: ProfileDesk | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.addresses: list[Address] = []
        self._settings = settings
        self._reception = reception
        self._gate = gate
        self._meter = meter
        self._desk = desk
        self._pace = pace
        self.balances = Balances(reception)
        self._decoding = asyncio.Semaphore(_DECODING)
        self._held = 0
        self._told: dict[str, float] = {}

    @property
    def url(self) -> str:
        """A URL that reaches this listener from this machine."""
        address = self.addresses[0]
        host = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(address.host, address.host)  # noqa: S104
        scheme = "https" if self._settings.cert_file else "http"
        return f"{scheme}://{Address(host, address.port)}"

    @contextlib.asynccontextmanager
    async def serve(self, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
        """Answer on `sockets`, which are closed at the end, after the answers under way."""
        settings = self._settings
        app = web.Application(middlewares=[self._say_problems], client_max_size=settings.max_body)
        app.on_response_prepare.append(_without_version)
        app.router.add_post("/v1/batches", self._batch)
        app.router.add_get("/healthz", self._healthz)
        add_balance_route(app, self.balances, self._gate, self._body)
        if self._desk is not None:
            add_plan_routes(app, self._desk, self._gate, self._body, self._meter)
        runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=settings.idle_timeout,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
            shutdown_timeout=5.0,
        )
        limits = Limits(
            settings.connections, settings.connections_per_address, settings.header_timeout
        )
        tls = tls_context(settings)
        async with guarded(runner, sockets, tls, limits, self._refused) as self.addresses:
            yield

    def _refused(self, reason: str) -> None:
        self._meter.count("tidegate_intake_connections_refused", reason=reason)

    async def _batch(self, request: web.Request) -> web.Response:
        report = _report(request.headers, self._reception.clock())  # before it waits for its turn
        if self._pace is not None and await self._pace.turn():
            self._meter.count("tidegate_intake_uploads_paced")
        async with self._body(request) as body, self._decoding:
            upload = await self._decode(body)
            certificate = request.get_extra_info("peercert")
            bearer = request.headers.get("Authorization", "")
            mirror = request.headers.get(MIRROR_HEADER)
            if mirror is None:
                self._gate.admit(upload.edge, certificate, bearer)
            else:
                self._gate.admit_mirror(mirror, certificate, bearer)
            receipt = await self._reception.receive(upload, report)
        self._meter.count("tidegate_intake_uploads", result="taken")
        self._meter.count("tidegate_intake_records", receipt.accepted, result="stored")
        self._meter.count("tidegate_intake_records", receipt.duplicate, result="duplicate")
        return web.Response(body=encode_receipt(receipt), content_type="application/json")

    @contextlib.asynccontextmanager
    async def _body(self, request: web.Request) -> AsyncIterator[bytes]:
        """Hold the body, read whole and in time; bodies held together have a budget too.

        Raises:
            Refused: 408, 413, 415 or 503.
        """
        most = self._settings.max_body
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused(415, "bad_encoding", "an upload is compressed inside, not by HTTP")
        chunks: list[bytes] = []
        held = 0
        try:
            try:
                async with asyncio.timeout(self._settings.body_timeout):
                    async for chunk in request.content.iter_any():
                        held += len(chunk)
                        self._held += len(chunk)
                        if held > most or (request.content_length or 0) > most:
                            detail = f"at most {most} bytes in one upload; send fewer records"
                            raise Refused(413, "too_large", detail)
                        if self._held > _HELD_BYTES and held < self._held:
                            raise Refused(503, "busy", "too many uploads at once", _DOWN_RETRY_S)
                        chunks.append(chunk)
            except TimeoutError as exc:
                raise Refused(408, "slow_body", "the upload did not arrive in time", 1) from exc
            yield b"".join(chunks)
        finally:
            self._held -= held

    async def _decode(self, body: bytes) -> Upload:
        most = self._settings.max_decompressed
        if len(body) <= _DECODE_HERE:
            return decode_upload(body, most)
        return await asyncio.to_thread(decode_upload, body, most)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "wire_version": VERSION})

    @web.middleware
    async def _say_problems(self, request: web.Request, handler: Answerer) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as no:
            problem = Problem(no.status, no.code, no.detail, no.retry_after_s)
        except PayloadError as exc:
            status = 413 if exc.code == "too_large" else 400
            problem = Problem(status, exc.code, exc.detail)
        except SpoolFull as exc:
            problem = Problem(503, "spool_full", str(exc), _FULL_RETRY_S)
        except Unavailable as exc:
            problem = Problem(503, "unavailable", str(exc), _DOWN_RETRY_S)
        except web.HTTPException as exc:
            problem = Problem(
                exc.status, (exc.reason or "").lower().replace(" ", "_"), exc.text or ""
            )
        self._meter.count("tidegate_intake_uploads", result=problem.code)
        self._tell(problem, request.remote)
        return to_response(problem)

    def _tell(self, problem: Problem, peer: str | None) -> None:
        """Log the first refusal of a kind, then one in ten seconds; all of them are counted."""
        now = monotonic()
        if now - self._told.get(problem.code, -_TELL_AGAIN_S) >= _TELL_AGAIN_S:
            self._told[problem.code] = now
            log.warning("upload_refused", code=problem.code, why=problem.detail, peer=peer)


async def _without_version(_: web.Request, response: web.StreamResponse) -> None:
    """Tell no stranger which versions of what run here."""
    response.headers["Server"] = "tidegate"


def to_response(problem: Problem) -> web.Response:
    """Return a problem as `application/problem+json`."""
    text: dict[str, Any] = {
        "type": f"urn:tidegate:problem:{problem.code}",
        "code": problem.code,
        "title": problem.code.replace("_", " "),
        "status": problem.status,
        "detail": problem.detail,
    }
    headers = {"Retry-After": str(problem.retry_after_s)} if problem.retry_after_s else {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.status in {408, 413}:
        headers["Connection"] = "close"  # the rest of the body is not worth reading
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(text),
        content_type="application/problem+json",
        headers=headers,
    )


def _report(headers: Mapping[str, str], now: int) -> Report:
    clock = _whole(headers.get(CLOCK_HEADER))
    return Report(
        backlog=_whole(headers.get("Tidegate-Backlog")),
        oldest=_whole(headers.get("Tidegate-Oldest")),
        residual=_whole(headers.get("Tidegate-Residual")),
        settled=_whole(headers.get(SETTLED_HEADER)),
        refill=Progress.parse(headers.get(REFILL_HEADER, "")),
        mirrored=MIRROR_HEADER in headers,
        run="" if MIRROR_HEADER in headers else headers.get(HEADER, ""),
        ahead=None if clock is None else clock - now,
    )


def _whole(text: str | None) -> int | None:
    """Read a whole number; None when there is none or it is not one."""
    if text is None or len(text) > 20 or not text.removeprefix("-").isdecimal():
        return None
    return int(text)


@contextlib.asynccontextmanager
async def open_intake(
    settings: IntakeSection,
    reception: Reception,
    meter: Meter,
    desk: ProfileDesk | None = None,
    pace: Pace | None = None,
) -> AsyncIterator[Intake]:
    """Listen for edges until the end of the block; without a desk for their records alone.

    Uploads wait for the ``pace``, if there is one.

    Raises:
        ConfigError: A certificate, key or tokens file cannot be read, or an address is taken.
    """
    intake = Intake(settings, reception, open_gate(settings), meter, desk, pace)
    await intake.balances.load()
    async with intake.serve(tcp_sockets(settings.listen, "intake.listen")):
        log.info("intake_opened", addresses=[str(each) for each in intake.addresses])
        yield intake
