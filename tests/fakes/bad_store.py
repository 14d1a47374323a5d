"""A server that keeps lines as InfluxDB does, and answers as badly as networks and servers do."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

Misdeed = Callable[["BadStore", list[str], asyncio.StreamWriter], Awaitable[None]]


class BadStore:
    """Takes ``/write`` and ``/api/v2/write``; does the next misdeed instead while there is one.

    Attributes:
        url: Where it listens.
        lines: Each line that it stored and how often.
        misdeeds: What to do with the next writes.
        writes: How many came.
    """

    def __init__(self) -> None:
        self.url = ""
        self.lines: dict[str, int] = {}
        self.misdeeds: deque[Misdeed] = deque()
        self.writes = 0

    def keep(self, lines: list[str]) -> list[str]:
        """Store the lines but for those that no InfluxDB stores; return these."""
        bad = [line for line in lines if ' t="' in line]
        for line in lines:
            if line in bad:
                continue
            self.lines[line] = self.lines.get(line, 0) + 1
        return bad

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while head := await reader.readuntil(b"\r\n\r\n"):
                    await self._request(head, reader, writer)
        finally:
            writer.transport.abort()

    async def _request(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        body = await reader.readexactly(int(fields.get(b"Content-Length", b"0")))
        if not head.startswith(b"POST") or b"write" not in head.split(b" ")[1]:
            answer(writer, 200, "{}")  # what a redirect makes of a POST
            return
        self.writes += 1
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        misdeed = self.misdeeds.popleft() if self.misdeeds else well
        await misdeed(self, plain.decode().split("\n"), writer)
        await writer.drain()


def answer(
    writer: asyncio.StreamWriter, status: int, text: str = "", kind: str = "application/json",
    more: str = "",
) -> None:  # fmt: skip
    body = text.encode()
    writer.write(
        f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"{more}\r\n".encode()
        + body
    )


async def well(store: BadStore, lines: list[str], writer: asyncio.StreamWriter) -> None:
    """Store; a field that was a number and is a text is refused."""
    bad = store.keep(lines)
    if bad:
        why = f"partial write: field type conflict: input field t dropped={len(bad)}"
        answer(writer, 400, f'{{"error":"{why}","code":"invalid","message":"{why}"}}')
    else:
        answer(writer, 204)


def said(status: int, text: str = "{}", kind: str = "application/json", more: str = "") -> Misdeed:
    """Store nothing and answer that."""

    async def misdeed(_: BadStore, __: list[str], writer: asyncio.StreamWriter) -> None:
        answer(writer, status, text, kind, more)

    return misdeed


async def stored_and_silent(
    store: BadStore, lines: list[str], _writer: asyncio.StreamWriter
) -> None:
    """Store everything and never answer."""
    store.keep(lines)
    await asyncio.sleep(60)


async def cut_off(store: BadStore, lines: list[str], writer: asyncio.StreamWriter) -> None:
    """Store and break the line in the middle of the answer."""
    store.keep(lines)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()


async def reset(_: BadStore, __: list[str], writer: asyncio.StreamWriter) -> None:
    """Break the line before anything was stored."""
    writer.transport.abort()


async def trickle(store: BadStore, lines: list[str], writer: asyncio.StreamWriter) -> None:
    """Store everything and answer a byte at a time, for ever."""
    store.keep(lines)
    writer.write(b"HTTP/1.1 204 No Content\r\nX: ")
    for _ in range(600):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def bad_store() -> AsyncIterator[BadStore]:
    """Serve one on a free port."""
    store = BadStore()
    tasks: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(store.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    store.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield store
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
