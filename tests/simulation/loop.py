"""An asyncio event loop whose time is virtual, whose threads are none, and whose network is ours.

Time moves only when nothing is ready, and then straight to the next timer. What production code
gives to a thread is a step of this loop, later by a seeded delay. Each step belongs to the life of
a node (a context variable that tasks and timers inherit); steps of a life that has ended are never
run, which is what kill -9 is.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import heapq
import random
import sys
from asyncio import base_events
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any

MOST_STEPS = 3_000_000


class PowerOff(BaseException):
    """The node ended in the middle of what it did; no code of it may catch this."""


class Life:
    """One run of a node, from its start until it is killed.

    Attributes:
        name: Of the node.
        host: Its address.
        alive: Whether its steps are run.
        fuse: Steps until it is killed; below 0: it is not.
        blow: Kills it.
    """

    def __init__(self, name: str, host: str) -> None:
        self.name, self.host = name, host
        self.alive = True
        self.fuse = -1
        self.blow: Callable[[], None] = lambda: None
        self.context = Context()
        self.context.run(LIFE.set, self)


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class SimulatedLoop(base_events.BaseEventLoop):
    """The loop of one simulated world.

    Args:
        chance: Where the delays of what runs in threads are drawn from.

    Attributes:
        network: Connects and listens; set before the first connection.
        steps: How many steps were run.
        tasks: All that were ever made: nothing is collected, and so closed, at a moment of the
            collector's choice.
    """

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.network: Any = None
        self.steps = 0
        self.tasks: list[asyncio.Task[Any]] = []
        self._chance = chance
        self._now = 1000.0
        self._threads: dict[Any, float] = {}
        self.set_task_factory(self._made)
        self.closing = False

    def time(self) -> float:
        return self._now

    def _made(self, loop: Any, coro: Any, context: Context | None = None) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, context=context)
        self.tasks.append(task)
        return task

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready
        self._now += 1e-6  # or a wait too short to be told from none would be waited for ever
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                raise RuntimeError("nothing will ever happen any more")
            self._now = max(self._now, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                self._step(handle)

    def _step(self, handle: Any) -> None:
        life = handle._context.get(LIFE)
        if life is not None:
            if not life.alive:
                return
            if life.fuse >= 0:
                life.fuse -= 1
                if life.fuse < 0:
                    life.blow()
                    return
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise RuntimeError("the world does not come to rest")
        handle._run()

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_soon(callback, *args, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.closing and not isinstance(context.get("exception"), PowerOff):
            super().call_exception_handler(context)

    def add_signal_handler(self, sig: Any, callback: Any, *args: Any) -> None:
        pass

    def remove_signal_handler(self, sig: Any) -> bool:
        return True

    def _write_to_self(self) -> None:
        pass

    def _process_events(self, event_list: Any) -> None:
        pass

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        """Run it as a step, later; what one thread does comes in the order in which it was given."""
        done = self.create_future()
        delay = self._chance.expovariate(1 / 0.002)
        if executor is not None:
            last = self._threads.get(executor, 0.0)
            self._threads[executor] = when = max(last, self._now + delay / 4)
            self.call_at(when, self._work, done, func, args)
        elif self._chance.random() < 0.3:  # done at once, and heard of later
            outcome = self.create_future()
            self._work(outcome, func, args)
            self.call_later(delay, self._hear, done, outcome)
        else:
            self.call_later(delay, self._work, done, func, args)
        return done

    @staticmethod
    def _work(done: asyncio.Future[Any], func: Any, args: Any) -> None:
        if done.done():
            return
        try:
            result = func(*args)
        except PowerOff:
            raise
        except Exception as exc:  # noqa: BLE001  # whoever waits hears of it
            done.set_exception(exc)
        else:
            done.set_result(result)

    @staticmethod
    def _hear(done: asyncio.Future[Any], outcome: asyncio.Future[Any]) -> None:
        error = outcome.exception()
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(outcome.result())

    async def sock_connect(self, sock: Any, address: Any) -> None:
        await self.network.connect_socket(sock, address[0], address[1])

    async def create_connection(
        self,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        *,
        sock: Any = None,
        **_: Any,
    ) -> Any:
        return await self.network.attach(protocol_factory, host, port, sock)

    async def create_server(
        self, protocol_factory: Any, *_: Any, sock: Any = None, **__: Any
    ) -> Any:
        return self.network.listen(protocol_factory, sock.getsockname())

    async def create_unix_server(
        self, protocol_factory: Any, path: Any = None, *, sock: Any = None, **_: Any
    ) -> Any:
        """Nobody comes to a control socket here."""
        place = (sock.getsockname(), 0)
        sock.close()
        return self.network.listen(protocol_factory, place)

    def dispose(self) -> None:
        """Let go of every coroutine that was left in the middle, where nothing can happen any more.

        What they say when they are closed is of no interest: their node died long ago.
        """
        self.closing = True
        heard, sys.unraisablehook = sys.unraisablehook, lambda _said: None
        try:
            for task in self.tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                if not task.done():
                    with contextlib.suppress(BaseException):
                        task.get_coro().close()
            self.tasks.clear()
            self._ready.clear()
            self._scheduled.clear()
            gc.collect()
        finally:
            sys.unraisablehook = heard
