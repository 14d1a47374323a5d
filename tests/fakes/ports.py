"""Free ports for the programs that tests start."""

from __future__ import annotations

import secrets
import socket

FIRST, PAST = 10_240, 32_000
"""Below the ports that Linux gives to outgoing connections (32,768 and up by default): there another
test's client could take a port between our look and the program's bind."""


def free_port(host: str = "127.0.0.1", kind: int = socket.SOCK_STREAM) -> int:
    """Return a port that was free a moment ago; drawn without the tests' seed, which workers share."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = FIRST + secrets.randbelow(PAST - FIRST)
        with socket.socket(family, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
