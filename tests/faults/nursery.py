"""Programs that are started without their imports: those are done once, in a process that forks.

Three quarters of what a start costs is importing modules, which is not what a laboratory of starts
is about. The nursery imports edge agent and collector, opens nothing and has one thread; each child
runs the program's own ``main`` with a command line of its own and is killed like any other process.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from tests.faults.killed_at import arm

ROOT = Path(__file__).parents[2]
KILLED_AT = "tests.faults.killed_at"
ANSWER_S = 60.0
PROGRAMS = ("edge_agent", "collector")


class Child:
    """A process that the nursery started; as far as is needed, it is used like a `Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except ProcessLookupError:  # it is over already
            self._handle, self.returncode = None, 1

    def poll(self) -> int | None:
        """Return None while it runs."""
        return self._over(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it is over."""
        status = self._over(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("child", timeout or 0.0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, and nobody else who got its number meanwhile."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _over(self, timeout: float | None) -> int | None:
        if self._handle is not None and select.select([self._handle], [], [], timeout)[0]:
            os.close(self._handle)
            self._handle, self.returncode = None, 1
        return self.returncode


class Nursery:
    """The process that forks; `close` ends it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()  # who asks beside another may get its answer, or none
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self._answer()

    def launch(self, command: Sequence[str], log: IO[bytes], env: Mapping[str, str]) -> Child:
        """Start ``[python, -m, program, …]``; what it prints goes to ``log``.

        In ``[python, -m, tests.faults.killed_at, point, program, …]`` it ends at that point.
        """
        assert command[1] == "-m", command
        module, *rest = command[2:]
        point = rest.pop(0) if module == KILLED_AT else ""
        program = rest.pop(0) if point else module
        order: dict[str, Any] = {
            "program": program,
            "point": point,
            "arguments": rest,
            "log": log.name,
        }
        order["env"] = {**env}
        assert self._process.stdin is not None
        with self._turn:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            return Child(int(self._answer()))

    def close(self) -> None:
        """End it; what it started was ended before."""
        self._process.terminate()
        self._process.communicate(timeout=10)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], ANSWER_S)[0]:
            raise AssertionError(f"the nursery said nothing in {ANSWER_S:g} s")
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise AssertionError("the nursery has ended")
        return line


def serve() -> None:
    """Import the programs, then fork for each order that comes in by standard input."""

    mains = {name: importlib.import_module(f"{name}.__main__").main for name in PROGRAMS}
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    print("ready", flush=True)  # noqa: T201 - the answer
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be(order, mains[order["program"]])
        print(pid, flush=True)  # noqa: T201 - the answer


def _be(order: dict[str, Any], main: Any) -> NoReturn:
    """Become the program."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        out = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for fd, to in ((nothing, 0), (out, 1), (out, 2)):
            os.dup2(fd, to)
        os.environ.update(order["env"])
        if order["point"]:
            arm(order["point"])
        status = main(order["arguments"])
    except BaseException:  # noqa: BLE001 - a process ends with what it has to say
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()
