"""Need: 50,000 CoAP CON PUT of 60 bytes a second at 12 us of CPU each, 2.04 after the commit.

A crowd of sockets in one process, each with a few requests under way, asks a real agent, and in the
same run aiocoap's server and libcoap's, which keep nothing. Requests are encoded before the clock
starts. CPU is that of the server's process; the agent's runs until everything is committed.
"""

from __future__ import annotations

import argparse
import json
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.agent import cpu_s, peak_mb
from edge_agent.sources.coap_message import CON, CONTENT_FORMAT, PUT, URI_PATH, Message, encode
from tests.e2e.city import PYTHON, City, wait_for
from tests.fakes.ports import free_port

SOCKETS, WINDOW, DEVICES = 50, 40, 5_000
FEW = 4
"""Requests under way of each socket that servers with the system's small buffer do not drop."""
RETRY_S = 2.0

AIOCOAP = """
import asyncio, sys
from aiocoap import Context, Message, resource
from aiocoap.numbers.codes import CHANGED
class Up(resource.Resource):
    async def render_put(self, request):
        return Message(code=CHANGED)
class Site(resource.Site):
    async def render(self, request):
        return await Up().render_put(request)
async def main():
    await Context.create_server_context(Site(), bind=("127.0.0.1", int(sys.argv[1])))
    await asyncio.Event().wait()
asyncio.run(main())
"""


def requests(messages: int) -> list[bytes]:
    """Encode what the devices say, 60 bytes of JSON each."""
    out = []
    for n in range(messages):
        device = f"sim-env-{n % DEVICES:05d}"
        said = {"temperature": 20 + n % 100 / 10, "humidity": 40 + n % 50 / 10, "seq": n + 1}
        payload = json.dumps(said, separators=(",", ":")).encode().ljust(60)
        path = ((URI_PATH, b"tg"), (URI_PATH, device.encode()), (URI_PATH, b"up"))
        options = (*path, (CONTENT_FORMAT, b"\x32"))
        token = n.to_bytes(4, "big")
        out.append(encode(Message(CON, PUT, n & 0xFFFF, token, options, payload)))
    return out


class Crowd:
    """Sockets that keep a window of requests under way and send again what stays unanswered."""

    def __init__(self, port: int, datagrams: list[bytes], window: int = WINDOW) -> None:
        self._selector = selectors.DefaultSelector()
        self.answered: dict[int, int] = {}
        for at in range(SOCKETS):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect(("127.0.0.1", port))
            sock.setblocking(False)
            asker = _Asker(sock, datagrams[at::SOCKETS], window)
            self._selector.register(sock, selectors.EVENT_READ, asker)

    def run(self) -> dict[int, int]:
        """Ask everything; return answers by code."""
        askers = [key.data for key in self._selector.get_map().values()]
        for asker in askers:
            asker.fill()
        while not all(asker.done for asker in askers):
            for key, _ in self._selector.select(0.2):
                key.data.hear(self.answered)
            now = time.monotonic()
            for asker in askers:
                asker.again(now)
        for asker in askers:
            asker.sock.close()
        return self.answered


class _Asker:
    def __init__(self, sock: socket.socket, datagrams: list[bytes], window: int) -> None:
        self.sock = sock
        self._window = window
        self._rest = datagrams[::-1]
        self._open: dict[bytes, bytes] = {}
        self._heard = time.monotonic()

    @property
    def done(self) -> bool:
        return not self._rest and not self._open

    def fill(self) -> None:
        while self._rest and len(self._open) < self._window:
            data = self._rest.pop()
            self._open[data[2:8]] = data
            self.sock.send(data)

    def hear(self, answered: dict[int, int]) -> None:
        self._heard = time.monotonic()
        while True:
            try:
                data = self.sock.recv(200)
            except BlockingIOError:
                break
            if data[1] and self._open.pop(data[2:8], None):
                answered[data[1]] = answered.get(data[1], 0) + 1
        self.fill()

    def again(self, now: float) -> None:
        if self._open and now - self._heard > RETRY_S:
            self._heard = now
            for data in self._open.values():
                self.sock.send(data)


def agent(datagrams: list[bytes], warm: list[bytes]) -> dict[str, float]:
    """Ask the agent, everything on; it uploads to a collector that only thanks."""
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder))
        try:
            receiver = Path(__file__).with_name("receiver.py")
            thanks = subprocess.Popen([PYTHON, str(receiver), str(city.intake_port)])
            edge = city.edge()
            config = Path(edge.command[-1])
            text = config.read_text()
            at = f"coap: {{listen: '{city.at(city.coap_port)}'"
            config.write_text(text.replace(at, f"{at}, rate_per_source: 1000000"))
            edge.start()
            assert edge.process is not None
            process = psutil.Process(edge.process.pid)
            Crowd(city.coap_port, warm).run()
            head = city.edge_status()["head"]
            wait_for("warm-up", lambda: city.settled("uplink") and city.settled("archive"))
            before, began = cpu_s(process), time.monotonic()
            answered = Crowd(city.coap_port, datagrams).run()
            seconds, committed = time.monotonic() - began, cpu_s(process) - before
            assert answered == {68: len(datagrams)}, answered
            assert city.edge_status()["head"] >= head + len(datagrams)
            wait_for("uplink", lambda: city.settled("uplink") and city.settled("archive"))
            whole = cpu_s(process) - before
            thanks.terminate()
            thanks.wait()
            return {
                "per_s": len(datagrams) / seconds,
                "committed_us": committed / len(datagrams) * 1e6,
                "cpu_us": whole / len(datagrams) * 1e6,
                "peak_mb": peak_mb(process.pid),
            }
        finally:
            city.close()


def other(command: list[str], port: int, datagrams: list[bytes]) -> dict[str, float]:
    """Ask a server that keeps nothing."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        process = psutil.Process(server.pid)
        before, began = cpu_s(process), time.monotonic()
        answered = Crowd(port, datagrams, FEW).run()
        seconds, used = time.monotonic() - began, cpu_s(process) - before
        count = sum(answered.values())
        return {"per_s": count / seconds, "cpu_us": used / count * 1e6}
    finally:
        server.terminate()
        server.wait()


def libcoap() -> str | None:
    """The example server of libcoap, under the name of any of its builds."""
    names = ("coap-server", "coap-server-notls", "coap-server-openssl", "coap-server-gnutls")
    return next((path for path in map(shutil.which, names) if path), None)


def measure(messages: int) -> dict[str, dict[str, float]]:
    """Run all three."""
    datagrams = requests(messages + DEVICES)
    found = {"agent": agent(datagrams[DEVICES:], datagrams[:DEVICES])}
    port = free_port("127.0.0.1", socket.SOCK_DGRAM)
    few = datagrams[: max(5_000, messages // 20)]
    found["aiocoap server"] = other([PYTHON, "-c", AIOCOAP, str(port)], port, few)
    program = libcoap()
    if program is not None:
        port = free_port("127.0.0.1", socket.SOCK_DGRAM)
        command = [program, "-A", "127.0.0.1", "-p", str(port), "-d", "10000", "-v", "0"]
        found["libcoap's coap-server"] = other(command, port, datagrams[:messages])
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=100_000)
    print(json.dumps(measure(parser.parse_args().messages), indent=1))
