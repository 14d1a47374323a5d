"""Serve the people's listener in this event loop: uvicorn lives here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from fastapi import FastAPI

_KEEP_ALIVE_S = 20
_AT_ONCE = 500
_LEAVE_S = 3.0


class _Server(uvicorn.Server):
    """Leaves signals to the composition root, which stops every part in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve_api(app: FastAPI, sockets: Sequence[socket.socket]) -> None:
    """Answer on ``sockets`` until cancelled; requests under way then get some seconds more."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        limit_concurrency=_AT_ONCE,
        timeout_graceful_shutdown=int(_LEAVE_S),
    )
    server = _Server(config)
    try:
        await server.serve(sockets=list(sockets))
    except asyncio.CancelledError:
        server.should_exit = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await server.shutdown(sockets=list(sockets))
        raise
