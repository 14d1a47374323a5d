"""The promise: what the README and the how-to pages tell a newcomer to type does what they say."""

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
        self.admin = free_port()
        self.answer = ""
        intake, api = free_port(), free_port()
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
            "TIDEGATE_ADMIN__LISTEN": f"127.0.0.1:{self.admin}",
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
        coap, admin = f"coap://[::1]:{self.coap}/", f"127.0.0.1:{self.admin}/"
        return block.replace("coap://[::1]/", coap).replace("127.0.0.1:9180/", admin)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Yield a folder, a broker as Debian starts one, and the README's first two terminals."""
    desk = Desk(tmp_path_factory.mktemp("first"))
    broker = subprocess.Popen(
        [MOSQUITTO, "-p", str(desk.broker)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    centre, site, devices, _ = _blocks("README.md")
    try:
        with (
            desk.keep_running(centre, READY["collector run"]),
            desk.keep_running(site, READY["edge run"]),
        ):
            desk.answer = desk.type(devices)
            yield desk
    finally:
        broker.terminate()
        broker.wait(10)


@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_the_first_readings_come_to_the_centre(desk: Desk) -> None:
    assert re.search(r"room-1 .*\b40 .*\b21\.5\b", desk.answer), desk.answer
    assert re.search(r"room-2 .*\b19\b", desk.answer), desk.answer


@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_what_nobody_can_read_is_found_again(desk: Desk) -> None:
    told = desk.type(_blocks("README.md")[3])
    assert "not_json" in told
    assert "residual" in told


@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_the_history_is_asked_for_on_site_and_at_the_centre(desk: Desk) -> None:
    typed, on_site, centre = _blocks("docs/how-to/query-history.md")
    assert "room-1" in desk.type(typed)
    assert (desk.folder / "env.parquet").exists()
    assert '"room-1"' in desk.type(on_site)
    assert "room-1" in desk.type(centre)
    assert "room-2" in (desk.folder / "env.csv").read_text()


def test_the_blocks_that_keep_running_are_the_first_two() -> None:
    centre, site, *others = _blocks("README.md")
    assert "collector run" in centre
    assert "edge run" in site
    assert [block for block in others if " run " in block] == []


def test_both_readmes_say_the_same_commands() -> None:
    assert _blocks("README.zh-CN.md") == _blocks("README.md")
