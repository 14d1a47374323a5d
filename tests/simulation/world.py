"""A world: one loop, one network, nodes with disks and clocks, and everything drawn from one seed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import logging
import os
import random
import secrets
import tempfile
import traceback
import warnings
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, NoReturn

import structlog

from gateway_core.clock import NS, monotonic_from
from tests.simulation.disk import Disk, free_bytes, simulated_disks
from tests.simulation.loop import LIFE, Life, SimulatedLoop
from tests.simulation.network import Network

BEGAN = 1_795_000_000 * NS
"""The true time at the world's beginning, in nanoseconds since 1970."""
MEMORY = Path("/dev/shm")


class World:
    """Everything that one seed makes.

    Args:
        seed: Of all chances.
        root: A folder in memory.

    Attributes:
        loop: Runs everything.
        network: Connects everything.
        lines: The trace: virtual seconds since the beginning, node, what happened.
        nodes: By name.
    """

    def __init__(self, seed: int, root: Path) -> None:
        self.seed, self.root = seed, root
        self.lines: list[tuple[float, str, str]] = []
        self.loop = SimulatedLoop(self.chance("threads"))
        self.network = Network(self.loop, self.chance("network"))
        self.network.tell = lambda text: self.tell("network", text)
        self.nodes: dict[str, Node] = {}
        self._start = self.loop.time()
        self._tokens = self.chance("tokens")

    def chance(self, name: str) -> random.Random:
        """Return a source of chance of its own: what one part draws moves no other part."""
        return random.Random(f"{self.seed}/{name}")

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.loop.time() - self._start

    def tell(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.lines.append((self.now, who, what))

    def digest(self) -> str:
        """Return what two runs of one seed must agree on."""
        text = "\n".join(f"{at:.6f} {who} {what}" for at, who, what in self.lines)
        return hashlib.sha256(text.encode()).hexdigest()

    def _token(self, nbytes: int | None = None) -> str:
        return self._tokens.randbytes(nbytes or 16).hex()

    def _log(self, _logger: Any, level: str, event: dict[str, Any]) -> NoReturn:
        """Take what production code logs into the trace."""
        life = LIFE.get()
        if level != "debug":
            said = " ".join(
                f"{key}={value}" for key, value in event.items() if key not in {"event", "exc_info"}
            )
            text = f"{event['event']} {said}".replace(str(self.root), "")
            self.tell(life.name if life else "?", f"[{level}] {text}"[:400])
        raise structlog.DropEvent

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Let this process live in this world: time, ids, disks and logs are the world's."""
        token, collecting = secrets.token_hex, gc.isenabled()
        logging.disable(logging.CRITICAL)
        structlog.configure(processors=[self._log])
        secrets.token_hex = self._token  # type: ignore[assignment]
        asyncio.set_event_loop(self.loop)
        gc.freeze()
        gc.disable()  # what a dead node left must not be closed in the middle of something
        try:
            with (
                monotonic_from(self.loop.time),
                simulated_disks(self.root, free_bytes),
                warnings.catch_warnings(action="ignore"),  # a warning made an error ends a program
            ):
                try:
                    yield
                finally:
                    for node in self.nodes.values():
                        node.end()
                    self.tell = lambda _who, _what: None
                    self.loop.dispose()
        finally:
            secrets.token_hex = token
            asyncio.set_event_loop(None)
            self.loop.close()
            structlog.reset_defaults()
            logging.disable(logging.NOTSET)
            if collecting:
                gc.enable()


class Node(ABC):
    """A machine with a disk, a clock of its own, and a program that can die at any step.

    Args:
        world: Where it is.
        name: Its name.
        host: Its address.

    Attributes:
        offset: How far its clock is from the truth, in nanoseconds.
        down: Whether it is waiting to be started again.
        lives: How many times its program was started.
        trouble: Why the program ended by itself, where it should not have.
    """

    def __init__(self, world: World, name: str, host: str) -> None:
        self.world, self.name, self.host = world, name, host
        self.chance = world.chance(name)
        self.offset = 0
        self.down = True
        self.lives = 0
        self.trouble: list[str] = []
        self.life = Life(name, host)
        self._looked = 0
        self._boots, self._switched_on = 1, 0.0
        self.disk: Disk | None = None
        self._image: dict[str, bytes] = {}
        world.nodes[name] = self

    def clock(self) -> int:
        """Return what the machine takes for the time; to look takes a microsecond."""
        self._looked += 1
        return BEGAN + round(self.world.now * NS) + self.offset + 1000 * self._looked

    def steady(self) -> int:
        """Return nanoseconds since the machine was switched on."""
        return round((self.world.now - self._switched_on) * NS)

    def boot(self) -> str:
        """Return the name of this run of the machine."""
        return f"{self.name}/{self._boots}"

    @abstractmethod
    async def run(self) -> None:
        """The program; ends only when something is wrong with it."""

    def start(self) -> None:
        """Start the program on what is on the disk."""
        self.lives += 1
        self.down = False
        life = self.life = Life(self.name, self.host)
        self.world.network.powered[self.host] = life
        before = self.disk
        self.disk = Disk(
            self.world.root / f"{self.name}-{self.lives}",
            life,
            self.world.chance(f"{self.name}/disk/{self.lives}"),
        )
        self.disk.put(self._image)
        if before is not None:
            self.disk.room = before.room
        self.world.tell(self.name, f"starts, life {self.lives}")
        task = self.world.loop.create_task(self._live(life), context=life.context)
        task.set_name(self.name)

    async def _live(self, life: Life) -> None:
        try:
            await self.run()
            why = "as it was told"
        except Exception as exc:  # noqa: BLE001  # whatever it was, the program is over
            why = f"{type(exc).__name__}: {exc}"
            if not self.may_end(exc):
                self.trouble.append(why + "".join(traceback.format_exception(exc)[-3:]))
        self.world.tell(self.name, f"ended: {why}")
        self.world.loop.call_soon(self.kill, False, 3.0, context=_NOBODY)

    def may_end(self, exc: BaseException) -> bool:
        """Say whether the program may end like this; systemd starts it again."""
        del exc
        return False

    def kill(self, power: bool, back_s: float) -> None:
        """End the program between two steps, or the whole machine; it comes back by itself."""
        if self.down:
            return
        self._stop(power)
        self.world.loop.call_later(back_s, self._again, context=_NOBODY)

    def _stop(self, power: bool) -> None:
        assert self.disk is not None
        self.world.tell(self.name, "the power goes" if power else "is killed")
        self.down = True
        self.life.alive = False
        self._image = self.disk.image(power=power)
        self.disk.off = True
        if power:
            self._boots += 1
            self._switched_on = self.world.now
        self.world.network.vanish(self.life, power=power)
        self.after_death(power)

    def after_death(self, power: bool) -> None:  # noqa: B027 - most keep nothing there
        """Lose what a model keeps in memory."""

    def _again(self) -> None:
        if self.down:
            self.start()

    def arm(self, power: bool, back_s: float, *, steps: int = -1, operations: int = -1) -> None:
        """End it after so many steps, in the middle of an operation of its disk, or after one."""

        def blow() -> None:
            if not self.down:
                self._stop(power)
                self.world.loop.call_later(back_s, self._again, context=_NOBODY)

        self.life.blow = blow
        if self.disk is not None and operations >= 0:
            self.disk.fuse, self.disk.then = operations, steps
        else:
            self.life.fuse = steps

    def disarm(self) -> None:
        """Let it live."""
        self.life.fuse = -1
        if self.disk is not None:
            self.disk.fuse = self.disk.then = -1

    def end(self) -> None:
        """Nothing of it happens any more."""
        self.life.alive = False
        self.down = True


_NOBODY = Life("world", "").context
_NOBODY.run(LIFE.set, None)


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """Make a folder in memory, where there is one."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tidegate-world-", dir=where) as made:
        yield Path(made)


def run_in(world: World, work: Coroutine[Any, Any, Any]) -> Any:
    """Run something of nobody's to its end."""
    return world.loop.run_until_complete(world.loop.create_task(work, context=_NOBODY.copy()))
