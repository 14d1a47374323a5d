"""What the operating system may tell a running agent."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator

import structlog

from gateway_core.errors import ConfigError

log = structlog.get_logger()


@contextlib.contextmanager
def handled_signals(
    ending: asyncio.Event, reload_files: Callable[[], Awaitable[None]], group: asyncio.TaskGroup
) -> Iterator[None]:
    """Stop at SIGTERM and SIGINT, reload at SIGHUP, while inside.

    Args:
        ending: Is set to stop.
        reload_files: Raises `ConfigError` when a file has a mistake.
        group: Runs it.
    """
    loop = asyncio.get_running_loop()

    async def reload() -> None:
        try:
            await reload_files()
        except ConfigError as exc:
            log.error("reload_refused", faults=str(exc))  # noqa: TRY400 - the faults say it all

    handlers: dict[signal.Signals, Callable[[], object]] = {
        signal.SIGTERM: ending.set,
        signal.SIGINT: ending.set,
        signal.SIGHUP: lambda: group.create_task(reload(), name="reload"),
    }
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
