"""A simulated fleet says the same for the same seed, and its truth file holds what was promised."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway_core.errors import GatewayError
from gateway_core.model import Value
from simulators.sensors.fleet import Fleet, Quantity
from simulators.sensors.simulate import SensorOptions, Simulation
from simulators.sensors.truth import TruthFile, judge, read_truth

TEMPERATURE = (Quantity("temperature", "float", -10, 40),)


class JsonEncoder:
    """Encodes as the profile of the tests would."""

    def payload(
        self, device: str, values: Mapping[str, Value], time_ns: int | None
    ) -> tuple[str, bytes, int | None]:
        return f"tg/{device}/up", json.dumps({"ts": time_ns, **values}).encode(), 50


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


def test_two_fleets_of_one_seed_say_the_same() -> None:
    one, two = (Fleet("sim-env", 3, TEMPERATURE, seed=7).messages() for _ in range(2))
    assert [next(one) for _ in range(10)] == [next(two) for _ in range(10)]


def test_every_simulated_id_is_marked_and_values_stay_in_range() -> None:
    fleet = Fleet("sim-env", 3, TEMPERATURE)
    messages = fleet.messages()
    said = [next(messages) for _ in range(300)]
    assert fleet.devices == ["sim-env-00001", "sim-env-00002", "sim-env-00003"]
    assert all(-10 <= float(m.values["temperature"]) <= 40 for m in said)
    assert [m.seq for m in said if m.device == "sim-env-00002"] == list(range(1, 101))


def test_a_torn_last_line_of_a_truth_file_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    with TruthFile(path) as truth:
        truth.acknowledged("sim-a", 1, 10, 20)
    with path.open("a") as file:
        file.write("sim-a,2,30")
    assert [(a.device, a.seq, a.acked_ns) for a in read_truth(path)] == [("sim-a", 1, 20)]


def test_the_verdict_names_what_is_lost_and_what_is_there_twice() -> None:
    verdict = judge([("a", 1), ("a", 2), ("b", 1)], [("a", 1), ("a", 1), ("b", 1)])
    assert (verdict.acknowledged, verdict.delivered, verdict.lost, verdict.duplicated) == (
        3,
        2,
        1,
        1,
    )
    assert verdict.examples == ("lost a 2", "twice a 1")


async def test_what_the_broker_acknowledged_is_in_the_truth_file(
    broker: int, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.csv"
    encoder = JsonEncoder()
    options = SensorOptions(
        mqtt=f"mqtt://127.0.0.1:{broker}", rate=1e6, count=2000, connections=3, truth=truth
    )
    simulation = Simulation(
        Fleet("sim-env", 50, TEMPERATURE), {"mqtt": encoder, "coap": encoder}, options
    )
    report = await simulation.run()
    assert (report.sent, report.acknowledged) == (2000, 2000)
    keys = {(a.device, a.seq) for a in read_truth(truth)}
    assert keys == {(f"sim-env-{d:05d}", s) for d in range(1, 51) for s in range(1, 41)}


async def test_a_broker_that_restarts_gets_what_it_had_not_acknowledged_again(
    tmp_path: Path,
) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\n"
        f"persistence true\npersistence_location {tmp_path}/\nuser root\n"
    )
    command = ["/usr/sbin/mosquitto", "-c", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    encoder = JsonEncoder()
    options = SensorOptions(mqtt=f"mqtt://127.0.0.1:{port}", rate=1000, count=1500)
    simulation = Simulation(Fleet("sim-env", 5, TEMPERATURE), {"mqtt": encoder}, options)

    async def restart() -> None:
        nonlocal process
        while simulation.acknowledged < 300:
            await asyncio.sleep(0.01)
        process.terminate()
        await asyncio.to_thread(process.wait, 10)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(simulation.run())
        tasks.create_task(restart())
    process.terminate()
    process.wait(10)
    assert run.result().acknowledged == 1500


def test_a_run_without_a_target_says_what_to_give() -> None:
    with pytest.raises(GatewayError, match="--mqtt"):
        Simulation(Fleet("sim-env", 1, TEMPERATURE), {}, SensorOptions())


async def test_what_the_broker_took_for_nobody_is_no_promise(broker: int, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    options = SensorOptions(
        mqtt=f"mqtt://127.0.0.1:{broker}", rate=1e6, count=50, listened=True, truth=truth
    )
    simulation = Simulation(Fleet("sim-env", 5, TEMPERATURE), {"mqtt": JsonEncoder()}, options)
    report = await simulation.run()
    assert (report.sent, report.acknowledged, report.unheard) == (50, 0, 50)
    assert list(read_truth(truth)) == []


async def test_a_broker_that_lets_nobody_in_ends_the_run_with_what_to_look_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"mqtt://127.0.0.1:{deaf.getsockname()[1]}"
        options = SensorOptions(mqtt=url, seconds=0.1, reach_s=0.3)
        fleet = Fleet("sim-env", 1, TEMPERATURE)
        with pytest.raises(ExceptionGroup) as caught:
            await Simulation(fleet, {"mqtt": JsonEncoder()}, options).run()
    assert (
        str(caught.value.exceptions[0]) == f"{url} let nobody in for 0.3 s; the lines above say why"
    )
