"""A program that has no memory left ends at once, so that whoever watches over it starts it afresh.

What is acknowledged is on disk, so an abrupt end loses nothing; a program in which one thread or
one callback has died of it would look alive and be deaf.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import threading
from typing import Any, NoReturn

STATUS = 1
PROBE = 4 << 20
"""A message, its decoded form and a segment need about so much."""
LONGEST_END_S = 30.0
"""As systemd waits for an end (TimeoutStopSec); parts, flush and files take about ten at most."""
_WORDS = b"out_of_memory: the program ends, to be started afresh\n"


def end_now() -> NoReturn:
    """End the program, needing no memory for it."""
    os.write(2, _WORDS)
    os._exit(STATUS)


def end_when_exhausted(loop: asyncio.AbstractEventLoop) -> None:
    """See to it that a `MemoryError` which nobody awaits ends the program."""

    def in_callback(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        try:
            error = context.get("exception")
            if error is not None and is_of_exhaustion(error):
                end_now()
            loop.default_exception_handler(context)
        except MemoryError:
            end_now()

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and is_of_exhaustion(args.exc_value):
            end_now()
        threading.__excepthook__(args)

    loop.set_exception_handler(in_callback)
    threading.excepthook = in_thread


async def probe_memory() -> NoReturn:
    """Try once a second whether there is memory; run it beside everything else.

    Libraries of C turn a failed allocation into errors of their own, or close a socket and go on.

    Raises:
        MemoryError: There is none; under `supervise` the program ends.
    """
    while True:
        bytearray(PROBE)
        await asyncio.sleep(1)


def end_within(seconds: float = LONGEST_END_S) -> None:
    """Let the kernel end the program (SIGALRM) should an orderly end take longer than this.

    What hangs in an end is deaf for good, and no watchdog is told to wait for it. A thread that
    would do the same could not be started where memory is short.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def is_of_exhaustion(error: BaseException) -> bool:
    """Tell whether an error that would end a part may come of it that memory ran out.

    Libraries have words of their own for that, such as that no thread can be started; so it counts
    as well that there is no memory now.
    """
    if is_exhaustion(error):
        return True
    try:
        bytearray(PROBE)
    except MemoryError:
        return True
    return False


def is_exhaustion(error: BaseException) -> bool:
    """Tell whether an error, or one of a group, is that memory ran out."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_exhaustion(each) for each in error.exceptions)
    return isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    )
