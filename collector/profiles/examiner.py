"""Examines what a stranger sent in a process of its own, which has a time and is then killed.

A profile is data, but its vectors run its decoder, and its codecs are a vendor's code: a mistake or
malice there must not hold up a collector. Started by `examine_apart` only::

    python -m collector.profiles.examiner < request > outcome
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from device_profiles.bundle import PROFILE, unpack
from device_profiles.examination import Examined, examine
from device_profiles.fields import Field
from gateway_core.errors import PayloadError, Unavailable

PATIENCE_S = 60.0
"""Seconds that an examination may take."""
_MEMORY = 4 << 30
_CPU_S = 60
_ONE_AT_A_TIME = asyncio.Semaphore(1)


class Request(msgspec.Struct, frozen=True):
    """What to examine.

    Attributes:
        path: The profile's file.
        previous: The version that it follows; empty: none.
        known: Every field that is stored already.
    """

    path: str
    previous: str
    known: list[Field]


async def examine_apart(
    bundle: bytes,
    previous: bytes | Path | None,
    known: Sequence[Field],
    patience_s: float = PATIENCE_S,
) -> Examined:
    """Return the outcome of the examination of a bundle.

    Args:
        bundle: Its bytes.
        previous: The bundle, or the file that ships, that it follows; None: it is the first.
        known: Every field that is stored already.
        patience_s: Seconds until the process is killed.

    Raises:
        PayloadError: ``bad_bundle``, or ``too_slow``: it was not done in time.
        Unavailable: The process ended otherwise.
    """
    async with _ONE_AT_A_TIME:
        with tempfile.TemporaryDirectory(prefix="tidegate-examine-") as name:
            folder = Path(name)
            path = await asyncio.to_thread(unpack, bundle, folder / "new")
            before = previous
            if isinstance(before, bytes):
                before = await asyncio.to_thread(unpack, before, folder / "old") / PROFILE
            request = Request(str(path / PROFILE), str(before or ""), list(known))
            return await _run(msgspec.json.encode(request), patience_s)


async def _run(request: bytes, patience_s: float) -> Examined:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "collector.profiles.examiner",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(patience_s):
            out, err = await child.communicate(request)
    except TimeoutError as exc:
        detail = f"its vectors did not run within {patience_s:g} s: make fewer or cheaper ones"
        raise PayloadError("too_slow", detail) from exc
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()  # its worker goes with it
        await child.wait()
    try:
        return msgspec.json.decode(out, type=Examined)
    except msgspec.MsgspecError as exc:
        why = err.decode(errors="replace").strip().rpartition("\n")[2][:300]
        raise Unavailable(f"the examination ended with {child.returncode}: {why}") from exc


def main() -> None:
    """Examine what standard input asks for."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever is logged or printed meanwhile is no part of the outcome
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    previous = Path(request.previous) if request.previous else None
    found = examine(Path(request.path), request.known, previous)
    with os.fdopen(answer, "wb") as out:
        out.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
