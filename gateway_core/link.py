"""The link to the collector: one HTTP connection pool that notices a dead peer in seconds.

The only file of an edge's uplink, and of a collector's mirror, that knows HTTP. Everything that can
go wrong between here and an answer is `Unavailable`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from gateway_core.clock import NS, Clock, monotonic, wall_ns
from gateway_core.errors import ConfigError, Unavailable
from gateway_core.lifeline import DEAD_PEER_S, watched_socket
from gateway_core.retry_after import seconds_of
from gateway_core.tls import client_context
from gateway_core.wire import CLOCK_HEADER, CONTENT_TYPE

PATH = "/v1/batches"

MOST_ANSWER = 9 << 20
"""Bytes of an answer that are read: a bundle of profiles is the longest."""


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Where the collector is, and how this edge proves who it is.

    Attributes:
        url: ``http://`` or ``https://``, without a path.
        ca_file: Who may sign the collector's certificate; None: the system's list.
        cert_file: This edge's certificate chain.
        key_file: Its key.
        token_file: A bearer token instead of, or beside, the certificate.
        deadline_s: Longest time from the first byte sent to the last one of the answer.
    """

    url: str
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    token_file: Path | None = None
    deadline_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the collector said."""

    status: int
    body: bytes
    etag: str = ""


class Link:
    """An asynchronous context manager around the connections to one collector.

    Certificates and the token are read again when their files change, so that they can be
    renewed while the agent runs.
    """

    def __init__(self, options: LinkOptions, clock: Clock = wall_ns) -> None:
        self._options = options
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._resolver = _LastGood()
        self._seen: tuple[float, ...] = ()
        self._not_before = 0.0

    @property
    def url(self) -> str:
        """Where batches go."""
        return self.at(PATH)

    def at(self, path: str) -> str:
        """Return the address of a path below the collector's."""
        return self._options.url.rstrip("/") + path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._close()

    async def post(self, body: bytes, extra: Mapping[str, str] | None = None) -> Answer:
        """Send one upload and return the answer, whatever its status; as `ask`."""
        own = {"Content-Type": CONTENT_TYPE, CLOCK_HEADER: str(self._clock())}
        return await self.ask("POST", PATH, own | dict(extra or {}), body)

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """Send one request and return the answer, whatever its status.

        Args:
            method: ``GET`` or ``POST``.
            path: Below the collector's address.
            headers: Beside those that say who this edge is.
            body: What leaves; whoever gives one has entered it in the egress ledger.

        Waits first as long as an earlier answer's Retry-After asked for.

        Raises:
            Unavailable: There was no answer within the deadline, it is longer than `MOST_ANSWER`,
                or a certificate, key or token file cannot be read (which another try may find
                mended).
        """
        await asyncio.sleep(max(0.0, self._not_before - monotonic()))
        session = await self._opened()
        try:
            async with (
                asyncio.timeout(self._options.deadline_s),
                session.request(
                    method,
                    self.at(path),
                    data=body,
                    headers={**self._authorization(), **headers},
                    allow_redirects=False,
                ) as response,
            ):
                told = await response.content.read(MOST_ANSWER)
                while not response.content.at_eof() and len(told) < MOST_ANSWER:
                    told += await response.content.read(MOST_ANSWER - len(told))
                if response.status in {429, 503}:
                    self._hold(response.headers.get("Retry-After", ""))
                return Answer(response.status, told, response.headers.get("ETag", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            why = str(exc) or type(exc).__name__
            raise Unavailable(f"collector {self._options.url}: {why}") from exc

    def _hold(self, retry_after: str) -> None:
        """Remember how long the collector asked to be left alone (RFC 9110 section 10.2.3)."""
        self._not_before = monotonic() + seconds_of(retry_after, self._clock() / NS)

    def _authorization(self) -> dict[str, str]:
        path = self._options.token_file
        if path is None:
            return {}
        try:
            token = path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise Unavailable(f"token_file {path}: {exc}") from exc
        return {"Authorization": f"Bearer {token}"}

    async def _opened(self) -> aiohttp.ClientSession:
        files = (self._options.ca_file, self._options.cert_file, self._options.key_file)
        seen = tuple(_changed_at(path) for path in files if path is not None)
        if self._session is not None and seen == self._seen:
            return self._session
        await self._close()
        connector = aiohttp.TCPConnector(
            limit=4,
            ssl=self._tls() if self._options.url.startswith("https:") else True,
            socket_factory=watched_socket,
            resolver=self._resolver,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=DEAD_PEER_S),
            auto_decompress=False,
            trust_env=False,
        )
        self._seen = seen
        return self._session

    def _tls(self) -> ssl.SSLContext:
        options = self._options
        try:
            return client_context(options.ca_file, options.cert_file, options.key_file, "")
        except ConfigError as exc:
            raise Unavailable(f"certificates: {exc}") from exc

    async def _close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


class _LastGood(AbstractResolver):
    """Asks the system's resolver, and remembers the last answer for when it is dead."""

    def __init__(self) -> None:
        self._asked = ThreadedResolver()
        self._good: dict[tuple[str, int], list[ResolveResult]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host, IPv6 and IPv4."""
        try:
            async with asyncio.timeout(DEAD_PEER_S / 2):
                found = await self._asked.resolve(host, port, family)
        except (OSError, TimeoutError) as exc:
            known = self._good.get((host, port))
            if known is None:
                raise OSError(f"cannot resolve {host}") from exc
            return known
        self._good = {(host, port): found}
        return found

    async def close(self) -> None:
        """Let go of nothing: there is nothing."""
