"""The door for the command line: a socket in the data folder, for who may open that folder.

It takes one line, a command's name, and answers with lines of JSON: progress, then an end. Nothing
that an unknown peer on the network could reach may make copies of all data.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import structlog

from collector.snapshot import Snapshots
from gateway_core.errors import GatewayError, Unavailable

log = structlog.get_logger()

SOCKET = "control.sock"
SNAPSHOT = "snapshot"
_LINE = 4096
_EVERY_S = 0.2
MOST_PEERS = 16
"""Who may be at the door at a time; each more is told so and sent away."""

PATIENCE_S = 10.0
"""Seconds in which a peer must have said what it wants, and read what it is told."""


class Line(msgspec.Struct, omit_defaults=True):
    """One line of an answer.

    Attributes:
        done: Bytes done.
        whole: Bytes in all.
        folder: The end: where the copies are.
        error: The end: why there are none.
    """

    done: int = 0
    whole: int = 0
    folder: str = ""
    error: str = ""


@contextlib.asynccontextmanager
async def open_control(folder: Path, snapshots: Snapshots) -> AsyncIterator[None]:
    """Answer on a socket in ``folder`` while the block runs.

    Raises:
        Unavailable: The folder does not allow it.
    """
    peers = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal peers
        peers += 1
        try:
            with contextlib.closing(writer), contextlib.suppress(ConnectionError, TimeoutError):
                if peers > MOST_PEERS:
                    await _say(writer, Line(error=f"{MOST_PEERS} others ask already; ask again"))
                else:
                    await _answered(snapshots, reader, writer)
        finally:
            peers -= 1

    server = await asyncio.start_unix_server(answer, sock=_listening(folder), limit=_LINE)
    try:
        yield
    finally:
        server.close()
        with contextlib.suppress(OSError):
            (folder / SOCKET).unlink()


async def _answered(
    snapshots: Snapshots, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            command = (await reader.readline()).decode("ascii", "replace").strip()
    except ValueError:  # no end of a line within `_LINE` bytes
        command = ""
    if command == SNAPSHOT:
        await _snapshot(snapshots, reader, writer)
    else:
        await _say(writer, Line(error=f"no such command: {command[:64]!r}"))


async def _snapshot(
    snapshots: Snapshots, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Take a snapshot and tell how far it is; who hangs up wants it no more."""
    line = Line()

    def note(done: int, whole: int) -> None:
        line.done, line.whole = done, whole

    async with asyncio.TaskGroup() as group:
        taking = group.create_task(_taken(snapshots, note))
        gone = group.create_task(reader.read(1))
        while not taking.done():
            await asyncio.wait({taking, gone}, timeout=_EVERY_S, return_when="FIRST_COMPLETED")
            if gone.done() and not taking.done():
                taking.cancel()
                return
            await _say(writer, line)
        gone.cancel()
        await _say(writer, taking.result())


async def _taken(snapshots: Snapshots, note: Callable[[int, int], None]) -> Line:
    try:
        folder = await snapshots.take(note)
    except GatewayError as exc:
        log.warning("snapshot_failed", why=str(exc))
        return Line(error=str(exc))
    log.info("snapshot_taken", folder=str(folder))
    return Line(folder=str(folder))


async def ask_snapshot(data_dir: Path, progress: Callable[[int, int], None]) -> Path | None:
    """Have the collector that runs on a data folder take a snapshot; return its folder.

    Returns:
        None where none runs.

    Raises:
        Unavailable: It could not.
    """
    opened = _connected(data_dir)
    if opened is None:
        return None
    reader, writer = await asyncio.open_unix_connection(sock=opened, limit=_LINE)
    with contextlib.closing(writer):
        writer.write(f"{SNAPSHOT}\n".encode())
        await writer.drain()
        while data := await reader.readline():
            line = msgspec.json.decode(data, type=Line)
            if line.error:
                raise Unavailable(line.error)
            if line.folder:
                return Path(line.folder)
            progress(line.done, line.whole)
    raise Unavailable("the collector ended while it was taking a snapshot")


async def _say(writer: asyncio.StreamWriter, line: Line) -> None:
    writer.write(msgspec.json.encode(line) + b"\n")
    async with asyncio.timeout(PATIENCE_S):
        await writer.drain()


def _listening(folder: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as name:
            (folder / SOCKET).unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                made.bind(name)
            finally:
                os.umask(before)
    except OSError as exc:
        made.close()
        raise Unavailable(f"cannot listen on {folder / SOCKET}: {exc}") from exc
    return made


def _connected(folder: Path) -> socket.socket | None:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as name:
            made.connect(name)
    except PermissionError as exc:
        made.close()
        raise Unavailable(f"{folder / SOCKET}: {exc.strerror}; be root or its user") from exc
    except OSError:  # nobody is there, or only what a killed one left
        made.close()
        return None
    return made


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Give a name of the socket that fits, however deep the folder: 107 bytes are the limit."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET}"
    finally:
        os.close(handle)
