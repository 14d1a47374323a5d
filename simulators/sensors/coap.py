"""CoAP clients that PUT confirmable messages: aiocoap lives here."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self
from zlib import crc32

import aiocoap
from aiocoap import error

from gateway_core.errors import Unavailable

_ANSWER_S = 60.0


class CoapSender:
    """Sends payloads to one CoAP server; a context manager.

    A client waits for an answer before it sends on (NSTART is 1: RFC 7252, 4.7), so a fleet at
    one endpoint would be as slow as one device. Devices are therefore spread over endpoints.

    Args:
        url: ``coap://host:port``.
        endpoints: Sockets, each a client of its own.
    """

    def __init__(self, url: str, endpoints: int = 32) -> None:
        self._url = url.rstrip("/")
        self._endpoints = endpoints
        self._contexts: list[Any] = []
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the sockets."""
        for _ in range(self._endpoints):
            context = await aiocoap.Context.create_client_context()
            self._open.push_async_callback(context.shutdown)
            self._contexts.append(context)
        return self

    async def put(self, device: str, path: str, payload: bytes, content_format: int | None) -> str:
        """PUT ``payload`` and return the answer's code, for example ``2.04``.

        Args:
            device: Who speaks; always from the same endpoint.
            path: Without a slash at the beginning.
            payload: The message.
            content_format: Its CoAP Content-Format, or None.

        Raises:
            Unavailable: No answer after the retransmissions of RFC 7252, 4.2.
        """
        message = aiocoap.Message(
            code=aiocoap.Code.PUT,
            uri=f"{self._url}/{path}",
            payload=payload,
            content_format=content_format,
        )
        context = self._contexts[crc32(device.encode()) % self._endpoints]
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = await context.request(message).response
        except (error.Error, OSError, TimeoutError) as exc:
            raise Unavailable(f"{self._url}: {exc!r}") from exc
        return str(answer.code.dotted)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close the sockets."""
        await self._open.aclose()
