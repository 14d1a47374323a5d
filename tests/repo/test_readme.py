"""The promise: who types the README's first reading into three terminals sees that reading at the centre."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.broker import MOSQUITTO, free_port

ROOT = Path(__file__).parents[2]
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READY = {"collector run": "collector_started", "edge run": "broker_connected"}
PATIENCE_S = 120


def _blocks(readme: str) -> list[str]:
    return SHELL.findall((ROOT / readme).read_text(encoding="utf-8"))


class Desk:
    """A newcomer's folder, with ports of its own and nothing else changed.

    The ports come from the environment, as the configuration reference says; mosquitto_pub reads its
    own from its configuration file; only CoAP's stands in the URL that is typed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.coap = free_port("::1")
        self.broker = free_port()
        intake, api, admin = free_port(), free_port(), free_port()
        (folder / "config").mkdir()
        for tool in ("mosquitto_pub", "mosquitto_sub"):
            (folder / "config" / tool).write_text(f"-p {self.broker}\n")
        self.environment = {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "TIDEGATE_INTAKE__LISTEN": f"127.0.0.1:{intake}",
            "TIDEGATE_API__LISTEN": f"127.0.0.1:{api}",
            "TIDEGATE_UPLINK__URL": f"http://127.0.0.1:{intake}",
            "TIDEGATE_MQTT__0__URL": f"mqtt://127.0.0.1:{self.broker}",
            "TIDEGATE_COAP__LISTEN": f":{self.coap}",
            "TIDEGATE_ADMIN__LISTEN": f"127.0.0.1:{admin}",
            "TIDEGATE_URL": f"http://127.0.0.1:{api}",
            "COLUMNS": "200",
        }

    def type(self, block: str) -> str:
        """Run a block to its end and return what it printed."""
        run = subprocess.run(
            ["bash", "-e", "-c", self._here(block)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert run.returncode == 0, run.stdout
        return run.stdout

    @contextlib.contextmanager
    def keep_running(self, command: str, ready: str) -> Iterator[None]:
        """Run a block whose last line does not end, from when it says ``ready``."""
        log = self.folder / f"{free_port()}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-e", "-c", self._here(command)],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            end = time.monotonic() + PATIENCE_S
            while ready not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    def _here(self, block: str) -> str:
        return block.replace("coap://[::1]/", f"coap://[::1]:{self.coap}/")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Yield a folder and a broker, as Debian starts one."""
    desk = Desk(tmp_path)
    broker = subprocess.Popen(
        [MOSQUITTO, "-p", str(desk.broker)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    yield desk
    broker.terminate()
    broker.wait(10)


@pytest.mark.slow
def test_the_first_reading_comes_as_the_readme_says(desk: Desk) -> None:
    centre, site, devices, refused = _blocks("README.md")
    with (
        desk.keep_running(centre, READY["collector run"]),
        desk.keep_running(site, READY["edge run"]),
    ):
        answer = desk.type(devices)
        assert re.search(r"room-1 .*\b40 .*\b21\.5\b", answer), answer
        assert re.search(r"room-2 .*\b19\b", answer), answer
        told = desk.type(refused)
    assert "not_json" in told
    assert "residual" in told


def test_the_blocks_that_keep_running_are_the_first_two() -> None:
    centre, site, *others = _blocks("README.md")
    assert "collector run" in centre
    assert "edge run" in site
    assert [block for block in others if " run " in block] == []


def test_both_readmes_say_the_same_commands() -> None:
    assert _blocks("README.zh-CN.md") == _blocks("README.md")
