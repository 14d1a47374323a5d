"""Listening to a stream for a few seconds: DESCRIBE, SETUP over TCP, PLAY, count, TEARDOWN.

Invariants: one connection, to the registered host and port; a deadline and a number of bytes that
end it whatever the device does; the lock-out guard is asked before a login and told after it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from urllib.parse import urljoin

from edge_agent.cameras.challenge import Challenge, authorize, choose
from edge_agent.cameras.evidence import SampleCheck
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.names import look_up
from edge_agent.cameras.rtp import Codec, parse_rtp
from edge_agent.cameras.rtsp import Answer
from edge_agent.cameras.rtsp_wire import Wire, connect, connect_outcome
from edge_agent.cameras.sdp import Track, parse_sdp
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.stream_sample import StreamMeter, faults_of
from gateway_core.clock import monotonic
from gateway_core.errors import PayloadError

MOST_BYTES = 64 * 1024 * 1024
"""Of one sample: six seconds of 80 Mbit/s."""
_LONGEST_URL = 2048
_CODECS: dict[str, Codec] = {"H264": "H264", "H265": "H265", "HEVC": "H265"}


class _Refused(Exception):
    """The stream is not to be had; says why."""


async def take_sample(feed: Feed, logins: Logins, settings: PatrolSettings) -> SampleCheck:
    """Listen to a feed; every way it can go wrong is in the answer, none is raised."""
    # Four requests, of which each may need a second one with a login.
    deadline_s = 2 * settings.connect_s + 8 * settings.answer_s + settings.sample_s
    try:
        async with asyncio.timeout(deadline_s):
            return await _take(feed, logins, settings)
    except _Refused as exc:
        return SampleCheck(trouble=str(exc))
    except TimeoutError:
        return SampleCheck(trouble="no answer in time")
    except (PayloadError, ConnectionError) as exc:
        return SampleCheck(trouble=str(exc) or "the device closed the connection")
    except (OSError, UnicodeError) as exc:
        outcome = connect_outcome(exc) if isinstance(exc, OSError) else "name_unresolved"
        return SampleCheck(trouble=f"{outcome}: {exc}")


async def _take(feed: Feed, logins: Logins, settings: PatrolSettings) -> SampleCheck:
    addresses = await look_up(feed.rtsp.host, feed.rtsp.port, settings.connect_s)
    async with asyncio.timeout(settings.connect_s):
        wire = await connect(addresses, feed.rtsp.port)
    try:
        return await _Session(feed, wire, logins, settings).sample()
    finally:
        wire.abort()


class _Session:
    def __init__(self, feed: Feed, wire: Wire, logins: Logins, settings: PatrolSettings) -> None:
        self._feed = feed
        self._wire = wire
        self._logins = logins
        self._settings = settings
        self._challenge: Challenge | None = None
        self._uses = 0

    async def sample(self) -> SampleCheck:
        url = self._feed.rtsp.url
        described = await self._ask("DESCRIBE", url, (("Accept", "application/sdp"),))
        track = next((t for t in parse_sdp(described.body) if t.media == "video"), None)
        if track is None:
            raise _Refused("the description has no video")
        told = described.header("content-base") or described.header("content-location") or ""
        base = track_url(told if told.lower().startswith("rtsp://") else url, "*")
        transport = (("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1"),)
        ready = await self._ask("SETUP", track_url(base, track.control), transport)
        found = re.search(r"interleaved=([0-9]{1,3})", ready.header("transport") or "")
        session = (("Session", (ready.header("session") or "").partition(";")[0]),)
        meter = StreamMeter(_CODECS.get(track.codec, ""))
        self._wire.listen(_counting(meter, int(found[1]) if found else 0, self._wire))
        asked = monotonic()
        await self._ask("PLAY", base, (*session, ("Range", "npt=0.000-")))
        lasted = await self._wire.lasts(self._settings.sample_s)
        ended = monotonic()
        if lasted:
            await self._tear_down(base, session)
        return self._judged(meter, track, asked, ended)

    def _judged(self, meter: StreamMeter, track: Track, asked: float, ended: float) -> SampleCheck:
        sample = meter.sample(ended, track.framerate)
        if not sample.packets and ended - asked < self._settings.sample_s / 2:
            raise _Refused("the device closed the connection before any packet")
        return SampleCheck(faults_of(sample, self._settings.sample_limits), sample)

    async def _tear_down(self, url: str, session: tuple[tuple[str, str], ...]) -> None:
        """Free the session: a camera has few, and keeps one for a minute that just goes away."""
        try:
            await self._ask("TEARDOWN", url, session)
        except (_Refused, TimeoutError, PayloadError, ConnectionError):
            return  # the connection is cut next, and all was heard

    async def _ask(self, method: str, url: str, headers: tuple[tuple[str, str], ...]) -> Answer:
        answer = await self._once(method, url, headers)
        for _ in range(2):  # the second time only for a nonce that went stale at once
            if answer.status != 401:
                break
            answered = self._challenge is not None
            challenge = choose(answer.every("www-authenticate"))
            if challenge is None or self._feed.credential is None:
                raise _Refused("it wants a login that is not there or of an unknown kind")
            if answered and not challenge.stale and self._uses <= 1:
                self._logins.refuse(self._feed, monotonic())
                raise _Refused("401: the login was refused")
            permit = self._logins.permit(self._feed, monotonic())
            if permit != "free":
                raise _Refused(f"the login is {permit}")
            self._challenge, self._uses = challenge, 0
            answer = await self._once(method, url, headers)
        if answer.status == 401:
            self._logins.refuse(self._feed, monotonic())
            raise _Refused("401: the login was refused")
        if self._challenge is not None:
            self._logins.accept(self._feed)
        if not 200 <= answer.status < 300:
            raise _Refused(f"{method}: {answer.status} {answer.reason[:80]}")
        return answer

    async def _once(self, method: str, url: str, headers: tuple[tuple[str, str], ...]) -> Answer:
        challenge, credential = self._challenge, self._feed.credential
        if challenge is not None and credential is not None:
            self._uses += 1
            cnonce = secrets.token_hex(8)
            login = authorize(challenge, credential, method, url, count=self._uses, cnonce=cnonce)
            headers = (*headers, ("Authorization", login))
        async with asyncio.timeout(self._settings.answer_s):
            return await self._wire.ask(method, url, headers)


def _counting(meter: StreamMeter, channel: int, wire: Wire) -> Callable[[int, bytes], None]:
    def count(on: int, data: bytes) -> None:
        if on != channel:  # reports, and other tracks
            return
        packet = parse_rtp(data)
        if packet is not None:
            meter.add(packet, monotonic())
        if meter.bytes > MOST_BYTES:
            wire.abort()

    return count


def track_url(base: str, control: str) -> str:
    """Return the address of a track (RFC 2326 C.1.1); it is only ever sent on our connection."""
    if control in {"", "*"}:
        url = base
    elif control.lower().startswith("rtsp://"):
        url = control
    elif "?" in base:  # cameras keep the stream's number in the query: what they append, they read
        url = f"{base}/{control}" if not base.endswith("/") else f"{base}{control}"
    else:
        slashed = base if base.endswith("/") else f"{base}/"
        url = f"rtsp:{urljoin(slashed[slashed.index(':') + 1 :], control)}"
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise _Refused("the description gives the track an address that cannot be sent")
    return url
