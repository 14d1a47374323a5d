"""HTTP with a camera: one request, one capped answer, with HTTP Digest where asked. aiohttp's home.

Invariants: the address is the caller's to check, redirects are not followed, a password is never
sent in the clear, and an answer has a cap and a deadline.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from edge_agent.cameras.address import bracketed
from edge_agent.cameras.challenge import Challenge, authorize, choose
from edge_agent.cameras.evidence import DeviceFault
from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.logins import Logins
from gateway_core.errors import GatewayError


class OnvifError(GatewayError):
    """A call to a device that did not succeed.

    Attributes:
        fault: Its code.
        unsupported: The device does not know the operation; another one may do.
        detail: For people.
    """

    def __init__(self, fault: DeviceFault, detail: str, *, unsupported: bool = False) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.unsupported = unsupported
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Request:
    """What to send.

    Attributes:
        method: ``GET`` or ``POST``.
        url: Percent-encoded; its host is the registered one.
        limit: Longest answer that is read, in bytes.
        deadline_s: For the whole exchange, in seconds.
        body: Empty for ``GET``.
        headers: Beyond those that HTTP needs.
        address: Where the host was found; no name is looked up here.
    """

    method: str
    url: str
    limit: int
    deadline_s: float
    body: bytes = b""
    headers: Mapping[str, str] | None = None
    address: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status: HTTP status; a redirect is handed over as it is.
        challenges: The ``WWW-Authenticate`` headers.
        date: The ``Date`` header.
        body: As sent, never decompressed.
    """

    status: int
    challenges: tuple[str, ...]
    date: str | None
    body: bytes


def open_session(connections: int) -> aiohttp.ClientSession:
    """Return a session for all cameras: no cookies, no proxy, no decompression.

    Args:
        connections: How many may be open at once.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections, limit_per_host=2, keepalive_timeout=2, use_dns_cache=False
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"Accept-Encoding": "identity", "User-Agent": "tidegate"},
        auto_decompress=False,
        trust_env=False,
    )


class Exchange:
    """Sends requests, and remembers in `Logins` which nonces may be used again."""

    def __init__(self, session: aiohttp.ClientSession, logins: Logins) -> None:
        self._session = session
        self._logins = logins

    async def send(self, request: Request, credential: Credential | None) -> Reply:
        """Send a request and return the answer, whatever its status.

        Args:
            request: What to send.
            credential: For HTTP Digest; None to send none.

        Raises:
            OnvifError: There is no whole answer.
        """
        try:
            async with asyncio.timeout(request.deadline_s):
                if credential is None:
                    return await self._once(request, "")
                return await self._with_digest(request, credential)
        except TimeoutError as exc:
            raise OnvifError("onvif_timeout", "no whole answer in time") from exc
        except (aiohttp.ClientConnectionError, OSError) as exc:
            raise OnvifError("onvif_unreachable", str(exc)[:120]) from exc
        except (aiohttp.ClientError, ValueError) as exc:
            raise OnvifError("onvif_malformed", str(exc)[:120]) from exc

    async def _with_digest(self, request: Request, credential: Credential) -> Reply:
        address = URL(request.url, encoded=True)
        account = (address.host or "", address.port or 80, credential)
        remembered = self._logins.nonce(*account)
        if remembered is None:
            reply = await self._once(request, "")
        else:
            reply = await self._once(request, _authorization(request, credential, *remembered))
            if reply.status == 401:
                fresh = choose(reply.challenges, basic=False)
                self._logins.drop(*account, stale=fresh is not None and fresh.stale)
        for _ in range(2):  # the second time only for a nonce that went stale at once
            challenge = choose(reply.challenges, basic=False)
            if reply.status != 401 or challenge is None:
                break
            reply = await self._once(request, _authorization(request, credential, challenge, 1))
            if reply.status != 401:
                self._logins.keep(*account, challenge)
                break
            fresh = choose(reply.challenges, basic=False)
            if fresh is None or not fresh.stale:
                break
        return reply

    async def _once(self, request: Request, authorization: str) -> Reply:
        headers = dict(request.headers or {})
        if authorization:
            headers["Authorization"] = authorization
        url = URL(request.url, encoded=True)
        if request.address and request.address != url.host:
            headers["Host"] = url.authority
            url = URL(_at(request.address, url), encoded=True)
        async with self._session.request(
            request.method,
            url,
            data=request.body or None,
            headers=headers,
            allow_redirects=False,
        ) as response:
            taken = bytearray()
            async for chunk in response.content.iter_any():
                taken += chunk
                if len(taken) > request.limit:
                    response.close()
                    raise OnvifError("onvif_malformed", f"over {request.limit} bytes of answer")
            return Reply(
                status=response.status,
                challenges=tuple(response.headers.getall("WWW-Authenticate", [])),
                date=response.headers.get("Date"),
                body=bytes(taken),
            )


def _at(address: str, url: URL) -> str:
    return f"http://{bracketed(address)}:{url.port}{url.raw_path_qs}"


def _authorization(
    request: Request, credential: Credential, challenge: Challenge, count: int
) -> str:
    value = authorize(
        challenge,
        credential,
        request.method,
        URL(request.url, encoded=True).raw_path_qs,
        count=count,
        cnonce=secrets.token_hex(8),
        body=request.body,
    )
    # aiohttp writes headers as UTF-8; what stands for bytes must become characters first.
    return value.encode("latin-1").decode("utf-8", "replace")
