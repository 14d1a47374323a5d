"""A collector killed between its commit and its receipt has the upload once, sent again or not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from collector.config import IntakeSection
from gateway_core.units import Address
from gateway_core.wire import encode_upload
from tests.fakes.edges import centre, readings, upload

DOOMED = """
import asyncio, os, signal, sys
from pathlib import Path
from collector.config import IntakeSection
from gateway_core.units import Address
from tests.fakes.edges import centre

async def main():
    async with centre(Path(sys.argv[1]), IntakeSection(listen=(Address("127.0.0.1", 0),))) as here:
        append = here.spool.append

        async def append_and_die(*told, **more):
            await append(*told, **more)
            os.kill(os.getpid(), signal.SIGKILL)

        here.spool.append = append_and_die
        print(here.intake.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
ROOT = Path(__file__).parents[3]


@pytest.mark.fault("F9", "F8")
async def test_an_upload_whose_receipt_was_lost_is_stored_once(tmp_path: Path) -> None:
    body = encode_upload(upload(1, 300))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DOOMED, str(tmp_path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    url = ""
    while not url.startswith("http"):  # what comes before it is the log
        line = await process.stdout.readline()
        assert line, "the collector ended"
        url = line.decode().strip()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"{url}/v1/batches", data=body)
    assert await process.wait() == -signal.SIGKILL
    process._transport.close()
    async with centre(tmp_path, IntakeSection(listen=(Address("127.0.0.1", 0),))) as here:
        assert await here.edge.send(upload(1, 300)) == (
            200,
            {"accepted": 0, "duplicate": 300, "refused": []},
        )
        assert await here.stored() == readings(1, 300)


CONFIG = """
collector: {data_dir: ./var}
intake: {listen: "[::1]:0"}
api: {listen: "[::1]:0"}
"""


class Program:
    """``python -m collector`` as systemd would run it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "collector.yaml"
        self.config.write_text(CONFIG)

    async def start(self) -> None:
        """Start; return when it listens."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "collector", "--config", str(self.config)),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        told = {}
        while told.get("event") != "collector_started":
            line = await self.process.stderr.readline()
            assert line, "the collector ended"
            told = json.loads(line)
        self.intake, self.console = f"http://{told['intake'][0]}", told["console"]

    async def end(self, by: signal.Signals) -> int:
        """Send a signal; return the exit status."""
        self.process.send_signal(by)
        await self.process.stderr.read()
        status = await self.process.wait()
        self.process._transport.close()
        return status


async def ask(session: aiohttp.ClientSession, url: str) -> list:
    question = {"measurement": "env", "start": 0, "stop": "2100-01-01T00:00:00Z", "limit": 100_000}
    async with session.post(f"{url}/api/v1/query", json=question) as response:
        return (await response.json()).get("rows", [])


@pytest.mark.slow
@pytest.mark.fault("F9")
async def test_a_collector_killed_at_any_moment_answers_with_every_record_once(
    tmp_path: Path,
) -> None:
    program = Program(tmp_path)
    async with aiohttp.ClientSession() as session, asyncio.timeout(120):
        first = 1
        for kill_after in (3, 1, 5):
            await program.start()
            for _ in range(kill_after):
                body = encode_upload(upload(first, first + 499))
                async with session.post(f"{program.intake}/v1/batches", data=body) as response:
                    assert response.status == 200
                first += 500
            assert await program.end(signal.SIGKILL) == -signal.SIGKILL
            first -= 500  # the edge did not hear of the last one, and sends it again
        await program.start()
        body = encode_upload(upload(first, first + 499))
        await (await session.post(f"{program.intake}/v1/batches", data=body)).read()
        rows: list = []
        while len(rows) < first + 499:
            await asyncio.sleep(0.1)
            rows = await ask(session, program.console)
        assert [row[4] for row in rows] == list(range(1, first + 500))
        async with session.get(f"{program.console}/metrics") as response:
            assert "tidegate_residual 0.0" in await response.text()
        assert await program.end(signal.SIGTERM) == 0
    assert not list(tmp_path.glob("var/*-wal"))


async def test_a_mistake_in_the_file_is_status_2_with_a_place(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("collector: {data_dir: ./var}\nintake: {lisen: 1}\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "collector", "--config", str(tmp_path / "c.yaml")),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    process._transport.close()
    assert process.returncode == 2
    assert f"{tmp_path}/c.yaml:2:" in told.decode()
