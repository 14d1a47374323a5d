"""A cage for memory: a control group of the kernel's, of version 1 or 2; root only."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")

_HOG = """
import sys
open("/proc/self/oom_score_adj", "w").write("-1000")  # the kernel takes another one
held = []
print("ready", flush=True)
sys.stdin.readline()
while len(held) < 256:
    held.append(b"x" * (1 << 20))
    print(len(held), flush=True)
sys.stdin.readline()
"""


class Cage:
    """One control group; made by `caged`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._limit = "memory.max" if folder.parent == _V2 else "memory.limit_in_bytes"
        (folder / self._limit).write_text("max" if folder.parent == _V2 else "-1")

    def take(self, pid: int) -> None:
        """Put a process in; what it holds already is not counted."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def narrow(self, size: int) -> None:
        """Let the processes in it have so many bytes from now on."""
        (self.folder / self._limit).write_text(str(size))

    @property
    def killed(self) -> int:
        """How many processes the kernel killed because there was no more."""
        told = "memory.events" if self._limit == "memory.max" else "memory.oom_control"
        lines = (self.folder / told).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    @contextlib.contextmanager
    def neighbour(self) -> Iterator[subprocess.Popen[bytes]]:
        """A process in it that takes 256 MiB once a line is written to it."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        hog = subprocess.Popen([sys.executable, "-c", _HOG], **pipes)
        try:
            assert hog.stdout is not None
            assert hog.stdout.readline() == b"ready\n"
            self.take(hog.pid)
            yield hog
        finally:
            hog.kill()
            hog.communicate(timeout=30)  # nobody waits for ever for one that the kernel keeps


@contextlib.contextmanager
def caged() -> Iterator[Cage]:
    """Make a control group, and remove it."""
    above = _V1 if _V1.is_dir() else _V2
    folder = above / f"tidegate-test-{os.getpid()}"
    if above == _V2:
        (above / "cgroup.subtree_control").write_text("+memory")
    folder.mkdir()
    try:
        yield Cage(folder)
    finally:
        folder.rmdir()
