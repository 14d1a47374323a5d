"""Two machines on one link: network namespaces joined by a veth pair. Made by root, or with sudo."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

_AS_ROOT = () if os.geteuid() == 0 else ("sudo", "-n", "-E")


@dataclass(frozen=True, slots=True)
class Machine:
    """One end of the link.

    Attributes:
        interface: The link's name there.
        ipv4: Its address.
        ipv6: Its link-local address, where it has one.
    """

    interface: str
    ipv4: str
    ipv6: str
    holder: int

    def command(self, *words: str) -> list[str]:
        """Return a command that runs on this machine."""
        return [*_AS_ROOT, "nsenter", f"--net=/proc/{self.holder}/ns/net", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this machine to its end."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False)


@contextmanager
def linked(*, ipv6: bool = True) -> Iterator[tuple[Machine, Machine]]:
    """Two machines, 10.99.0.1 and 10.99.0.2, which reach one another and nobody else."""
    with ExitStack() as stack:
        first, second = (_namespace(stack) for _ in range(2))
        pair = (
            Machine("left0", "10.99.0.1", "fe80::1", first),
            Machine("right0", "10.99.0.2", "fe80::2", second),
        )
        left, right = pair
        peer = ("peer", "name", right.interface, "netns", str(second))
        _done(left.run("ip", "link", "add", left.interface, "type", "veth", *peer))
        for machine in pair:
            link = ("dev", machine.interface)
            _done(machine.run("ip", "link", "set", *link, "addrgenmode", "none"))
            _done(machine.run("ip", "address", "add", f"{machine.ipv4}/24", *link))
            six = ("ip", "-6", "address", "add", f"{machine.ipv6}/64", *link, "nodad")
            if ipv6:
                _done(machine.run(*six))
            _done(machine.run("ip", "link", "set", "lo", "up"))
            _done(machine.run("ip", "link", "set", machine.interface, "up"))
        yield pair


def _namespace(stack: ExitStack) -> int:
    """Return the process id of somebody who holds a new network namespace."""
    said = stack.enter_context(
        subprocess.Popen(
            [*_AS_ROOT, "unshare", "--net", "sh", "-c", "echo $$; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    assert said.stdin is not None
    assert said.stdout is not None
    stack.callback(said.stdin.close)  # cat ends, and the namespace with it
    return int(said.stdout.readline())


def _done(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr
