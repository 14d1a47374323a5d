"""A CoAP client that PUTs confirmable messages: aiocoap lives here."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import aiocoap
from aiocoap import error

from gateway_core.errors import Unavailable

_ANSWER_S = 60.0


class CoapSender:
    """Sends payloads to one CoAP server; a context manager.

    Args:
        url: ``coap://host:port``.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._context: Any = None

    async def __aenter__(self) -> Self:
        """Open the socket."""
        self._context = await aiocoap.Context.create_client_context()
        return self

    async def put(self, path: str, payload: bytes, content_format: int | None) -> str:
        """PUT ``payload`` and return the answer's code, for example ``2.04``.

        Raises:
            Unavailable: No answer after the retransmissions of RFC 7252, 4.2.
        """
        message = aiocoap.Message(
            code=aiocoap.Code.PUT,
            uri=f"{self._url}/{path}",
            payload=payload,
            content_format=content_format,
        )
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = await self._context.request(message).response
        except (error.Error, OSError, TimeoutError) as exc:
            raise Unavailable(f"{self._url}: {exc!r}") from exc
        return str(answer.code.dotted)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close the socket."""
        await self._context.shutdown()
