"""Tell systemd that the program is ready, alive or stopping (sd_notify(3), no library needed)."""

from __future__ import annotations

import asyncio
import os
import socket


def notify(state: str) -> bool:
    """Send ``state`` (``READY=1``, ``STOPPING=1``, ``STATUS=…``) to systemd; False without one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # Linux abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), address)
        except OSError:  # systemd went away: nothing here depends on it
            return False
    return True


async def watchdog() -> None:
    """Send ``WATCHDOG=1`` at half of ``WatchdogSec`` for ever; return at once without one.

    Run on the program's event loop, so that a loop which hangs is restarted.
    """
    wanted_us = int(os.environ.get("WATCHDOG_USEC", "0") or 0)
    pid = os.environ.get("WATCHDOG_PID")
    if not wanted_us or (pid and int(pid) != os.getpid()):
        return
    while notify("WATCHDOG=1"):  # noqa: ASYNC110  # a beat, not a wait for an event
        await asyncio.sleep(wanted_us / 2e6)
