"""The door in the data folder: who may open it, and what it does to who says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from collector import control
from collector.agent import open_collector
from collector.control import ask_snapshot
from tests.collector.intake.test_backup import centre

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """The data folder of a collector that runs; the test is in it."""
    config = centre(tmp_path / "old")
    async with open_collector(config):
        folder = config.collector.data_dir.resolve()
        monkeypatch.chdir(folder)  # a socket's name is at most 107 bytes long
        yield folder
        monkeypatch.undo()
    assert not (folder / "control.sock").exists()


async def opened() -> Stream:
    return await asyncio.open_unix_connection("control.sock")


async def line(stream: Stream) -> bytes:
    async with asyncio.timeout(10):
        return await stream[0].readline()


async def test_only_the_user_of_the_data_folder_may_ask_for_a_copy(door: Path) -> None:
    assert oct((door / "control.sock").stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("said", [b"drop\n", b"x" * 5000], ids=["another word", "no end"])
async def test_who_says_something_else_at_the_door_is_told_so(door: Path, said: bytes) -> None:
    stream = await opened()
    stream[1].write(said)
    assert (await line(stream)).startswith(b'{"error":"no such command: ')
    stream[1].close()


async def test_who_says_nothing_is_sent_away(door: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE_S", 0.05)
    stream = await opened()
    stream[1].write(b"snap")  # and no end of the line
    assert await line(stream) == b""
    stream[1].close()


async def test_who_is_one_too_many_is_told_so_and_comes_in_when_another_left(
    door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MOST_PEERS", 2)
    silent = [await opened() for _ in range(2)]
    late = await opened()
    assert b"2 others ask already" in await line(late)
    assert await line(late) == b""
    for _, writer in (late, *silent):
        writer.close()
    async with asyncio.timeout(20):
        while True:
            stream = await opened()
            stream[1].write(b"drop\n")
            told = await line(stream)
            stream[1].close()
            if told.startswith(b'{"error":"no such'):
                break
            await asyncio.sleep(0.01)
    assert await ask_snapshot(door, lambda _done, _whole: None) is not None
