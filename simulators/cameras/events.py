"""What happens to a fleet by itself: cameras break and are mended, switches fail, power dips."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from simulators.cameras.camera import Device, draw_trouble
from simulators.cameras.options import Condition, FleetOptions
from simulators.cameras.truth import Truth

SWITCH_DOWN_S = (60.0, 180.0)
STORM_SHARE = 0.02
"""Share of the fleet that reboots when the power dips."""
REBOOT_S = (20.0, 90.0)

Change = Callable[[Device, Condition], Awaitable[None]]


class Events:
    """Lets things happen to a fleet; each kind has dice of its own, so that one seed tells all.

    Args:
        options: How often.
        devices: To whom.
        change: Gives a device another condition.
        truth: Is told what several devices share.
    """

    def __init__(
        self, options: FleetOptions, devices: Sequence[Device], change: Change, truth: Truth
    ) -> None:
        self._options = options
        self._devices = devices
        self._change = change
        self._truth = truth
        self._taken: set[Device] = set()
        """Who is in the middle of a larger event, and not to be changed by another one."""

    async def run(self) -> None:
        """Let things happen until cancelled."""
        options = self._options
        async with asyncio.TaskGroup() as group:
            for every_s, happen in (
                (options.change_every_s, self._one_changes),
                (options.switch_fails_every_s, self._switch_fails),
                (options.storm_every_s, self._power_dips),
            ):
                if every_s:
                    dice = Random(f"{options.seed} {happen.__name__}")  # noqa: S311 - reproducible
                    group.create_task(self._now_and_then(every_s, happen, dice, group))
            await asyncio.Event().wait()

    async def _now_and_then(
        self,
        every_s: float,
        happen: Callable[[Random], Awaitable[None]],
        dice: Random,
        group: asyncio.TaskGroup,
    ) -> None:
        async def once() -> None:
            await happen(dice)

        while True:
            await asyncio.sleep(dice.expovariate(1 / every_s))
            group.create_task(once())

    async def _one_changes(self, dice: Random) -> None:
        """Break a whole camera or mend a broken one, so that about as many stay broken."""
        broken = dice.random() < 0.5
        chosen = [each for each in self._free() if (each.condition != "good") == broken]
        if chosen:
            condition = "good" if broken else draw_trouble(self._options, dice)
            await self._change(dice.choice(chosen), condition)

    async def _switch_fails(self, dice: Random) -> None:
        group = dice.choice(sorted({each.group for each in self._devices}))
        behind = [each for each in self._free() if each.group == group]
        feeds = sum(len(each.feeds) for each in behind)
        self._truth.event("switch_down", group=group, feeds=feeds)
        await self._for_a_while(behind, "cut_off", [dice.uniform(*SWITCH_DOWN_S)] * len(behind))
        self._truth.event("switch_up", group=group, feeds=feeds)

    async def _power_dips(self, dice: Random) -> None:
        free = self._free()
        hit = dice.sample(free, min(len(free), max(1, int(STORM_SHARE * len(self._devices)))))
        self._truth.event("reboot_storm", feeds=sum(len(each.feeds) for each in hit))
        await self._for_a_while(hit, "dead", [dice.uniform(*REBOOT_S) for _ in hit])

    def _free(self) -> list[Device]:
        return [each for each in self._devices if each not in self._taken]

    async def _for_a_while(
        self, devices: Sequence[Device], condition: Condition, seconds: Sequence[float]
    ) -> None:
        """Give devices a condition, and each its own one back after its time."""
        before = [each.condition for each in devices]
        self._taken.update(devices)
        for device in devices:
            await self._change(device, condition)
        waited = 0.0
        for after, device, old in sorted(
            zip(seconds, devices, before, strict=True), key=lambda each: each[0]
        ):
            await asyncio.sleep(after - waited)
            waited = after
            await self._change(device, old)
            self._taken.discard(device)
