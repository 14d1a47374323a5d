"""A name server on ``[::1]:53`` that knows one address, and can die; and a city that depends on it.

Run as a program in namespaces of its own (network and mounts): IPv4 is taken away first.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.e2e.city import City, wait_for

AAAA = 28
NAME = "collector.centre"
_SERVFAIL = b"\x81\x82\0\1\0\0\0\0\0\0"


class NameServer(threading.Thread):
    """Answers every question for an IPv6 address with ``::1``, and any other with nothing."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.asked, self.dead = 0, False
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._socket.bind(("::1", 53))

    def run(self) -> None:
        while True:
            question, who = self._socket.recvfrom(512)
            self.asked += 1
            end = question.index(b"\0", 12) + 5
            wanted = int.from_bytes(question[end - 4 : end - 2], "big")
            found = wanted == AAAA
            if self.dead:
                self._socket.sendto(question[:2] + _SERVFAIL + question[12:end], who)
                continue
            head = question[:2] + b"\x81\x80\0\1" + found.to_bytes(2, "big") + b"\0\0\0\0"
            address = socket.inet_pton(socket.AF_INET6, "::1")
            answer = b"\xc0\x0c\0\x1c\0\1\0\0\0\1\0\x10" + address if found else b""
            self._socket.sendto(head + question[12:end] + answer, who)

    def die(self) -> None:
        """Say from now on that nothing can be found out."""
        self.dead = True


def bound(host: str, family: socket.AddressFamily) -> bool:
    """Tell whether an address can be bound."""
    with socket.socket(family) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True


def resolves() -> bool:
    """Tell whether another program finds the name."""
    done = subprocess.run(["getent", "ahosts", NAME], stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def main(folder: Path) -> None:
    """Live through the death of the name server; print what became of it."""
    subprocess.run(["ip", "addr", "del", "127.0.0.1/8", "dev", "lo"], check=True)
    names = NameServer()
    names.start()
    city = City(folder, "::1")
    try:
        city.broker().start()
        centre, edge = city.centre(), city.edge()
        config = folder / "edge" / "edge.yaml"
        here = f"http://{city.at(city.intake_port)}"
        config.write_text(config.read_text().replace(here, f"http://{NAME}:{city.intake_port}"))
        centre.start()
        edge.start()
        city.wait_connected()
        known = resolves()
        city.say("d1", '{"temperature": 20.5, "seq": 1}')
        city.put("tg/d2/up", '{"temperature": 20.5, "seq": 2}')
        wait_for("both", lambda: len(city.delivered()) == 2)
        names.die()
        dead = not resolves()
        before = names.asked
        centre.kill()  # the connection that there was is gone, and so is what was known for seconds
        wait_for("the edge to ask the dead server", lambda: names.asked > before)
        centre.start()
        city.say("d1", '{"temperature": 20.5, "seq": 3}')
        wait_for("the third", lambda: len(city.delivered()) == 3)
        told = {
            "delivered": sorted(city.delivered()),
            "asked": names.asked > 0,
            "known": known,
            "dead": dead,
            "ipv4": bound("127.0.0.1", socket.AF_INET),
            "residual": city.edge_status()["residual"],
        }
    finally:
        city.close()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
