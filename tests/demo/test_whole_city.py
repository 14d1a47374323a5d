"""The demo proves itself: it ends with nothing lost and nothing twice, and leaves no process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

DEMO = [sys.executable, "-m", "tidegate", "demo", "--no-browser", "--port", "0"]
SMALL = ["--devices", "60", "--feeds", "120", "--edges", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--broker", "--no-broker"])
def test_a_small_city_ends_with_every_acknowledged_message_in_the_store_once(
    way: str,
    tmp_path: Path,
) -> None:
    report = tmp_path / "r.json"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [*DEMO, *SMALL, way, "--for", "12s", "--report", str(report)],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert found["lost"] == 0
    assert found["duplicated"] == 0
    assert found["residual"] == 0
    assert found["devices"] == 60
    assert sum(found["feeds"].values()) == 120
    assert found["feeds_unjudged"] == 0
    assert sum(found["systems"].values()) == 20
    assert found["edges"] == 2
    assert found["simulated"] is True
    assert found["accepted"] == found["delivered"] > 1000
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert found["latency_samples"] > 100
    assert found["latency_unseen"] == 0
    assert "every acknowledged message is in the store exactly once" in done.stdout
    last = "straight to the agent" if way == "--no-broker" else "through mosquitto"
    assert f"sim-edge-01 straight to the agent, sim-edge-02 {last}" in done.stdout
    assert list(temporary.glob("tidegate-demo-*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_a_demo_leaves_no_process_behind(how: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*DEMO, "--devices", "10", "--feeds", "10", "--for", "5m", "--dir", str(tmp_path / "city")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("ready after"):
                break
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 5, said  # a broker, two edges, collector, cameras
        process.send_signal(how)
        said += process.stdout.read()
        code = process.wait(60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert code == (-9 if how == signal.SIGKILL else 128 + how), said


@pytest.mark.slow
def test_a_demo_whose_collector_dies_says_so_and_fails(tmp_path: Path) -> None:
    city = tmp_path / "city"
    process = subprocess.Popen(
        [*DEMO, "--devices", "10", "--feeds", "0", "--for", "5m", "--dir", str(city)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("ready after"):
                break
        children = psutil.Process(process.pid).children(recursive=True)
        collector = next(each for each in children if "collector" in each.cmdline())
        collector.kill()
        said += process.stdout.read()
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert "collector ended by itself with -9" in said
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_a_run_in_which_not_every_device_could_speak_is_refused_at_once() -> None:
    done = subprocess.run(
        [*DEMO, "--devices", "1000", "--rate", "10", "--for", "10s"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("command line: --rate: with 10 not every device")
