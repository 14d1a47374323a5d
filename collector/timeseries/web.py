"""HTTP to a time-series server: one session, one place where aiohttp's errors are translated."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

from gateway_core.clock import NS, monotonic, wall_ns
from gateway_core.errors import Unavailable
from gateway_core.lifeline import DEAD_PEER_S, watched_socket
from gateway_core.retry_after import seconds_of

_GZIP_WBITS = 31


class Answer(NamedTuple):
    """What the server said.

    Attributes:
        status: HTTP status.
        body: Everything it sent.
        kind: Its Content-Type.
    """

    status: int
    body: bytes
    kind: str = ""

    @property
    def is_page(self) -> bool:
        """Whether it is meant for a browser."""
        return self.kind == "text/html" or self.body[:200].lstrip()[:1] == b"<"

    @property
    def text(self) -> str:
        """The body as text, cut to what fits into a log line."""
        return self.body[:2000].decode(errors="replace").strip()


class Web:
    """A server under one base URL; made by `open_web`.

    Attributes:
        url: The base URL.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, timeout_s: float) -> None:
        self._session = session
        self.url = url.rstrip("/")
        self._not_before = 0.0
        self._timeout_s = timeout_s
        self._near = is_near(url)

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        kind: str = "text/plain; charset=utf-8",
    ) -> Answer:
        """Send one request; waits first as long as an earlier answer's Retry-After asked for.

        Args:
            method: HTTP method.
            path: Below the base URL, with its leading slash.
            params: Query string.
            form: Sent as a form instead of `body`.
            body: Sent gzipped, unless the server is on this machine.
            kind: Content-Type of `body`.

        Raises:
            Unavailable: No answer, or one in the 300s or 500s, or 408 or 429: try again later.
        """
        headers: dict[str, str] = {}
        data: bytes | dict[str, str] | None = dict(form) if form is not None else None
        if body is not None:
            data, headers = body, {"Content-Type": kind}
            if not self._near:  # here a byte costs both less than to squeeze it
                squeeze = zlib.compressobj(1, wbits=_GZIP_WBITS)
                data = squeeze.compress(body) + squeeze.flush()
                headers["Content-Encoding"] = "gzip"
        await asyncio.sleep(max(0.0, self._not_before - monotonic()))
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.request(
                    method,
                    self.url + path,
                    params=params,
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                content = await response.read()
                answer = Answer(response.status, content, response.content_type)
                told = response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            why = str(exc) or type(exc).__name__
            raise Unavailable(f"{method} {self.url}{path}: {why}") from exc
        if answer.status in {429, 503}:
            wait_s = seconds_of(told.get("Retry-After", ""), wall_ns() / NS)
            self._not_before = monotonic() + wait_s
        if 300 <= answer.status < 400:
            where = told.get("Location", "nowhere")[:200]
            raise Unavailable(f"{method} {self.url}{path} is redirected to {where}: name that URL")
        if answer.status >= 500 or answer.status in {408, 429}:
            raise Unavailable(f"{method} {self.url}{path}: {answer.status} {answer.text[:300]}")
        return answer


def is_near(url: str) -> bool:
    """Tell whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.asynccontextmanager
async def open_web(
    url: str, authorization: str | None = None, timeout_s: float = 60.0
) -> AsyncIterator[Web]:
    """Open a session.

    Args:
        url: Base URL, without credentials.
        authorization: The header of that name, for example ``Token …``.
        timeout_s: For a whole request, answer included.
    """
    headers = {"Authorization": authorization} if authorization else {}
    connector = aiohttp.TCPConnector(socket_factory=watched_socket)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=DEAD_PEER_S)
    async with aiohttp.ClientSession(
        headers=headers, connector=connector, timeout=timeout
    ) as session:
        yield Web(session, url, timeout_s)
