"""Real processes of a small city on free loopback ports, ended by their process ids."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.program import Program, wait_for
from tests.fakes.ports import free_port

PYTHON = sys.executable


def answers(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        s.settimeout(1)
        return s.connect_ex((host, port)) == 0


def http(method: str, url: str, body: Any = None, timeout: float = 60) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.loads(answer.read())


def reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def coap_client() -> str:
    """The program of libcoap; Debian names it after the TLS library that it was built with."""
    names = ("coap-client", "coap-client-notls", "coap-client-openssl", "coap-client-gnutls")
    return next(path for path in map(shutil.which, names) if path)


def influxd_of(major: int) -> str | None:
    """The InfluxDB server of that major version, if there is one on this machine."""
    for path in filter(None, (shutil.which("influxd"), shutil.which("influxd", path="/usr/bin"))):
        told = subprocess.run([path, "version"], capture_output=True, text=True, check=False)
        if f"InfluxDB v{major}." in told.stdout:
            return path
    return None


def tidegate(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would."""
    return subprocess.run(
        [PYTHON, "-m", "tidegate", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
    )


class City:
    """Broker, edge and centre below one folder; `close` ends whatever runs."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.host = host
        self.programs: list[Program] = []
        self.mqtt_port = free_port(host)
        self.coap_port = free_port(host, socket.SOCK_DGRAM)
        self.intake_port = free_port(host)
        self.api_port = free_port(host)
        self.admin_port = free_port(host)

    def at(self, port: int) -> str:
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    @property
    def api(self) -> str:
        return f"http://{self.at(self.api_port)}"

    @property
    def admin(self) -> str:
        return f"http://{self.at(self.admin_port)}"

    def _add(self, program: Program) -> Program:
        self.programs.append(program)
        return program

    def broker(self) -> Program:
        folder = self.folder / "broker"
        folder.mkdir()
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.mqtt_port} {self.host}\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {folder}/\n"
            "max_queued_messages 0\nmax_inflight_messages 4000\n"
        )
        return self._add(
            Program(
                "mosquitto",
                [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(config)],
                folder / "log",
                lambda: answers(self.host, self.mqtt_port),
            )
        )

    def edge(
        self,
        *,
        uplink_port: int | None = None,
        extra: str = "",
        env: dict[str, str] | None = None,
        direct: str | None = None,
        name: str = "sim-edge-01",
    ) -> Program:
        """The agent; with ``direct`` devices connect to it, on these terms, and not to a broker."""
        folder = self.folder / "edge"
        folder.mkdir(exist_ok=True)
        (folder / "profiles").mkdir(exist_ok=True)
        config = folder / "edge.yaml"
        broker = f"mqtt: [{{name: site, url: 'mqtt://{self.at(self.mqtt_port)}'}}]"
        listener = f"mqtt_listen: [{{listen: '{self.at(self.mqtt_port)}', {direct}}}]"
        config.write_text(
            f"edge: {{id: {name}, area: '371602', data_dir: ./var}}\n"
            f"{broker if direct is None else listener}\n"
            f"coap: {{listen: '{self.at(self.coap_port)}'}}\n"
            "profiles: [./profiles]\n"
            f"uplink: {{url: 'http://{self.at(uplink_port or self.intake_port)}'}}\n"
            f"admin: {{listen: '{self.at(self.admin_port)}'}}\n" + extra
        )
        return self._add(
            Program(
                "edge",
                [PYTHON, "-m", "edge_agent", "--config", str(config)],
                folder / "log",
                lambda: reachable(f"{self.admin}/healthz"),
                env or {},
            )
        )

    def centre(
        self, timeseries: str = "{kind: embedded}", extra: str = "", intake: str = ""
    ) -> Program:
        folder = self.folder / "centre"
        folder.mkdir(exist_ok=True)
        config = folder / "collector.yaml"
        config.write_text(
            "collector: {data_dir: ./var}\n"
            f"intake: {{listen: '{self.at(self.intake_port)}'{intake}}}\n"
            f"api: {{listen: '{self.at(self.api_port)}'}}\n"
            f"timeseries: {timeseries}\n"
            f"registry: {{url: 'sqlite:///{folder}/registry.db'}}\n" + extra
        )
        return self._add(
            Program(
                "collector",
                [PYTHON, "-m", "collector", "--config", str(config)],
                folder / "log",
                lambda: reachable(f"{self.api}/healthz"),
            )
        )

    def influxd(self) -> tuple[Program, int]:
        """InfluxDB 1 and its port."""
        folder = self.folder / "influx"
        folder.mkdir()
        port, backup = free_port(self.host), free_port(self.host)
        config = folder / "influxdb.conf"
        config.write_text(
            "reporting-disabled = true\n"
            f'bind-address = "{self.at(backup)}"\n'
            f'[meta]\n  dir = "{folder}/meta"\n'
            f'[data]\n  dir = "{folder}/data"\n  wal-dir = "{folder}/wal"\n'
            "  query-log-enabled = false\n"
            f'[http]\n  bind-address = "{self.at(port)}"\n  log-enabled = false\n'
            "[monitor]\n  store-enabled = false\n"
        )
        program = Program(
            "influxd",
            [influxd_of(1) or "influxd", "-config", str(config)],
            folder / "log",
            lambda: answers(self.host, port),
        )
        return self._add(program), port

    def influxd2(self) -> tuple[Program, int]:
        """InfluxDB 2 and its port; nobody has set it up yet."""
        folder = self.folder / "influx2"
        folder.mkdir()
        port = free_port(self.host)
        program = Program(
            "influxd 2",
            [
                influxd_of(2) or "influxd",
                f"--bolt-path={folder}/influxd.bolt",
                f"--engine-path={folder}/engine",
                f"--sqlite-path={folder}/influxd.sqlite",
                f"--http-bind-address={self.at(port)}",
                "--reporting-disabled",
            ],
            folder / "log",
            lambda: reachable(f"http://{self.at(port)}/health"),
        )
        return self._add(program), port

    def victoria_metrics(self) -> tuple[Program, int]:
        """VictoriaMetrics and its port: another server that takes InfluxDB 2's writes."""
        folder = self.folder / "victoria"
        folder.mkdir()
        port = free_port(self.host)
        program = Program(
            "victoria-metrics",
            [
                "victoria-metrics",
                f"-storageDataPath={folder}/data",
                f"-httpListenAddr={self.at(port)}",
                "-retentionPeriod=100y",
                "-memory.allowedBytes=256MB",
                "-loggerLevel=ERROR",
                "-search.latencyOffset=0s",
                "-dedup.minScrapeInterval=1ms",  # a point written twice is one, as in InfluxDB
            ],
            folder / "log",
            lambda: reachable(f"http://{self.at(port)}/health"),
        )
        return self._add(program), port

    def start(self, *, timeseries: str = "{kind: embedded}") -> None:
        """Start broker, centre and edge, and wait until the edge hears the broker."""
        self.broker().start()
        self.centre(timeseries).start()
        self.edge().start()
        self.wait_connected()

    def wait_connected(self) -> None:
        wait_for(
            "every source to be connected",
            lambda: all(each["connected"] for each in self.edge_status()["sources"]),
        )

    def say(self, device: str, text: str | bytes, topic: str = "tg/{}/up") -> None:
        """Publish one message as a person would, with mosquitto_pub and QoS 1."""
        raw = text.encode() if isinstance(text, str) else text
        command = ["mosquitto_pub", "-h", self.host, "-p", str(self.mqtt_port), "-q", "1"]
        words = [*command, "-t", topic.format(device), "-s"]
        subprocess.run(words, input=raw, check=True, timeout=30)

    def put(self, path: str, text: str | bytes, content_format: int = 50) -> str:
        """PUT one CoAP message as a person would, with libcoap's client; return its answer."""
        raw = text.encode() if isinstance(text, str) else text
        url = f"coap://{self.at(self.coap_port)}/{path}"
        command = [coap_client(), "-v", "6", "-m", "put", "-t", str(content_format), "-f", "-", url]
        done = subprocess.run(command, input=raw, capture_output=True, timeout=60, check=False)
        return (done.stdout + done.stderr).decode(errors="replace")

    def query(self, **question: Any) -> dict[str, Any]:
        found: dict[str, Any] = http("POST", f"{self.api}/api/v1/query", question)
        return found

    def settled(self, consumer: str = "uplink") -> bool:
        """Whether the edge has nothing left to give to one of its consumers."""
        books = {each["name"]: each for each in self.edge_status()["consumers"]}
        return bool(books[consumer]["buffered"] == 0)

    def edge_status(self) -> dict[str, Any]:
        found: dict[str, Any] = http("GET", f"{self.admin}/status")
        return found

    def delivered(self, start: str | int = "-1d") -> list[tuple[str, int]]:
        """(device, seq) of every point of measurement env at the centre."""
        try:
            table = self.query(
                measurement="env", fields=["seq"], start=start, stop="+1d", limit=1_000_000
            )
        except urllib.error.HTTPError as exc:
            if exc.code == 400:  # nothing of this measurement arrived yet
                return []
            raise
        device, seq = table["columns"].index("device"), table["columns"].index("seq")
        return [(row[device], row[seq]) for row in table["rows"]]

    def close(self) -> None:
        for program in reversed(self.programs):
            program.stop()
