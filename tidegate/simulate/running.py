"""How the commands run: for a time, until a signal, and with one error for people."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Annotated, Any

from cyclopts import Parameter

For = Annotated[str | None, Parameter(name="--for", help="How long; left out: until stopped.")]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run ``work`` and return what it returns; None when Ctrl-C ended it.

    Raises:
        BaseException: What ``work`` raised; one error out of a group is enough to tell a person.
    """
    from gateway_core.log import setup_logging

    setup_logging("warning")
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return None
    except BaseExceptionGroup as group:
        found: BaseException = group
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        raise found from group


async def run_for(work: Coroutine[Any, Any, None], seconds: float | None) -> None:
    """Run until a time or a signal ends it."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(seconds):
            await work
