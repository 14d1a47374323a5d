"""A version's whole life over two sites of real processes: published, rolled out, found wrong beside the old one, taken back, mended; what the wrong one refused arrives exactly once."""

from __future__ import annotations

import json
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.city import City, http, tidegate, wait_for

PROFILE = """\
format: 1
id: acme/well
version: 1.0.0
status: stable
vendor: Acme
model: Well
match: [{via: mqtt, topic: "acme/{site}/{node}/well", payload: json}]
device: {id: "{site}-{node}", pattern: "[a-z0-9-]+"}
decode: [{json: {}}]
measurements:
  level: {type: float, unit: m, range: [0, 50]}
  n: {type: int, unit: "{count}"}
store: {measurement: well_level, tags: [edge, device, profile]}
egress: {class: operational, default: none, allow: {level: raw, n: raw}}
tests:
  - name: a level
    recv: {topic: acme/s/north/well, at: 1700000000, payload: {level: 2.5, n: 1}}
    expect: {device: s-north, points: [{level: 2.5, n: 1}]}
  - name: deeper than any well
    recv: {topic: acme/s/north/well, at: 1700000000, payload: {level: 99}}
    expect: {points: [], quality: [level:range]}
  - name: not JSON
    recv: {topic: acme/s/north/well, payload: "{"}
    expect: {reject: not_json}
"""
BEFORE = 'pattern: "[a-z0-9-]+"'
WRONG = PROFILE.replace("version: 1.0.0", "version: 1.1.0").replace(BEFORE, 'pattern: "[a-z-]+"')
"""Whoever wrote it forgot that a node's name may hold a digit; its vectors do not show it."""
MENDED = PROFILE.replace("version: 1.0.0", "version: 1.1.1")


class Sites:
    """A centre and two sites, each with a broker of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.one = City(folder / "one")
        self.two = City(folder / "two")
        for city in (self.one, self.two):
            city.folder.mkdir()
        self.names = {"sim-edge-01": self.one, "sim-edge-02": self.two}

    def start(self) -> None:
        self.one.centre().start()
        key = tidegate("collector", "profiles", "keys", "--registry", "--url", self.one.api)
        (self.folder / "registry.pub").write_text(key.stdout)
        catalogue = f"catalogue: {{key_file: {self.folder}/registry.pub, every: 1s}}\n"
        for name, city in self.names.items():
            city.broker().start()
            edge = city.edge(uplink_port=self.one.intake_port, extra=catalogue)
            config = city.folder / "edge" / "edge.yaml"
            config.write_text(config.read_text().replace("sim-edge-01", name))
            edge.start()
            city.wait_connected()

    def close(self) -> None:
        self.two.close()
        self.one.close()

    def desk(self, *words: str, status: int = 0) -> str:
        done = tidegate("collector", "profiles", *words, "--url", self.one.api)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def publish(self, text: str) -> None:
        path = self.folder / "well.yaml"
        path.write_text(text)
        key = str(self.folder / "vendor.key")
        done = tidegate("profiles", "publish", str(path), "--key", key, "--url", self.one.api)
        assert done.returncode == 0, done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.desk("status", "acme/well", "--json"))
        return found

    def stage(self) -> str:
        return str(self.status()["rollouts"][0]["stage"])

    def wait_stage(self, wanted: str) -> dict[str, Any]:
        wait_for(f"the roll-out to be {wanted}", lambda: self.stage() == wanted)
        return self.status()

    def used(self, name: str) -> str | None:
        """The version with which a site decodes, as the site says itself."""
        used = http("GET", f"{self.names[name].admin}/profiles")["used"]
        return used.get("acme/well", {}).get("version")

    def compares(self, name: str) -> bool:
        """Whether a site's comparison has begun: what comes from now on counts."""
        try:
            found = http("GET", f"{self.names[name].admin}/profiles/shadow?profile=acme/well")
        except urllib.error.HTTPError:
            return False
        return found["summary"] is not None

    def say(self, name: str, node: str, numbers: range) -> None:
        """Publish one level for each number, QoS 1."""
        city = self.names[name]
        lines = "".join(f'{{"level": 2.5, "n": {n}}}\n' for n in numbers)
        command = ["mosquitto_pub", "-h", city.host, "-p", str(city.mqtt_port), "-q", "1", "-l"]
        topic = ["-t", f"acme/s/{node}/well"]
        subprocess.run([*command, *topic], input=lines.encode(), check=True)

    def arrived(self) -> list[tuple[str, str, int]]:
        """Edge, device and number of every level at the centre."""
        question = {"measurement": "well_level", "fields": ["n"], "start": "-1d", "stop": "+1d"}
        try:
            table = self.one.query(**question, limit=100_000)
        except OSError:
            return []
        at = {name: place for place, name in enumerate(table["columns"])}
        return sorted((row[at["edge"]], row[at["device"]], row[at["n"]]) for row in table["rows"])

    def refused(self, name: str) -> int:
        """Messages that a site holds as refused by the device's id."""
        config = str(self.names[name].folder / "edge" / "edge.yaml")
        done = tidegate("edge", "refused", "--config", config, "--json")
        assert done.returncode == 0, done.stderr
        return sum(row["reason"] == "bad_device_id" for row in json.loads(done.stdout))


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    made = Sites(tmp_path)
    try:
        yield made
    finally:
        made.close()


def _levels(edge: str, device: str, numbers: range) -> list[tuple[str, str, int]]:
    return [(edge, device, n) for n in numbers]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_wrong_version_is_found_taken_back_and_mended_and_loses_nothing(sites: Sites) -> None:
    sites.start()
    key = sites.folder / "vendor.key"
    assert tidegate("profiles", "key", "new", str(key)).returncode == 0
    sites.desk("trust", "acme", f"{key}.pub", "--by", "op")
    edges = ("sim-edge-01", "sim-edge-02")
    wait_for("both edges to ask", lambda: len(sites.status()["edges"]) == 2)

    # 1.0.0: a person approves the new measurement, then it is everywhere, without a restart
    sites.publish(PROFILE)
    sites.desk("approve", "acme/well@1.0.0", "--by", "operations", "--reason", "levels of wells")
    sites.desk("rollout", "acme/well@1.0.0", "--hold", "0s", "--by", "op")
    sites.wait_stage("done")
    assert [sites.used(edge) for edge in edges] == ["1.0.0", "1.0.0"]
    for city in sites.names.values():
        city.wait_connected()
    for edge in edges:
        sites.say(edge, "n1", range(1, 6))
    first = [level for edge in edges for level in _levels(edge, "s-n1", range(1, 6))]
    wait_for("the first levels", lambda: sites.arrived() == first)

    # 1.1.0 is wrong: beside 1.0.0, on live traffic, each edge sees what it would refuse
    sites.publish(WRONG)
    sites.desk("rollout", "acme/well@1.1.0", "--shadow", "1h", "--by", "op")
    for edge in edges:
        wait_for("the comparison", lambda edge=edge: sites.compares(edge))
        sites.say(edge, "n1", range(6, 26))
    found = sites.wait_stage("stopped")
    assert "refuses" in found["rollouts"][0]["reason"]
    said = [report for report in found["reports"] if report["kind"] == "shadow"]
    assert {
        (each["change"], each["subject"]) for report in said for each in report["differences"]
    } == {("refused", "bad_device_id")}
    second = [level for edge in edges for level in _levels(edge, "s-n1", range(1, 26))]
    wait_for("the levels during the comparison", lambda: sites.arrived() == second)

    # backtest says the same of what was kept, and nothing of it was stored twice
    done = tidegate(
        *(
            "collector",
            "profiles",
            "backtest",
            "acme/well@1.1.0",
            "--since",
            "1h",
            "--wait",
            "--json",
        ),
        *("--url", sites.one.api),
    )
    assert done.returncode == 1, done.stderr
    tried = json.loads(done.stdout)["reports"]
    assert sorted((each["edge"], each["messages"], each["refused"]) for each in tried) == [
        (edge, 25, 25) for edge in edges
    ]

    whole = [level for edge in edges for level in _levels(edge, "s-n1", range(1, 29))]

    # somebody rolls it out all the same: the canary refuses two levels and keeps them
    sites.desk("rollout", "acme/well@1.1.0", "--canary", edges[0], "--hold", "1h", "--by", "op")
    wait_for("the canary to change", lambda: sites.used(edges[0]) == "1.1.0")
    assert sites.used(edges[1]) == "1.0.0"
    for edge in edges:
        sites.say(edge, "n1", range(26, 28))
    wait_for("the refusals", lambda: sites.refused(edges[0]) == 2)
    sites.desk("rollback", "acme/well@1.1.0", "--by", "op", "--reason", "refuses digits")
    wait_for("the canary to return", lambda: sites.used(edges[0]) == "1.0.0")
    for edge in edges:
        sites.say(edge, "n1", range(28, 29))
    canary = [level for level in whole if level not in _levels(edges[0], "s-n1", range(26, 28))]
    wait_for("the level after the return", lambda: sites.arrived() == canary)
    sites.desk("withdraw", "acme/well@1.1.0", "--by", "op", "--reason", "refuses digits")

    # mended: everywhere, and what was refused is read again, exactly once however often one asks
    sites.publish(MENDED)
    sites.desk("rollout", "acme/well@1.1.1", "--hold", "0s", "--by", "op")
    sites.wait_stage("done")
    assert [sites.used(edge) for edge in edges] == ["1.1.1", "1.1.1"]
    for edge in edges:
        sites.say(edge, "n1", range(29, 30))
    for _ in range(2):
        again = tidegate("edge", "replay", "--reason", "bad_device_id", "--url", sites.one.admin)
        assert again.returncode == 0, again.stdout + again.stderr
    whole = [level for edge in edges for level in _levels(edge, "s-n1", range(1, 30))]
    wait_for("every level", lambda: sites.arrived() == whole)
    assert sites.refused(edges[0]) == 0
    wait_for("the edges to be done", lambda: all(city.settled() for city in sites.names.values()))
    assert sites.arrived() == whole
    for edge in edges:  # counted record by record, not by points that would cover each other
        device = f"{sites.one.api}/api/v1/devices/s-n1?edge={edge}"
        wait_for("the count", lambda device=device: http("GET", device)["readings"] == 29)

    # which version decoded what
    for edge, versions in (
        (edges[0], ["1.1.1", "1.0.0", "1.1.0", "1.0.0"]),
        (edges[1], ["1.1.1", "1.0.0"]),
    ):
        asked = ("lineage", "--edge", edge, "--profile", "acme/well", "--json")
        uses = json.loads(sites.desk(*asked))
        assert [use["version"] for use in uses] == versions
        latest = json.loads(sites.desk(*asked, "--seq", str(uses[0]["seq"] + 1)))
        assert latest["version"] == "1.1.1"
        earlier = json.loads(sites.desk(*asked, "--seq", str(uses[0]["seq"])))
        assert earlier["version"] == "1.0.0"
    for city in sites.names.values():
        assert city.edge_status()["residual"] == 0
