"""A newcomer at a desk: types what a page says, in a folder and on ports of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fakes.broker import free_port

PATIENCE_S = 120


class Desk:
    """A newcomer's folder, with ports of its own and nothing else changed.

    The ports come from the environment, as the configuration reference says; mosquitto_pub reads its
    own from its configuration file; those of CoAP and of the agent's own listener stand in what is
    typed.

    Args:
        folder: Is empty.
        broker: Whether the site has one; its port is `broker`.
    """

    def __init__(self, folder: Path, *, broker: bool = True) -> None:
        self.folder = folder
        self.coap = free_port("::1")
        self.broker = free_port()
        self.direct = free_port()
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
            "TIDEGATE_COAP__LISTEN": f":{self.coap}",
            "TIDEGATE_ADMIN__LISTEN": f"127.0.0.1:{self.admin}",
            "TIDEGATE_URL": f"http://127.0.0.1:{api}",
            "COLUMNS": "200",
        }
        if broker:
            self.environment["TIDEGATE_MQTT__0__URL"] = f"mqtt://127.0.0.1:{self.broker}"

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
        block = block.replace("localhost:1884", f"localhost:{self.direct}")
        block = block.replace("-p 1884", f"-p {self.direct}")
        return block.replace("coap://[::1]/", coap).replace("127.0.0.1:9180/", admin)
