"""Hands pictures to worker processes and kills a worker that does not answer in time."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from types import TracebackType
from typing import Self

import msgspec

from edge_agent.cameras.picture import Measures, jpeg_size
from gateway_core.errors import PayloadError

WORKER = (sys.executable, "-m", "edge_agent.cameras.worker")
_LONGEST_ANSWER = 4096


def grading_available() -> bool:
    """Whether what the worker imports is installed (the ``camera`` extra)."""
    return all(importlib.util.find_spec(name) is not None for name in ("cv2", "numpy"))


class Grader:
    """A few workers, started when first needed and replaced after each misbehaviour.

    Args:
        workers: How many at most.
        deadline_s: Longest time for one picture, in seconds; covers a worker's start.
        command: What to start; tests put misbehaving workers here.
    """

    def __init__(
        self, workers: int = 1, deadline_s: float = 10.0, command: tuple[str, ...] = WORKER
    ) -> None:
        self._deadline_s = deadline_s
        self._command = command
        self._room = asyncio.Semaphore(workers)
        self._idle: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all workers."""
        while self._idle:
            await _kill(self._idle.pop())

    async def measure(self, jpeg: bytes, before: bytes = b"") -> Measures:
        """Measure one picture.

        Args:
            jpeg: Whole file.
            before: `Measures.profile` of the camera's last picture; empty without one.

        Raises:
            PayloadError: ``picture_unreadable``, ``picture_too_large``, ``picture_timeout`` or
                ``picture_crashed`` (the worker died over it).
        """
        width, height = jpeg_size(jpeg)
        async with self._room:
            worker = self._idle.pop() if self._idle else None
            healthy = False
            try:
                async with asyncio.timeout(self._deadline_s):
                    worker = worker or await self._start()
                    answer = await _ask(worker, jpeg, (width, height), before)
                healthy = True
            except TimeoutError as exc:
                raise PayloadError("picture_timeout", f"over {self._deadline_s} s") from exc
            except (asyncio.IncompleteReadError, ConnectionError) as exc:
                raise PayloadError("picture_crashed", "the worker died over it") from exc
            finally:
                if healthy and worker is not None:
                    self._idle.append(worker)
                elif worker is not None:
                    await _kill(worker)
        if not answer:
            raise PayloadError("picture_unreadable", "cannot be decoded")
        return msgspec.msgpack.decode(answer, type=Measures)

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "OPENCV_LOG_LEVEL": "SILENT", "OMP_NUM_THREADS": "1"},
        )


async def _ask(
    worker: asyncio.subprocess.Process, jpeg: bytes, size: tuple[int, int], before: bytes
) -> bytes:
    assert worker.stdin is not None
    assert worker.stdout is not None
    for number in (len(jpeg), *size, len(before)):
        worker.stdin.write(number.to_bytes(4, "big"))
    worker.stdin.write(before + jpeg)
    await worker.stdin.drain()
    length = int.from_bytes(await worker.stdout.readexactly(4), "big")
    if length > _LONGEST_ANSWER:
        raise ConnectionError("the worker's answer makes no sense")
    return await worker.stdout.readexactly(length)


async def _kill(worker: asyncio.subprocess.Process) -> None:
    if worker.stdin is not None:
        worker.stdin.close()
    if worker.returncode is None:
        worker.kill()
    await worker.wait()
