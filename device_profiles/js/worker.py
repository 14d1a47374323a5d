"""The worker process: takes codecs and messages from one pipe, answers through another.

It has no network, no files, no other processes to reach, and less memory than it could do harm
with; whoever started it may kill it at any time. Started by `device_profiles.js.child` only::

    python -m device_profiles.js.worker PARENT_PID PLACE_FILE
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from device_profiles.js.installed import missing_engine
from device_profiles.js.wire import (
    FATAL,
    HEAD,
    PLACE,
    Call,
    Hello,
    Load,
    Reply,
    Request,
    Result,
    pack,
    read_request,
    spoken,
)

if TYPE_CHECKING:
    from device_profiles.js.bench import Bench

ADDRESS_SPACE = 512 << 20
OPEN_FILES = 16
RESIDENT = 160 << 20
"""Bytes in memory from which the warm contexts are given up."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_LOOK_EVERY = 512
_PIECE = 1 << 16
_READABLE = select.poll()
_READABLE.register(0, select.POLLIN)


def confine(parent: int) -> None:
    """Give up what a codec does not need; ends the process when its parent is gone already.

    Raises:
        OSError: The system refuses; nothing must be run then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        os._exit(0)  # it died before it could take us along
    limits = [
        (resource.RLIMIT_AS, ADDRESS_SPACE),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ]
    if os.geteuid() != 0:
        limits.append((resource.RLIMIT_NPROC, 0))
    for what, limit in limits:
        resource.setrlimit(what, (limit, limit))


def main(parent: int, place: int) -> None:
    """Answer requests until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is for the one who started us
    trouble = missing_engine()
    if trouble is None:
        try:
            confine(parent)
        except (OSError, ValueError) as exc:
            trouble = f"cannot confine itself: {exc}"
    _send(pack(Hello(trouble or "")))
    if trouble is None:
        _serve(mmap.mmap(place, PLACE.size))


def _serve(place: mmap.mmap) -> None:
    from device_profiles.js.bench import Bench  # the engine, only now that the limits stand

    bench = Bench(time.perf_counter)
    served = 0
    while (body := _receive()) is not None:
        _send(pack(_answer(bench, read_request(body), place)))
        served += 1
        if served % _LOOK_EVERY == 0 and _resident() > RESIDENT:
            bench.clear()


def _answer(bench: Bench, request: Request, place: mmap.mmap) -> Reply:
    if isinstance(request, Load):
        return Reply([bench.load(request)])
    if isinstance(request, Call):
        return Reply(_called(bench, request, place), bench.stateful(request.key))
    return Reply([], bench.check(request.key, request.inputs))


def _called(bench: Bench, request: Call, place: mmap.mmap) -> list[Result]:
    call, key, function, tell = bench.call, request.key, request.function, PLACE.pack_into
    results: list[Result] = []
    for at, given in enumerate(request.inputs):
        tell(place, 0, at)
        result = call(key, function, given)
        results.append(result)
        if result[0] in FATAL:
            break
    return results


def _receive() -> memoryview | None:
    """Return the next request; one at a time is on its way, so whatever comes belongs to it."""
    body = bytearray()
    size = HEAD.size
    while len(body) < size:
        spoken(_READABLE)
        part = os.read(0, _PIECE)
        if not part:
            return None
        body += part
        if len(body) >= HEAD.size:
            size = HEAD.size + HEAD.unpack_from(body)[0]
    return memoryview(body)[HEAD.size :]


def _send(frame: bytes) -> None:
    view = memoryview(frame)
    while view:
        view = view[os.write(1, view) :]


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
