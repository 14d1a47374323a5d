"""The simulate commands do what they say, write what they promise, and refuse wrong usage."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_profiles.catalogue import load_catalogue
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.systems.inventory import load_systems
from simulators.sensors.profiled import make_encoders, make_fleet
from simulators.sensors.truth import read_truth

SIMULATE = [sys.executable, "-m", "tidegate.simulate"]


def simulate(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SIMULATE, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=120
    )


def tidegate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidegate", "simulate", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", config], stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(10)


def test_a_second_run_adds_to_the_truth_file_without_repeating_a_number(
    broker: int, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.csv"
    arguments = ("sensors", "--mqtt", f"mqtt://127.0.0.1:{broker}", "--devices", 10, "--truth")
    for _ in range(2):
        done = simulate(*arguments, truth, "--rate", 1000, "--count", 100, "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["sent"], report["acknowledged"], report["refused"]) == (100, 100, {})
    keys = [(each.device, each.seq) for each in read_truth(truth)]
    assert sorted(keys) == [(f"sim-env-{d:05d}", s) for d in range(1, 11) for s in range(1, 21)]


def test_cameras_write_an_inventory_that_an_edge_reads(tmp_path: Path) -> None:
    feeds = tmp_path / "feeds.csv"
    with subprocess.Popen(
        [*SIMULATE, "cameras", "--count", "12", "--port", "0", "--feeds-csv", str(feeds)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"12 cameras answer; their inventory is {feeds}\n"
        found = load_feeds(feeds)
        first = found["sim-cam-000001"]
        with socket.create_connection((first.host, first.rtsp.port), timeout=10):
            pass
        process.terminate()
    assert process.returncode == 0
    assert list(found) == [f"sim-cam-{n:06d}" for n in range(1, 13)]


def test_systems_write_a_file_that_an_edge_reads(tmp_path: Path) -> None:
    path = tmp_path / "systems.yaml"
    done = simulate("systems", "--count", 4, "--yaml", path, "--for", "1s", "--change-every", "0s")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"4 systems answer; {path} names them\n"
    assert [system.id for system in load_systems(path)] == [
        "sim-system-001",
        "sim-system-002",
        "sim-system-003",
        "sim-system-004",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("sensors",), "command line: --mqtt: give a broker here"),
        (
            ("sensors", "--mqtt", "mqtt://[::1]:1", "--profile", "acme/none"),
            "command line: --profile: 'acme/none' is unknown",
        ),
        (
            ("sensors", "--coap", "coap://[::1]:1", "--for", "soon"),
            "command line: --for: expected a duration",
        ),
        (
            ("sensors", "--mqtt", "broker.site"),
            "command line: --mqtt: 'broker.site': expected mqtt://",
        ),
        (
            ("sensors", "--mqtt", "mqtt://h:99999"),
            "command line: --mqtt: 'mqtt://h:99999': expected",
        ),
        (("sensors", "--coap", "coaps://h"), "command line: --coap: 'coaps://h': expected coap://"),
        (("cameras", "--fault", "asleep=0.1"), "command line: --fault: 'asleep=0.1'"),
        (("systems", "--count", "0"), "command line: --count: 1 or more, found 0"),
    ],
)
def test_wrong_usage_is_exit_status_2_and_says_what_to_give(
    arguments: tuple[str, ...], complaint: str
) -> None:
    done = tidegate(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(complaint)


async def test_what_a_profile_can_make_its_own_route_reads_again() -> None:
    catalogue = load_catalogue([])
    profile = catalogue.profiles["tidegate/env-sensor"]
    encoders = make_encoders(profile, mqtt=True, coap=True)
    message = next(make_fleet(profile, 1, first=7).messages())
    time_ns = 1_700_000_000_500_000_000
    topic, payload, none = encoders["mqtt"].payload(message.device, message.values, time_ns)
    assert (topic, none) == ("tg/sim-env-00007/up", None)
    decoded = catalogue.mqtt(topic)[0].decode(payload, time_ns)
    assert decoded.device == "sim-env-00007"
    assert decoded.readings[0].fields == dict(message.values)
    path, payload, content_format = encoders["coap"].payload(message.device, message.values, None)
    assert (path, content_format) == ("tg/sim-env-00007/up", 50)
    read = catalogue.coap(path, 50)[0].decode(payload, time_ns, 50)
    assert read.readings[0].time == time_ns


def test_a_profile_that_dictates_what_ids_look_like_gets_ids_that_it_accepts() -> None:
    profile = load_catalogue([]).profiles["dragino/lht65n"]
    for device in make_fleet(profile, 3).devices:
        assert profile.identity.check(device) == device


def test_each_simulated_device_keeps_to_one_protocol() -> None:
    from simulators.sensors.fleet import Fleet
    from simulators.sensors.simulate import SensorOptions, Simulation

    fleet = Fleet("sim-env", 1000, ())
    options = SensorOptions(mqtt="mqtt://h", coap="coap://h", coap_share=0.2)
    simulation = Simulation(fleet, {}, options)
    messages = fleet.messages()
    over_coap = [simulation._goes_coap(next(messages)) for _ in range(2000)]
    assert over_coap[:1000] == over_coap[1000:]
    assert 150 < sum(over_coap[:1000]) < 250
