"""The admin listener: health, metrics, status, on-site queries, the tap, reload and replay.

It binds to loopback unless the configuration says otherwise, has no credentials of its own, and
changes nothing but what reload, replay and commands do. Every answer and every wait is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
import structlog
from aiohttp import web

from edge_agent.cameras.desk import FeedDesk
from edge_agent.commands.desk import Desk
from edge_agent.following import follow
from edge_agent.problems import json_answer, problem, problems
from edge_agent.site import Site
from edge_agent.status import Status, samples, take_status
from edge_agent.tap import Filter, tap
from edge_agent.versions.desk import VersionDesk
from gateway_core.errors import GatewayError, Unavailable
from gateway_core.gaps import shown
from gateway_core.guard import Limits, guarded
from gateway_core.instant import parse_instant
from gateway_core.listening import tcp_sockets
from gateway_core.meter import CONTENT_TYPE, Meter
from gateway_core.units import Address

if TYPE_CHECKING:
    from edge_agent.answer import Export
    from edge_agent.history import History

log = structlog.get_logger()

MAX_BODY = 1 << 20
MAX_TAPS = 8
MAX_EXPORTS = 2
MAX_TAP_S = 3600.0
MAX_EXPORT_S = 6 * 3600.0
TAP_WRITE_S = 30.0
HEADERS_S = 15.0
MOST_PEERS = 64
"""Connections at a time; people and programs of this machine ask one question each."""
ANSWER_S = 60.0
ALIVE_KEY = "agent/alive"

T = TypeVar("T")
Answer = Callable[[dict[str, Any]], Awaitable[tuple[str, bytes]]]
"""Answers a query given as JSON: content type and body; raises a `GatewayError`."""

Exports = Callable[[dict[str, Any]], Awaitable["Export"]]
"""Begins an answer of any length; raises a `GatewayError`."""

OpenHistory = Callable[[], Awaitable["History"]]
"""Opens the on-site history, which costs memory: only when somebody asks."""


class ResendRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /resend``; in nanoseconds since 1970, ``until`` 0 for now."""

    since: int
    until: int = 0


class ReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /replay``; ``since`` in nanoseconds since 1970."""

    reason: str | None = None
    since: int = 0
    limit: int = 1_000_000
    profile: str | None = None


class Admin:
    """The listener's handlers.

    Args:
        site: The running agent.
        answer: Answers ``POST /query``.
        export: Answers ``POST /export``.
        history: Opens the on-site history.
    """

    def __init__(self, site: Site, answer: Answer, export: Exports, history: OpenHistory) -> None:
        self._site = site
        self._answer = answer
        self._begin_export = export
        self._open_history = history
        self._taps = 0
        self._exports = 0
        self._replaying = asyncio.Lock()
        self._status: Status | None = None
        site.meter.observe(lambda: samples(self._status) if self._status else ())

    def application(self) -> web.Application:
        """Return the routes."""
        application = web.Application(client_max_size=MAX_BODY, middlewares=[problems])
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/status", self._get_status)
        application.router.add_get("/tap", self._tap)
        application.router.add_post("/query", self._query)
        application.router.add_get("/gaps", self._gaps)
        application.router.add_get("/balances", self._balances)
        application.router.add_post("/balances", self._balances)
        application.router.add_post("/export", self._export)
        application.router.add_post("/reload", self._reload)
        application.router.add_post("/replay", self._replay)
        application.router.add_post("/resend", self._resend)
        application.router.add_get("/resend/{id}", self._resent)
        Desk(self._site.dispatcher).add_to(application.router)
        FeedDesk(self._site.patrol).add_to(application.router)
        VersionDesk(self._site.life).add_to(application.router)
        return application

    async def _health(self, request: web.Request) -> web.Response:
        del request
        site = self._site
        alive = str(site.clock()).encode()
        spool = "ok"
        try:
            async with asyncio.timeout(ANSWER_S / 12):
                await site.spool.append((), source="agent", state={ALIVE_KEY: alive})
        except (Unavailable, TimeoutError) as exc:
            spool = str(exc) or "no answer in time"
        parts = {name: "ok" if up else "waiting" for name, up in site.running.items()}
        # A part that waits for its peer is not ill: nobody should restart an edge that is cut off.
        well = "ok" if all(site.running.values()) else "waiting"
        body = {"status": well if spool == "ok" else "failing", "spool": spool, "parts": parts}
        return json_answer(body, status=200 if spool == "ok" else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        del request
        self._status = await take_status(self._site)
        return web.Response(body=self._site.meter.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _get_status(self, request: web.Request) -> web.Response:
        del request
        return json_answer(await take_status(self._site))

    async def _query(self, request: web.Request) -> web.Response:
        question = _decoded(await request.read(), dict)
        async with asyncio.timeout(ANSWER_S):
            kind, body = await self._answer(question)
        return web.Response(body=body, headers={"Content-Type": kind})

    async def _export(self, request: web.Request) -> web.StreamResponse:
        question = _decoded(await request.read(), dict)
        if self._exports >= MAX_EXPORTS:
            return problem(503, f"{MAX_EXPORTS} exports are running", "wait until one ends")
        self._exports += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await self._begin_export(question)
            headers = {"Content-Type": found.kind, "Tidegate-Notes": "; ".join(found.notes)}
            stream = web.StreamResponse(headers=headers)
            await stream.prepare(request)
            try:
                await _pour_all(found.chunks, stream)
            except (GatewayError, TimeoutError, ConnectionError) as exc:
                log.warning("export_broken_off", why=repr(exc))
                if request.transport is not None:
                    request.transport.abort()  # the reader must not take it for the whole
        finally:
            self._exports -= 1
        return stream

    async def _gaps(self, request: web.Request) -> web.Response:
        history = await self._open_history()
        from edge_agent.gaps import gap_certificate

        asked, now = request.query, self._site.clock()
        try:
            since = parse_instant(asked.get("since", "-1d"), now)
            until = parse_instant(asked.get("until", "now"), now)
        except (ValueError, OverflowError) as exc:
            return problem(400, "the window cannot be read", str(exc))
        async with asyncio.timeout(ANSWER_S):
            device = asked.get("device", "")
            found = await gap_certificate(self._site, history, device, since, until)
        return json_answer(shown(found))

    async def _balances(self, request: web.Request) -> web.Response:
        balances = self._site.balances
        if request.method == "POST":
            return json_answer(await balances.close())
        return json_answer(await balances.all())

    async def _reload(self, request: web.Request) -> web.Response:
        del request
        await self._site.life.switch.reload()
        return json_answer({"status": "reloaded", "devices": len(self._site.registry.devices)})

    async def _replay(self, request: web.Request) -> web.Response:
        wanted = _decoded(await request.read() or b"{}", ReplayRequest)
        if self._replaying.locked():
            return problem(409, "a replay is running", "wait until it ends")
        async with self._replaying:
            site = self._site
            done = await site.replay(wanted.reason, wanted.since, wanted.limit, wanted.profile)
        return json_answer(done)

    async def _resend(self, request: web.Request) -> web.Response:
        wanted = _decoded(await request.read() or b"{}", ResendRequest)
        refill = self._site.refill
        if refill is None:
            return problem(409, "this site has no uplink", "name a collector under uplink")
        name = f"site-{secrets.token_hex(4)}"
        if not refill.begin(name, wanted.since, wanted.until or self._site.clock()):
            return problem(409, "too many windows are being sent", "wait until one ends")
        return json_answer(refill.progress(name))

    async def _resent(self, request: web.Request) -> web.Response:
        refill = self._site.refill
        if refill is None:
            return problem(409, "this site has no uplink", "name a collector under uplink")
        return json_answer(refill.progress(request.match_info["id"]))

    async def _tap(self, request: web.Request) -> web.StreamResponse:
        if self._taps >= MAX_TAPS:
            return problem(503, f"{MAX_TAPS} taps are open", "close one")
        # "+" is a wildcard of topics here, not a blank as in a form
        asked = dict(parse_qsl(request.rel_url.raw_query_string.replace("+", "%2B")))
        after, client = asked.get("after", ""), asked.get("client", "")
        unknown = set(asked) - {"topic", "device", "field", "after", "client"}
        if unknown or not (after == "" or after.isdecimal()):
            expected = "topic, device, field, after; or client"
            return problem(400, "unknown or unreadable parameter", expected)
        if client and len(asked) > 1:
            return problem(400, "client goes with no other filter", "client alone")
        if client and not self._site.config.mqtt_listen:
            return problem(400, "no device connects to this edge itself", "add mqtt_listen to it")
        stream = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await stream.prepare(request)
        self._taps += 1
        try:
            await _pour(self._lines(asked), stream)
        finally:
            self._taps -= 1
        return stream

    def _lines(self, asked: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        client, after = asked.get("client", ""), asked.get("after", "")
        if client:
            return follow(self._site.followed, client)
        wanted = Filter(asked.get("topic", ""), asked.get("device", ""), asked.get("field", ""))
        devices = self._site.registry.devices

        def address(name: str) -> str:
            device = devices.get(name)
            return device.address if device is not None else ""

        return tap(self._site.spool, wanted, address, int(after) if after else None)


async def serve_admin(
    application: web.Application,
    listen: Sequence[Address],
    meter: Meter,
    ready: Callable[[list[int]], None],
) -> None:
    """Listen until cancelled; who says nothing for `HEADERS_S` is sent away.

    Args:
        application: The routes.
        listen: Where.
        meter: Counts who is sent away.
        ready: Is told the ports, once all are open.

    Raises:
        ConfigError: An address cannot be listened on.
    """
    runner = web.AppRunner(
        application,
        access_log=None,
        keepalive_timeout=HEADERS_S,
        handle_signals=False,
        shutdown_timeout=2.0,
    )

    def refused(reason: str) -> None:
        meter.count("tidegate_admin_connections_refused", reason=reason)

    limits = Limits(MOST_PEERS, MOST_PEERS, HEADERS_S)
    sockets = tcp_sockets(listen, "admin.listen")
    async with guarded(runner, sockets, None, limits, refused) as addresses:
        ready([each.port for each in addresses])
        await asyncio.Event().wait()


async def _pour(lines: AsyncGenerator[bytes, None], stream: web.StreamResponse) -> None:
    """Write lines until the reader goes, stops reading, or has had its time."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with contextlib.aclosing(lines), asyncio.timeout(MAX_TAP_S):
            async for line in lines:
                async with asyncio.timeout(TAP_WRITE_S):
                    await stream.write(line)


async def _pour_all(chunks: AsyncGenerator[bytes], stream: web.StreamResponse) -> None:
    """Write everything; an error when the reader stops reading or it takes too long."""
    async with asyncio.timeout(MAX_EXPORT_S), contextlib.aclosing(chunks):
        async for chunk in chunks:
            async with asyncio.timeout(TAP_WRITE_S):
                await stream.write(chunk)


def _decoded(body: bytes, kind: type[T]) -> T:
    return msgspec.json.decode(body, type=kind)
