"""On IPv6 alone, with a name server that dies: the whole road works, and goes on to where it led.

Broker, agent and collector are real and run in a network namespace of the test's, in which there
is no IPv4 address; `/etc/resolv.conf` names a server of the test's, in a mount namespace. Both are
gone when the test ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREPARE = 'mount --bind "$1" /etc/resolv.conf && ip link set lo up && shift && exec "$@"'


@pytest.mark.timeout(240)
@pytest.mark.fault("F17")
def test_on_ipv6_alone_the_road_goes_on_when_the_name_server_dies(tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver ::1\noptions timeout:1 attempts:1\n")
    program = [sys.executable, "-m", "tests.faults.name_server", str(tmp_path)]
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", "--net", "--mount", *rights, "sh", "-c", PREPARE, "sh", resolver, *program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "delivered": [["d1", 1], ["d1", 3], ["d2", 2]],
        "asked": True,
        "known": True,
        "dead": True,
        "ipv4": False,
        "residual": 0,
    }
