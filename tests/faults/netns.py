"""Two network namespaces with an IPv6 cable between them, which can be pulled.

Run as root, or as anybody where the system lets people make namespaces of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
LOOPBACK = 'ip link set lo up && exec "$0" "$@"'
"""First of all: some libraries look for IPv6 when they are imported."""
PLAIN = 'exec "$0" "$@"'
NEAR, FAR = "fd00::1", "fd00::2"


def alone(script: str, *words: str, of: str = "--net") -> subprocess.CompletedProcess[str]:
    """Run a Python script in a namespace of its own: of the network, or (``--mount``) of mounts."""
    unshare = ["unshare", of] if os.geteuid() == 0 else ["unshare", of, "--map-root-user"]
    return subprocess.run(
        [
            *unshare,
            "sh",
            "-c",
            LOOPBACK if of == "--net" else PLAIN,
            sys.executable,
            "-c",
            script,
            *words,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def ip(*words: str) -> None:
    """Call ``ip`` of iproute2."""
    subprocess.run(["ip", *words], check=True)


class Cable:
    """Leads from this namespace to another one; a context manager."""

    def __enter__(self) -> Self:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo made; exec sleep 300"], stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"made\n"
        pid = str(self._holder.pid)
        ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", pid)
        ip("addr", "add", f"{NEAR}/64", "dev", "near", "nodad")
        ip("link", "set", "near", "up")
        self.there("ip", "link", "set", "lo", "up")
        self.there("ip", "addr", "add", f"{FAR}/64", "dev", "far", "nodad")
        self.there("ip", "link", "set", "far", "up")
        return self

    def there(self, *command: str) -> None:
        """Run a command at the far end."""
        subprocess.run(self.reach(command), check=True)

    def reach(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs a command at the far end."""
        return ["nsenter", "-t", str(self._holder.pid), "-n", *command]

    def pull(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        self.there("ip", "link", "set", "far", "down")

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.wait()
