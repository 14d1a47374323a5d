"""One RTSP connection: names resolved apart, answers matched to questions, errors told apart."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import deque
from collections.abc import Callable
from typing import cast

from edge_agent.cameras.challenge import Challenge
from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.rtsp import Answer, AnswerReader, encode_request
from edge_agent.cameras.verdict import Outcome
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


def connect_outcome(error: OSError) -> Outcome:
    """Say what a failed connection means."""
    if isinstance(error, socket.gaierror):
        return "name_unresolved"
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    return _ERRNO.get(error.errno or 0, "unreachable")


async def connect(addresses: list[str], port: int) -> Wire:
    """Connect to the first address that lets us; the caller sets the time limit."""
    loop = asyncio.get_running_loop()
    for address in addresses[:-1]:
        try:
            return (await loop.create_connection(Wire, address, port))[1]
        except OSError:
            continue
    return (await loop.create_connection(Wire, addresses[-1], port))[1]


class Wire(asyncio.Protocol):
    """One connection; answers are matched to questions by CSeq."""

    def __init__(self) -> None:
        self._reader = AnswerReader()
        self._answers: deque[Answer] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._cseq = 0
        self._answered = True
        self._login: tuple[Credential, Challenge] | None = None
        self._uses = 0
        self.asked = "the connection"

    @property
    def usable(self) -> bool:
        """Whether one more request may go out: it stands, and every one before was answered."""
        return self._error is None and self._answered

    def nonce(self, credential: Credential) -> tuple[Challenge, int] | None:
        """Return a challenge of this connection to answer unasked, and how often it was used."""
        if self._login is None or self._login[0] != credential:
            return None
        self._uses += 1
        return self._login[1], self._uses

    def keep_nonce(self, credential: Credential, challenge: Challenge) -> None:
        """Remember a challenge whose answer was just accepted on this connection."""
        if challenge.scheme == "digest":
            self._login, self._uses = (credential, challenge), 1

    def forget_nonce(self) -> None:
        """Do not answer it unasked again."""
        self._login = None

    def listen(self, media: Callable[[int, bytes], None]) -> None:
        """Give interleaved packets, with their channel, to somebody instead of skipping them."""
        self._reader.media = media

    async def lasts(self, seconds: float) -> bool:
        """Wait so long; return early, with False, when the connection ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._error is None:
                    self._waiter = asyncio.get_running_loop().create_future()
                    await self._waiter
        return self._error is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio says."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Collect answers."""
        if self._error is not None:
            return
        try:
            self._answers.extend(self._reader.feed(data))
        except PayloadError as exc:
            self._fail(exc)
        else:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let whoever waits know."""
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
        self.asked, self._answered = method, False
        self._transport.write(encode_request(method, url, self._cseq, headers))
        while True:
            while self._answers:
                answer = self._answers.popleft()
                if 100 <= answer.status < 200:
                    continue
                if answer.header("cseq") in {str(self._cseq), None}:  # some leave it out
                    self._answered = True
                    return answer
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
