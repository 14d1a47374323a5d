"""One real process, ended by its process id, and waiting for what it does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

DEADLINE_S = 60.0


def wait_for(
    what: str, ready: Callable[[], Any], seconds: float = DEADLINE_S, every_s: float = 0.05
) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = ready()
        if found:
            return found
        time.sleep(every_s)
    raise AssertionError(f"{what} did not come within {seconds:g} s")


class Process(Protocol):
    """What is needed of a `subprocess.Popen`."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: signal.Signals, /) -> None: ...
    def kill(self) -> None: ...


Launch = Callable[[list[str], IO[bytes], dict[str, str]], Process]


def popen(command: list[str], log: IO[bytes], env: dict[str, str]) -> Process:
    return subprocess.Popen(command, stdout=log, stderr=log, env=env)


@dataclass
class Program:
    """One process that can be ended, killed and started again with the same command."""

    name: str
    command: list[str]
    log: Path
    ready: Callable[[], bool]
    env: dict[str, str] = field(default_factory=dict)
    process: Process | None = None
    deadline_s: float = DEADLINE_S
    launch: Launch = popen

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self.process = self.launch(self.command, log, {**os.environ, **self.env})
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        def alive() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                tail = self.log.read_text(errors="replace")[-3000:]
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{tail}")
            return self.ready()

        wait_for(self.name, alive, self.deadline_s)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None
