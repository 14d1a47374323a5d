"""On a link of their own, an independent implementation of WS-Discovery and ours find one another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.link import Machine, linked

PUBLISH = """
import sys
from wsdiscovery import QName, Scope
from wsdiscovery.publishing import ThreadedWSPublishing
peer = ThreadedWSPublishing()
peer.start()
names = {name: f"http://www.onvif.org/ver10/{place}/wsdl" for name, place in
         (("NetworkVideoTransmitter", "network"), ("Device", "device"))}
scopes = [Scope("onvif://www.onvif.org/name/Gate%205"), Scope("onvif://www.onvif.org/hardware/X1")]
peer.publishService([QName(space, name) for name, space in names.items()], scopes,
                    [f"http://{sys.argv[1]}:8000/onvif/device_service"])
print("ready", flush=True)
sys.stdin.read()
peer.stop()
"""
RESPOND = """
import asyncio, socket, struct, sys
from tests.fakes.onvif_responder import _Device, camera
async def main():
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("239.255.255.250", 3702))
    index = socket.if_nametoindex(sys.argv[2])
    joined = struct.pack("4s4si", socket.inet_aton("239.255.255.250"), bytes(4), index)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    await loop.create_datagram_endpoint(lambda: _Device(sys.argv[1], camera), sock=sock)
    six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    six.bind(("::", 3702))
    group = socket.inet_pton(socket.AF_INET6, "ff02::c") + struct.pack("@I", index)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    await loop.create_datagram_endpoint(lambda: _Device(sys.argv[3], camera), sock=six)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"""
SEARCH = """
import json
from wsdiscovery import QName
from wsdiscovery.discovery import ThreadedWSDiscovery
peer = ThreadedWSDiscovery()
peer.start()
found = peer.searchServices(
    types=[QName("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")], timeout=2)
print(json.dumps([[each.getXAddrs(), [scope.getValue() for scope in each.getScopes()]]
                  for each in found]))
peer.stop()
"""


@contextmanager
def playing(machine: Machine, script: str, *words: str) -> Iterator[None]:
    """A script that runs on a machine until the block ends."""
    command = machine.command(sys.executable, "-c", script, *words)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        yield
        run.stdin.close()


def discovered(machine: Machine, *words: str) -> dict[str, dict]:
    told = machine.run(
        sys.executable,
        "-m",
        "tidegate",
        "edge",
        "camera",
        "discover",
        "--json",
        "--wait",
        "1s",
        *words,
    )
    assert told.returncode == 0, told.stderr
    return {each["host"]: each for each in json.loads(told.stdout)["devices"]}


def test_ours_finds_theirs() -> None:
    # without IPv6: theirs answers it from a socket of IPv4, and ends
    with linked(ipv6=False) as (here, there), playing(there, PUBLISH, there.ipv4):
        for words in (("--interface", here.interface), ("--probe", "10.99.0.0/30")):
            found = discovered(here, *words)[there.ipv4]
            assert (found["name"], found["hardware"], found["port"]) == ("Gate 5", "X1", 8000)
            assert found["types"] == ["NetworkVideoTransmitter", "Device"]
            assert found["interface"] == (here.interface if words[0] == "--interface" else "")


def test_theirs_and_ours_find_a_camera_over_both_versions_of_ip() -> None:
    with (
        linked() as (here, there),
        playing(there, RESPOND, there.ipv4, there.interface, there.ipv6),
    ):
        found = discovered(here)  # every interface that is up: only the link is
        assert sorted(found) == [there.ipv4, f"{there.ipv6}%{here.interface}"]
        assert "link_local" in found[f"{there.ipv6}%{here.interface}"]["notes"]
        told = here.run(sys.executable, "-c", SEARCH)
        assert told.returncode == 0, told.stderr
        addresses, scopes = json.loads(told.stdout)[0]
        assert addresses == [f"http://{there.ipv4}:8000/onvif/device_service"]
        assert "onvif://www.onvif.org/hardware/DS-2CD2143G0" in scopes
