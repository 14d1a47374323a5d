"""Trials of this edge: one process for each, watched, ended with the agent."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import msgspec

from edge_agent.versions.trial import Job, Progress
from gateway_core.errors import PayloadError, Unavailable

SILENT_S = 120.0
"""A trial that says nothing for so long hangs on a message, and is ended."""
_LINE = 8 << 20


async def run_trial(job: Job) -> AsyncIterator[Progress]:
    """Yield how a trial goes; its process ends with the iteration.

    Raises:
        PayloadError: ``bad_version``: a version does not load.
        Unavailable: The process ended or hung; why is in the message.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge_agent.versions.trial",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        await process.stdin.drain()
        while True:
            try:
                async with asyncio.timeout(SILENT_S):
                    line = await process.stdout.readline()
            except TimeoutError as exc:
                raise Unavailable(f"the trial said nothing for {SILENT_S:.0f} s") from exc
            if not line:
                raise Unavailable(f"the trial ended with status {await process.wait()}")
            progress = msgspec.json.decode(line, type=Progress)
            if progress.trouble:
                raise PayloadError("bad_version", progress.trouble)
            yield progress
            if progress.done:
                return
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
