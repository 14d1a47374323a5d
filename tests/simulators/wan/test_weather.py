"""The way is cut, mended, reset and changed by chance from a seed, or as a schedule says."""

from __future__ import annotations

import asyncio

import pytest

from gateway_core.units import Address
from simulators.wan.options import WanOptions
from simulators.wan.relay import Relay
from simulators.wan.weather import chance, follow, parse_schedule
from tests.e2e.city import tidegate


class Told:
    """Remembers what it was told; ends the weather when it is enough."""

    def __init__(self, enough: int) -> None:
        self.words: list[str] = []
        self._enough = enough
        self.over = asyncio.Event()

    def __call__(self, word: str) -> None:
        self.words.append(word)
        if len(self.words) == self._enough:
            self.over.set()


class Way:
    """Remembers what happened to it."""

    def __init__(self) -> None:
        self.happened: list[object] = []

    def cut(self, how: str = "reset") -> None:
        self.happened.append(how)

    def mend(self) -> None:
        self.happened.append("mended")

    def reset_one(self) -> None:
        self.happened.append("reset one")

    def change(self, options: WanOptions) -> None:
        self.happened.append(options)


async def weather(of, told: Told) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(of)
        await told.over.wait()
        running.cancel()


async def test_a_way_is_cut_and_mended_in_turn() -> None:
    told, here = Told(4), Address("127.0.0.1", 0)
    options = WanOptions(cut_every_s=0.01, cut_for_s=0.01, seed=3)
    async with Relay(here, here, options) as relay:
        await weather(chance(relay, options, told), told)
    assert told.words[:4] == ["cut", "mended", "cut", "mended"]


async def test_connections_are_reset_one_by_one() -> None:
    told, way = Told(3), Way()
    await weather(chance(way, WanOptions(reset_every_s=0.01), told), told)
    assert way.happened[:3] == ["reset one"] * 3


async def test_a_schedule_goes_round() -> None:
    told, way = Told(4), Way()
    phases = parse_schedule("10ms; 10ms silent; 10ms delay=400ms loss=5% rate=16KiB")
    base = WanOptions(delay_s=0.1, seed=9)
    await weather(follow(way, base, phases, told), told)
    assert told.words[:4] == ["10ms", "10ms silent", "10ms delay=400ms loss=5% rate=16KiB", "10ms"]
    worse = WanOptions(delay_s=0.4, loss=0.05, bytes_per_s=16384, seed=9)
    assert way.happened[:6] == [base, base, "silent", "mended", worse, base]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected phases such as '30s; 10s cut', found none"),
        (
            "30s; soon",
            "phase 2 ('soon'): expected a duration such as 20ms, 5m or 30d, found 'soon'",
        ),
        ("0s cut", "phase 1 ('0s cut'): must last longer than 0s"),
        ("1s loss=2", "phase 1 ('1s loss=2'): expected a share such as 5% or 0.05, found '2'"),
        (
            "1s wind",
            (
                "phase 1 ('1s wind'): expected one of cut, silent, delay=, jitter=, rate=, loss=,"
                " duplicate=, reorder=, flip-every=, trickle=, found 'wind'"
            ),
        ),
    ],
)
def test_a_mistake_in_a_schedule_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # the message is the claim
        parse_schedule(text)
    assert str(caught.value) == message


def test_the_command_names_the_option_that_is_wrong() -> None:
    done = tidegate("simulate", "wan", "--to", "127.0.0.1:9", "--schedule", "5s rain")
    assert done.returncode == 2
    assert "--schedule: phase 1 ('5s rain'): expected one of cut, silent" in done.stderr
    done = tidegate("simulate", "wan", "--to", "127.0.0.1:9", "--loss", "7")
    assert done.returncode == 2
    assert "--loss: expected a share such as 5% or 0.05, found '7'" in done.stderr


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_command_runs_a_schedule_and_says_its_seed(protocol: str) -> None:
    words = ("--listen", "127.0.0.1:0", "--protocol", protocol, "--seed", "7", "--for", "1s")
    done = tidegate("simulate", "wan", "--to", "127.0.0.1:9", *words, "--schedule", "5ms; 5ms cut")
    assert done.returncode == 0, done.stderr
    first, second, third, *_ = done.stdout.splitlines()
    assert first.endswith(f" leads to 127.0.0.1:9 ({protocol}, seed 7)")
    assert (second, third) == ("5ms", "5ms cut")
