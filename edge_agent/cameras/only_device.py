"""What a WSDL client gets for an HTTP session: one device, no redirects, no answer without end."""

from __future__ import annotations

from typing import Any

from yarl import URL

from edge_agent.cameras.address import bracketed
from edge_agent.cameras.parse import MAX_BYTES
from gateway_core.errors import Unavailable


class OnlyDevice:
    """Stands in for an `aiohttp.ClientSession` that would go wherever a device sends it.

    Args:
        session: Does the work.
        host: The only one that is asked.
        port: Of it.
    """

    def __init__(self, session: Any, host: str, port: int) -> None:
        self._session = session
        self._origin = URL(f"http://{bracketed(host)}:{port}").origin()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def post(self, address: str, **options: Any) -> Any:
        """Post as the session does, and read the answer as far as it is allowed to be long.

        Raises:
            Unavailable: The address, or that of a redirect, is another one; it is too long.
        """
        if URL(address).origin() != self._origin:
            raise Unavailable(f"{self._origin} names another address for a service")
        response = await self._session.post(address, **options, allow_redirects=False)
        if 300 <= response.status < 400:
            response.close()
            raise Unavailable(f"{self._origin} sends us elsewhere (HTTP {response.status})")
        taken = bytearray()
        async for chunk in response.content.iter_any():
            taken += chunk
            if len(taken) > MAX_BYTES:
                response.close()
                raise Unavailable(f"{self._origin} answers with more than {MAX_BYTES} bytes")
        return _Whole(response, bytes(taken))

    async def get(self, address: str, **_: object) -> Any:
        """Fetch nothing: all descriptions of services are on this machine.

        Raises:
            Unavailable: Always.
        """
        raise Unavailable(f"{address[:200]} is not fetched")


class _Whole:
    def __init__(self, response: Any, body: bytes) -> None:
        self._response = response
        self._body = body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    async def read(self) -> bytes:
        return self._body
