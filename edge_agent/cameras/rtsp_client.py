"""One RTSP check over the network: connect, OPTIONS, and DESCRIBE when it is due.

Invariants: a credential goes to the registered host only (redirects are not followed); every wait
is bounded; at most two logins are refused before the guard stops them.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from collections import deque
from dataclasses import dataclass, replace
from typing import cast

from edge_agent.cameras.address import is_address
from edge_agent.cameras.challenge import Challenge, authorize, choose
from edge_agent.cameras.evidence import StreamCheck
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.rtsp import Answer, AnswerReader, encode_request
from edge_agent.cameras.sdp import parse_sdp
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.verdict import Outcome
from gateway_core.clock import monotonic
from gateway_core.errors import PayloadError

_ERRNO: dict[int, Outcome] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ETIMEDOUT: "connect_timeout",
    errno.ENETUNREACH: "no_route",
    errno.ENETDOWN: "no_route",
    errno.EACCES: "no_route",  # our own firewall said no
    errno.EPERM: "no_route",
    errno.EADDRNOTAVAIL: "own_limit",  # no local port left
    errno.EMFILE: "own_limit",
    errno.ENFILE: "own_limit",
    errno.ENOBUFS: "own_limit",
    errno.ENOMEM: "own_limit",
}
_MOST_ADDRESSES = 4
_MALFORMED: dict[str, Outcome] = {"not_rtsp": "not_rtsp", "too_large": "too_large"}
_STATUS: dict[int, Outcome] = {
    401: "auth_failed",
    403: "forbidden",
    404: "not_found",
    410: "not_found",
    453: "limit",  # Not Enough Bandwidth: Hikvision's answer when all its sessions are taken
    454: "not_found",
    503: "limit",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a check shall do beyond OPTIONS.

    Attributes:
        describe: Ask for the description whatever OPTIONS says.
        fingerprint: Of the last answer to OPTIONS; when the new one differs, describe.
    """

    describe: bool = True
    fingerprint: str = ""


def connect_outcome(error: OSError) -> Outcome:
    """Say what a failed connection means."""
    if isinstance(error, socket.gaierror):
        return "name_unresolved"
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    return _ERRNO.get(error.errno or 0, "unreachable")


async def check_stream(
    feed: Feed, plan: Plan, logins: Logins, settings: PatrolSettings
) -> StreamCheck:
    """Check one feed; every way it can go wrong is an outcome, none is raised."""
    try:
        addresses = await _resolve(feed, settings.connect_s)
    except (OSError, UnicodeError) as exc:  # UnicodeError: a name that IDNA cannot encode
        return StreamCheck("name_unresolved", detail=str(exc) or "no answer in time")
    try:
        async with asyncio.timeout(settings.connect_s):
            wire = await _connect(addresses, feed.rtsp.port)
    except OSError as exc:
        return StreamCheck(connect_outcome(exc), detail=str(exc) or "no connection in time")
    check = _Check(feed, wire, logins, settings)
    try:
        return await check.run(plan)
    except PayloadError as exc:
        return replace(check.so_far, outcome=_MALFORMED.get(exc.code, "not_rtsp"), detail=str(exc))
    except TimeoutError:
        return replace(check.so_far, outcome="timeout", detail=f"no answer to {wire.asked} in time")
    except ConnectionError as exc:
        return replace(check.so_far, outcome="reset", detail=f"{wire.asked}: {exc}")
    finally:
        wire.abort()  # no session was set up, and a lingering close costs the camera a slot


async def _resolve(feed: Feed, deadline_s: float) -> list[str]:
    """Look a name up apart from connecting: when that fails, the device is not to blame."""
    if is_address(feed.rtsp.host):
        return [feed.rtsp.host]
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(deadline_s):
        found = await loop.getaddrinfo(feed.rtsp.host, feed.rtsp.port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found[:_MOST_ADDRESSES]]


async def _connect(addresses: list[str], port: int) -> _Wire:
    loop = asyncio.get_running_loop()
    for address in addresses[:-1]:
        try:
            return (await loop.create_connection(_Wire, address, port))[1]
        except OSError:
            continue
    return (await loop.create_connection(_Wire, addresses[-1], port))[1]


class _Wire(asyncio.Protocol):
    """One connection; answers are matched to questions by CSeq."""

    def __init__(self) -> None:
        self._reader = AnswerReader()
        self._answers: deque[Answer] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._cseq = 0
        self.asked = "the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        if self._error is not None:
            return
        try:
            self._answers.extend(self._reader.feed(data))
        except PayloadError as exc:
            self._fail(exc)
        else:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionResetError(str(exc or "the device closed the connection")))

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def ask(self, method: str, url: str, headers: tuple[tuple[str, str], ...]) -> Answer:
        """Send a request and return its answer; the caller sets the time limit."""
        assert self._transport is not None
        self._cseq += 1
        self.asked = method
        self._transport.write(encode_request(method, url, self._cseq, headers))
        while True:
            while self._answers:
                answer = self._answers.popleft()
                if 100 <= answer.status < 200:
                    continue
                if answer.header("cseq") in {str(self._cseq), None}:  # some leave it out
                    return answer
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class _Check:
    def __init__(self, feed: Feed, wire: _Wire, logins: Logins, settings: PatrolSettings) -> None:
        self._feed = feed
        self._wire = wire
        self._logins = logins
        self._settings = settings
        self.so_far = StreamCheck("ok")

    async def run(self, plan: Plan) -> StreamCheck:
        started = monotonic()
        answer = await self._ask("OPTIONS")
        fingerprint = f"{answer.status} {answer.header('public')} {answer.header('server')}"
        self.so_far = StreamCheck(
            "ok", rtt_ms=(monotonic() - started) * 1000, fingerprint=fingerprint
        )
        if answer.status in {453, 503}:
            return self._end("limit", answer)
        if 300 <= answer.status < 400:
            return self._end("redirected", answer)
        known = plan.fingerprint == fingerprint and answer.status in {200, 401}
        if known and not plan.describe:
            return self.so_far
        permit = self._logins.permit(self._feed, monotonic())
        if permit != "free":
            outcome: Outcome = "login_paused" if permit == "paused" else "login_stopped"
            return replace(self.so_far, outcome=outcome)
        return await self._describe()

    async def _ask(self, method: str, authorization: str = "") -> Answer:
        headers: tuple[tuple[str, str], ...] = ()
        if method == "DESCRIBE":
            headers = (("Accept", "application/sdp"),)
        if authorization:
            headers = (*headers, ("Authorization", authorization))
        async with asyncio.timeout(self._settings.answer_s):
            return await self._wire.ask(method, self._feed.rtsp.url, headers)

    async def _describe(self) -> StreamCheck:
        credential = self._feed.credential
        if credential is None:
            return self._described(await self._ask("DESCRIBE"))
        account = (self._feed.rtsp.host, self._feed.rtsp.port, credential)
        remembered = self._logins.nonce(*account)
        if remembered is None:
            answer = await self._ask("DESCRIBE")
        else:
            answer = await self._login(credential, *remembered)
            if answer.status == 401:
                fresh = choose(answer.every("www-authenticate"))
                self._logins.drop(*account, stale=fresh is not None and fresh.stale)
            else:
                self._logins.accept(self._feed)
        if answer.status != 401:
            return self._described(answer)
        challenge = choose(answer.every("www-authenticate"))
        for _ in range(2):  # the second time only for a nonce that went stale at once
            if challenge is None:
                return self._end("auth_unsupported", answer)
            answer = await self._login(credential, challenge, 1)
            if answer.status != 401:
                self._logins.accept(self._feed)
                self._logins.keep(*account, challenge)
                return self._described(answer)
            challenge = choose(answer.every("www-authenticate"))
            if challenge is None or not challenge.stale:
                break
        worked = self._logins.refuse(self._feed, monotonic())
        return self._end("limit" if worked else "auth_failed", answer)

    async def _login(self, credential: Credential, challenge: Challenge, count: int) -> Answer:
        url = self._feed.rtsp.url
        return await self._ask(
            "DESCRIBE",
            authorize(
                challenge, credential, "DESCRIBE", url, count=count, cnonce=secrets.token_hex(8)
            ),
        )

    def _described(self, answer: Answer) -> StreamCheck:
        if answer.status == 401:
            return self._end("auth_missing", answer)
        if 300 <= answer.status < 400:
            return self._end("redirected", answer)
        if not 200 <= answer.status < 300:
            return self._end(_STATUS.get(answer.status, "server_error"), answer)
        tracks = parse_sdp(answer.body)
        outcome: Outcome = "ok"
        if not any(track.media == "video" for track in tracks):
            outcome = "no_video" if tracks else "bad_description"
        return replace(self.so_far, outcome=outcome, described=True, tracks=tracks)

    def _end(self, outcome: Outcome, answer: Answer) -> StreamCheck:
        return replace(self.so_far, outcome=outcome, detail=f"{answer.status} {answer.reason[:80]}")
