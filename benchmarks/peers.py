"""Need: more messages a second than the gateway that cities know, and none lost when it is killed.

The same messages go through Tidegate (mosquitto, edge agent, collector with the embedded store) and
through the ThingsBoard IoT Gateway (mosquitto, gateway with SQLite storage and no rate limits, a
second mosquitto in ThingsBoard's place), and through Telegraf into an InfluxDB 1 where Telegraf's
program is on PATH (`benchmarks/telegraf.py` says how it is set). First as fast as mosquitto takes
them; then at a steady rate with kill -9 in the middle and a start two seconds later. What is lost
is found by number.

    python -m venv tb && tb/bin/pip install thingsboard-gateway
    python benchmarks/peers.py --thingsboard tb/bin/python
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import paho.mqtt.client as paho
import psutil
from paho.mqtt.enums import CallbackAPIVersion

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.agent import cpu_s
from benchmarks.telegraf import Telegraf
from tests.e2e.blast import Blaster, encoded, fleet
from tests.e2e.city import City, Program

DEVICES, QUIET_S, PATIENCE_S = 100, 15.0, 240.0

NO_LIMITS = {
    "maxPayloadSize": 65_536,
    "maxInflightMessages": 10_000,
    "rateLimits": {},
    "gatewayRateLimits": {},
}
START = (
    "import os; os.chdir(os.environ['TB_GW_CONFIG_DIR']);"  # where its logs are left
    " from thingsboard_gateway.tb_gateway import daemon; daemon()"
)
FIELDS = ("temperature", "humidity", "battery", "seq")


class Peer(Protocol):
    """Something that takes messages from a broker and hands them to a centre."""

    city: City
    program: Program

    def arrived(self) -> Counter[int]:
        """Count what reached the centre, by the message's number."""


class Tidegate:
    """Agent and collector."""

    def __init__(self, folder: Path) -> None:
        self.city = City(folder)
        self.city.broker().start()
        self.city.centre().start()
        self.program = self.city.edge()
        self.program.start()
        self.city.wait_connected()

    def arrived(self) -> Counter[int]:
        """Ask the store."""
        return Counter(seq for _, seq in self.city.delivered())


class ThingsBoard:
    """The gateway, and a broker that stands for ThingsBoard."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.city, self._centre = City(folder / "site"), City(folder / "centre")
        for each in (self.city, self._centre):
            each.folder.mkdir()
            each.broker().start()
        self._seen: Counter[int] = Counter()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "thingsboard")
        self._client.on_message = self._heard
        self._client.connect(self._centre.host, self._centre.mqtt_port)
        self._client.subscribe([("v1/gateway/telemetry", 1), ("v1/devices/me/rpc/request/+", 1)])
        self._client.loop_start()
        config = self._config(folder / "gateway")
        self.program = Program(
            "thingsboard-gateway",
            [str(python), "-c", START],
            folder / "gateway" / "log",
            lambda: True,
            {"TB_GW_CONFIG_DIR": str(config)},
        )
        self.city.programs.append(self.program)
        self.program.start()
        time.sleep(8)  # it says nowhere that it is ready

    def _heard(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.topic.startswith("v1/devices/me/rpc/request/"):  # it asks for its limits: none
            answer = message.topic.replace("request", "response")
            self._client.publish(answer, json.dumps(NO_LIMITS), qos=1)
            return
        for points in json.loads(message.payload).values():
            for point in points:
                if "seq" in point["values"]:
                    self._seen[point["values"]["seq"]] += 1

    def arrived(self) -> Counter[int]:
        """Return what the second broker gave out."""
        return Counter(self._seen)

    def close(self) -> None:
        """End the second broker."""
        self._client.loop_stop()
        self._centre.close()

    def _config(self, folder: Path) -> Path:
        (folder / "data").mkdir(parents=True)
        keys = [{"type": "double", "key": key, "value": f"${{{key}}}"} for key in FIELDS[:2]]
        keys += [{"type": "integer", "key": key, "value": f"${{{key}}}"} for key in FIELDS[2:]]
        device = {
            "deviceNameExpressionSource": "topic",
            "deviceNameExpression": "(?<=tg/)(.*?)(?=/up)",
            "deviceProfileExpressionSource": "constant",
            "deviceProfileExpression": "env",
        }
        converter = {
            "type": "json",
            "deviceInfo": device,
            "sendDataOnlyOnChange": False,
            "timeout": 60_000,
            "tsField": "${ts}",
            "attributes": [],
            "timeseries": keys,
        }
        broker = {
            "host": self.city.host,
            "port": self.city.mqtt_port,
            "clientId": "gateway",
            "version": 5,
            "maxMessageNumberPerWorker": 10,
            "maxNumberOfWorkers": 100,
            "cleanSession": False,
            "cleanStart": False,
            "sessionExpiryInterval": 3600,
            "security": {"type": "anonymous"},
        }
        mapping = {"topicFilter": "tg/+/up", "subscriptionQos": 1, "converter": converter}
        connector = {"broker": broker, "mapping": [mapping], "logLevel": "WARNING", "name": "mqtt"}
        (folder / "mqtt.json").write_text(json.dumps(connector))
        none = "0:0,"
        centre = {
            "host": self._centre.host,
            "port": self._centre.mqtt_port,
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False},
            "maxPayloadSizeBytes": 65_536,
            "minPackSendDelayMS": 0,
            "minPackSizeToSend": 500,
            "security": {"type": "accessToken", "accessToken": "benchmark"},
            "qos": 1,
            "rateLimits": none,
            "dpRateLimits": none,
            "messagesRateLimits": none,
            "deviceMessagesRateLimits": none,
            "deviceRateLimits": none,
            "deviceDpRateLimits": none,
        }
        gateway = {
            "thingsboard": centre,
            "storage": {"type": "sqlite", "data_file_path": f"{folder}/data/"},
            "grpc": {"enabled": False},
            "connectors": [{"type": "mqtt", "name": "mqtt", "configuration": "mqtt.json"}],
        }
        (folder / "tb_gateway.json").write_text(json.dumps(gateway))
        logs = {"version": 1, "disable_existing_loggers": False, "loggers": {}}
        (folder / "logs.json").write_text(json.dumps(logs))
        return folder


def rush(peer: Peer, messages: int) -> dict[str, float]:
    """Publish as fast as the broker takes it; return what came out at the other end."""
    process = _process(peer)
    _pace(peer, encoded(fleet(DEVICES, DEVICES, start_s=int(time.time()) - 5000)), 1000)
    _settle(peer.arrived, DEVICES)
    # numbered after those that made the devices known
    spoken = list(fleet(DEVICES, DEVICES + messages, start_s=int(time.time()) - 4000))[DEVICES:]
    packets = encoded(spoken)
    before, began = cpu_s(process), time.monotonic()
    with Blaster(peer.city.host, peer.city.mqtt_port) as blaster:
        blaster.send(packets)
    found, at = _settle(peer.arrived, DEVICES + messages)
    count = len(found) - DEVICES
    return {
        "offered": messages,
        "arrived": count,
        "per_s": count / (at - began),
        "cpu_us": (cpu_s(process) - before) / max(count, 1) * 1e6,
        "rss_mb": process.memory_info().rss / 1e6,
    }


def killed(peer: Peer, messages: int, rate: int) -> dict[str, float]:
    """Publish steadily with kill -9 half way; return what is missing and what came twice."""
    packets = encoded(fleet(DEVICES, messages, start_s=int(time.time()) - 50_000))
    half = len(packets) // 2
    _pace(peer, packets[:half], rate)
    peer.program.kill()
    _pace(peer, packets[half : half + 2 * rate], rate)
    peer.program.start()
    began = time.monotonic()
    _pace(peer, packets[half + 2 * rate :], rate)
    found, at = _settle(peer.arrived, messages)
    mine = {seq: count for seq, count in found.items() if seq <= messages}
    return {
        "offered": messages,
        "lost": messages - len(mine),
        "twice": sum(mine.values()) - len(mine),
        "caught_up_s": at - began,
    }


def _pace(peer: Peer, packets: list[bytes], rate: int) -> None:
    part, due = rate // 10, time.monotonic()
    with Blaster(peer.city.host, peer.city.mqtt_port) as blaster:
        for at in range(0, len(packets), part):
            blaster.send(packets[at : at + part])
            due += 0.1
            time.sleep(max(0.0, due - time.monotonic()))


def _settle(arrived: Callable[[], Counter[int]], wanted: int) -> tuple[Counter[int], float]:
    """Wait until all is there, or nothing came for long; return it and when the last came."""
    found, at = arrived(), time.monotonic()
    began = at
    while len(found) < wanted and time.monotonic() - began < PATIENCE_S:
        time.sleep(0.25)
        now = arrived()
        if sum(now.values()) != sum(found.values()):
            found, at = now, time.monotonic()
        elif time.monotonic() - at > QUIET_S:
            break
    return found, at


def _process(peer: Peer) -> psutil.Process:
    assert peer.program.process is not None
    return psutil.Process(peer.program.process.pid)


def measure(python: Path | None, telegraf: str | None, messages: int, rate: int) -> dict[str, Any]:
    """Run all, each part with fresh files."""
    made: dict[str, Callable[[Path], Peer]] = {"tidegate": Tidegate}
    if python is not None:
        made["thingsboard-gateway"] = lambda folder: ThingsBoard(folder, python)
    if telegraf is not None:
        for strategy in ("disk", "memory"):
            made[f"telegraf, {strategy}"] = functools.partial(
                Telegraf, binary=telegraf, strategy=strategy
            )
    out: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    for name, make in made.items():
        out[name] = {}
        for part in (lambda peer: rush(peer, messages), lambda peer: killed(peer, 20 * rate, rate)):
            with tempfile.TemporaryDirectory() as folder:
                peer = make(Path(folder))
                try:
                    out[name] |= part(peer)
                finally:
                    peer.city.close()
                    if isinstance(peer, ThingsBoard):
                        peer.close()
    if python is not None:
        version = "import importlib.metadata as m; print(m.version('thingsboard-gateway'))"
        out["thingsboard"] = _said([str(python), "-c", version])
    if telegraf is not None:
        out["telegraf"] = _said([telegraf, "--version"])
    return out


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--thingsboard", type=Path, help="python that has thingsboard-gateway")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=1_000, help="messages a second beside the kill")
    asked = parser.parse_args()
    found = measure(asked.thingsboard, shutil.which("telegraf"), asked.messages, asked.rate)
    print(json.dumps(found, indent=1))
