"""RTSP checks over the network: connect, OPTIONS, and DESCRIBE when it is due, for each channel.

Invariants: a credential goes to the registered host only (redirects are not followed); every wait
is bounded; at most two logins are refused before the guard stops them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Self

import structlog

from edge_agent.cameras.challenge import Challenge, authorize, choose
from edge_agent.cameras.evidence import StreamCheck
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.names import look_up
from edge_agent.cameras.rtsp import Answer
from edge_agent.cameras.rtsp_wire import Wire, connect, connect_outcome
from edge_agent.cameras.sdp import parse_sdp
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.verdict import Outcome
from gateway_core.clock import monotonic
from gateway_core.errors import PayloadError

log = structlog.get_logger()

_MALFORMED: dict[str, Outcome] = {"not_rtsp": "not_rtsp", "too_large": "too_large"}
_NOT_SHARED: frozenset[Outcome] = frozenset({"reset", "timeout", "server_error", "not_rtsp"})
"""How a device may say, on a connection that has served a channel, that it wants another one."""
_AGAIN = 2 / 3
"""Of the wait for an answer, at the second time of asking."""
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


async def check_stream(
    feed: Feed, plan: Plan, logins: Logins, settings: PatrolSettings
) -> StreamCheck:
    """Check one feed on a connection of its own; as `Channels.check`."""
    with Channels(logins, settings) as channels:
        return await channels.check(feed, plan)


class Channels:
    """The checks of feeds of one host and port, one after the other on one connection.

    A device that ends the connection, or does not answer a second channel on it, is asked again on
    a new one; when it answers there, it ``refuses`` to share.

    Args:
        logins: The lock-out guard.
        settings: Limits.
    """

    def __init__(self, logins: Logins, settings: PatrolSettings) -> None:
        self._logins = logins
        self._settings = settings
        self._wire: Wire | None = None
        self._addresses: list[str] = []
        self.refuses = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    async def check(self, feed: Feed, plan: Plan) -> StreamCheck:
        """Check one feed; every way it can go wrong is an outcome, none is raised."""
        if self._wire is None or not self._wire.usable or self.refuses:
            return await self._anew(feed, plan)
        check = await self._on(self._wire, feed, plan)
        if check.outcome not in _NOT_SHARED:
            return check
        check = await self._anew(feed, plan)
        self.refuses = check.outcome not in _NOT_SHARED and check.rtt_ms is not None
        return check

    async def again(self, feed: Feed, plan: Plan) -> StreamCheck:
        """Check one feed on a new connection, whatever is the matter with the one before.

        The wait is shorter, so that a silent device is through before its next turn is late.
        """
        answer_s = self._settings.answer_s * _AGAIN
        return await self._anew(feed, plan, replace(self._settings, answer_s=answer_s))

    async def _anew(
        self, feed: Feed, plan: Plan, settings: PatrolSettings | None = None
    ) -> StreamCheck:
        self._close()
        try:
            # Apart from connecting: when that fails, the device is not to blame.
            rtsp = feed.rtsp
            addresses = await look_up(rtsp.host, rtsp.port, self._settings.connect_s)
        except (OSError, UnicodeError) as exc:  # UnicodeError: a name that IDNA cannot encode
            return StreamCheck("name_unresolved", detail=str(exc) or "no answer in time")
        try:
            wire = await self._connect(addresses, rtsp.port)
        except OSError as exc:
            return StreamCheck(connect_outcome(exc), detail=str(exc) or "no connection in time")
        return await self._on(wire, feed, plan, settings)

    async def _connect(self, addresses: list[str], port: int) -> Wire:
        self._addresses = addresses
        async with asyncio.timeout(self._settings.connect_s):
            self._wire = await connect(addresses, port)
        return self._wire

    async def _reopen(self, port: int) -> Wire:
        self._close()
        try:
            return await self._connect(self._addresses, port)
        except OSError as exc:
            detail = str(exc) or "no connection in time"
            raise ConnectionResetError(f"hung up, and takes no new connection: {detail}") from exc

    async def _on(
        self, wire: Wire, feed: Feed, plan: Plan, settings: PatrolSettings | None = None
    ) -> StreamCheck:
        settings, port = settings or self._settings, feed.rtsp.port
        check = _Check(feed, wire, self._logins, settings, lambda: self._reopen(port))
        try:
            return await check.run(plan)
        except PayloadError as exc:
            outcome = _MALFORMED.get(exc.code, "not_rtsp")
            return replace(check.so_far, outcome=outcome, detail=str(exc))
        except TimeoutError:
            detail = f"no answer to {check.wire.asked} in time"
            return replace(check.so_far, outcome="timeout", detail=detail)
        except ConnectionError as exc:
            return replace(check.so_far, outcome="reset", detail=f"{check.wire.asked}: {exc}")
        except Exception as exc:
            # One device must not end the patrol of all; what is ours to mend says nothing of it.
            log.exception("stream_check_broke", feed=feed.id)
            check.wire.abort()
            detail = f"a fault of this program: {type(exc).__name__}"
            return replace(check.so_far, outcome="own_limit", detail=detail)

    def _close(self) -> None:
        if self._wire is not None:
            self._wire.abort()  # no session was set up; a lingering close costs the camera a slot
            self._wire = None


class _Check:
    def __init__(
        self,
        feed: Feed,
        wire: Wire,
        logins: Logins,
        settings: PatrolSettings,
        reopen: Callable[[], Awaitable[Wire]],
    ) -> None:
        self._reopen = reopen
        self._feed = feed
        self.wire = wire
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
            answer = await self._ask("DESCRIBE")  # without the login: it may not even be wanted
            if answer.status != 401:
                return self._described(answer)
            return self._end("login_paused" if permit == "paused" else "login_stopped", answer)
        return await self._describe()

    async def _ask(self, method: str, authorization: str = "") -> Answer:
        headers: tuple[tuple[str, str], ...] = ()
        if method == "DESCRIBE":
            headers = (("Accept", "application/sdp"),)
        if authorization:
            headers = (*headers, ("Authorization", authorization))
        try:
            async with asyncio.timeout(self._settings.answer_s):
                return await self.wire.ask(method, self._feed.rtsp.url, headers)
        except ConnectionError:
            if self.so_far.rtt_ms is None:
                raise
        # It answered OPTIONS on this connection: some hang up behind each answer, or behind a 401.
        self.wire = await self._reopen()
        async with asyncio.timeout(self._settings.answer_s):
            return await self.wire.ask(method, self._feed.rtsp.url, headers)

    async def _describe(self) -> StreamCheck:
        credential = self._feed.credential
        if credential is None:
            return self._described(await self._ask("DESCRIBE"))
        account = (self._feed.rtsp.host, self._feed.rtsp.port, credential)
        remembered = self._logins.nonce(*account) or self.wire.nonce(credential)
        if remembered is None:
            answer = await self._ask("DESCRIBE")
        else:
            answer = await self._login(credential, *remembered)
            if answer.status == 401:
                fresh = choose(answer.every("www-authenticate"))
                self._logins.drop(*account, stale=fresh is not None and fresh.stale)
                self.wire.forget_nonce()
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
                if self._logins.may_share(*account):
                    self.wire.keep_nonce(credential, challenge)
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
        if answer.status == 401 and (trouble := self._feed.login_trouble):
            return replace(self.so_far, outcome="password_unreadable", detail=trouble)
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
