"""When the way is cut, mended and changed: by chance, or by a schedule that goes round and round.

A schedule is phases with a semicolon between them: how long, then what the way is like meanwhile::

    30s; 10s cut; 20s silent; 15s delay=400ms loss=5% rate=16KiB
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol

from gateway_core.units import parse_duration, parse_size
from simulators.wan.options import CutKind, WanOptions

Told = Callable[[str], None]
"""Hears what happened: ``cut``, ``mended``, ``reset``, or a phase as it was written."""


class Way(Protocol):
    """What weather happens to."""

    def cut(self, how: CutKind = "reset") -> None:
        """Let nobody through."""

    def mend(self) -> None:
        """Let everybody through again."""

    def reset_one(self) -> None:
        """Reset one connection."""

    def change(self, options: WanOptions) -> None:
        """Be like this from now on."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a schedule.

    Attributes:
        text: As it was written.
        for_s: How long.
        changes: Attributes of `WanOptions` that differ meanwhile.
        cut: How the way is cut; None when it is whole.
    """

    text: str
    for_s: float
    changes: Mapping[str, Any]
    cut: CutKind | None = None


def parse_share(text: str) -> float:
    """Return ``5%`` or ``0.05`` as 0.05.

    Raises:
        ValueError: It is not a share from 0 to 1.
    """
    try:
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise ValueError(f"expected a share such as 5% or 0.05, found {text!r}")
    return found


def parse_rate(text: str) -> float:
    """Return ``256KiB`` as bytes a second.

    Raises:
        ValueError: It is none, or 0.
    """
    size = parse_size(text)
    if size < 1:
        raise ValueError("must be above 0")
    return float(size)


_WORDS: Mapping[str, tuple[str, Callable[[str], float]]] = {
    "delay": ("delay_s", parse_duration),
    "jitter": ("jitter_s", parse_duration),
    "rate": ("bytes_per_s", parse_rate),
    "loss": ("loss", parse_share),
    "duplicate": ("duplicate", parse_share),
    "reorder": ("reorder", parse_share),
    "flip-every": ("flip_every", parse_size),
    "trickle": ("trickle", parse_size),
}


def parse_schedule(text: str) -> tuple[Phase, ...]:
    """Return the phases of a schedule.

    Raises:
        ValueError: Names the phase and what was expected there.
    """
    phases = tuple(_phase(n, part) for n, part in enumerate(text.split(";"), 1) if part.strip())
    if not phases:
        raise ValueError("expected phases such as '30s; 10s cut', found none")
    return phases


def _phase(n: int, part: str) -> Phase:
    first, *words = part.split()
    changes: dict[str, float] = {}
    cut: CutKind | None = None
    try:
        for_s = parse_duration(first)
        for word in words:
            key, equals, value = word.partition("=")
            if not equals and key in {"cut", "silent"}:
                cut = "reset" if key == "cut" else "silent"
            elif equals and key in _WORDS:
                name, read = _WORDS[key]
                changes[name] = read(value)
            else:
                expected = ", ".join(["cut", "silent", *(f"{each}=" for each in _WORDS)])
                raise ValueError(f"expected one of {expected}, found {word!r}")  # noqa: TRY301
        if for_s <= 0:
            raise ValueError("must last longer than 0s")  # noqa: TRY301
    except ValueError as exc:
        raise ValueError(f"phase {n} ({part.strip()!r}): {exc}") from exc
    return Phase(" ".join([first, *words]), for_s, changes, cut)


async def follow(way: Way, options: WanOptions, phases: tuple[Phase, ...], told: Told) -> NoReturn:
    """Go through the phases, round and round, until cancelled."""
    while True:
        for phase in phases:
            way.change(replace(options, **phase.changes))
            if phase.cut is not None:
                way.cut(phase.cut)
            told(phase.text)
            await asyncio.sleep(phase.for_s)
            if phase.cut is not None:
                way.mend()


async def chance(way: Way, options: WanOptions, told: Told) -> NoReturn:
    """Cut and mend, and reset connections, as often as the options say, until cancelled."""
    dice = random.Random(options.seed)  # noqa: S311  # a simulation, not a secret
    async with asyncio.TaskGroup() as tasks:
        if options.reset_every_s:
            own = random.Random(dice.random())  # noqa: S311
            tasks.create_task(_resets(way, options.reset_every_s, own, told))
        while True:
            if not options.cut_every_s:
                await asyncio.Event().wait()
            await asyncio.sleep(dice.expovariate(1 / options.cut_every_s))
            way.cut(options.cut)
            told("cut")
            await asyncio.sleep(dice.expovariate(1 / options.cut_for_s) if options.cut_for_s else 0)
            way.mend()
            told("mended")
    raise AssertionError("the weather does not end")


async def _resets(way: Way, every_s: float, dice: random.Random, told: Told) -> NoReturn:
    while True:
        await asyncio.sleep(dice.expovariate(1 / every_s))
        way.reset_one()
        told("reset")
