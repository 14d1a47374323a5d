"""A peer that is gone without a word is noticed within seconds, by every client that we have.

The cable between two network namespaces is pulled while the clients wait for an answer or have
nothing to say. Without the kernel's help the MQTT clients took 45 s, those of InfluxDB their whole
deadline of 60 s.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from gateway_core.lifeline import DEAD_PEER_S, watched_socket
from tests.faults import half_open
from tests.faults.netns import alone

CLIENTS = {"MQTT 5", "MQTT 3.1.1", "uplink", "InfluxDB 1 and 3", "InfluxDB 2"}
LATE_S = 5  # a loaded machine


@pytest.mark.slow
@pytest.mark.fault("F7")
def test_a_pulled_cable_is_noticed_within_ten_seconds_by_every_client(tmp_path: Path) -> None:
    done = alone(Path(half_open.__file__).read_text("utf-8"), str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    noticed = json.loads(done.stdout.splitlines()[-1])
    assert noticed.keys() == CLIENTS
    assert max(noticed.values()) < DEAD_PEER_S + LATE_S, noticed
    assert min(noticed.values()) > 1, f"noticed before anything was amiss: {noticed}"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_watched_socket_asks_before_the_time_is_over(family: int) -> None:
    with watched_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ())) as sock:
        found = [
            sock.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPINTVL,
                socket.TCP_KEEPCNT,
                socket.TCP_USER_TIMEOUT,
            )
        ]
        assert found == [3, 2, 3, 9000]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
