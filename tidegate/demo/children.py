"""Processes that end with us, whichever way we end: each is known and ended by its process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from gateway_core.errors import GatewayError

T = TypeVar("T")

_KILLED_S = 5.0
_TAIL = 2000


@dataclass(frozen=True, slots=True)
class Child:
    """One process and where its output goes."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's id as well."""
        return self.process.pid

    def tail(self) -> str:
        """Return the end of its output."""
        with contextlib.suppress(OSError):
            return self.log.read_text(encoding="utf-8", errors="replace")[-_TAIL:].strip()
        return ""


class Children:
    """All processes that we started; a context manager that ends them.

    Each child leads a process group of its own, so that Ctrl-C in a terminal reaches us alone and
    we end them in order, and so that nothing that a child started outlives it. Where the kernel
    can (Linux, with util-linux's setpriv), a child is told to end even if we are killed.

    Args:
        logs: Folder for their output.
        patience_s: How long they may take to end by themselves.
    """

    def __init__(self, logs: Path, patience_s: float = 12.0) -> None:
        self._logs = logs
        self._patience_s = patience_s
        self._children: list[Child] = []
        self._watch: Callable[[Child], None] | None = None
        setpriv = shutil.which("setpriv")
        self._tether = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []

    async def __aenter__(self) -> Self:
        """Make the folder."""
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """End every process: politely, and for certain where that does not help."""
        try:
            for child in self._children:
                with contextlib.suppress(ProcessLookupError):
                    child.process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s):
                    for child in self._children:
                        await child.process.wait()
        finally:
            for child in self._children:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KILLED_S):
                for child in self._children:
                    await child.process.wait()

    @property
    def pids(self) -> dict[str, int]:
        """Name to process id."""
        return {child.name: child.pid for child in self._children}

    async def start(self, name: str, command: Sequence[str | Path], folder: Path) -> Child:
        """Start one.

        Args:
            name: For people, and of its log file.
            command: Program and arguments.
            folder: Where it runs.

        Raises:
            GatewayError: The program cannot be started.
        """
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._tether,
                    *map(str, command),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=folder,
                    start_new_session=True,
                )
            except OSError as exc:
                raise GatewayError(f"{name}: {command[0]} cannot be started: {exc}") from exc
        child = Child(name, process, log)
        self._children.append(child)
        if self._watch is not None:
            self._watch(child)
        return child

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what ``work`` returns, unless a process that it started ends before it.

        Raises:
            GatewayError: A process ended, with the end of its output; or what ``work`` raised.
        """
        watchers: list[asyncio.Task[NoReturn]] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                self._watch = lambda child: watchers.append(tasks.create_task(_watch(child)))
                result = await work
                for watcher in watchers:
                    watcher.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            self._watch = None
        return result


async def _watch(child: Child) -> NoReturn:
    code = await child.process.wait()
    raise GatewayError(f"{child.name} ended by itself with {code}; its last words:\n{child.tail()}")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one error out of a group: what went wrong first is told first."""
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
