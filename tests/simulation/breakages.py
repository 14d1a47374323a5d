"""Production code broken on purpose, one promise at a time: each must be found within some seeds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from collector import reception
from collector.dedupe import EpochBook
from edge_agent.pipeline import Pipeline
from edge_agent.sources.redelivery import Redelivery
from gateway_core import forward as forwarding
from gateway_core.lanes import Turns
from gateway_core.spool import rows, schema
from gateway_core.spool.spool import Spool
from gateway_core.spool.transaction import Transaction

Break = Callable[[], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def _instead(owner: Any, name: str, other: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, other)
    try:
        yield
    finally:
        setattr(owner, name, before)


def acknowledged_before_commit() -> contextlib.AbstractContextManager[None]:
    """An edge thanks for what is only on its way to the disk."""
    append = Pipeline._append

    async def broken(self: Pipeline, *args: Any) -> None:
        asyncio.get_running_loop().create_task(append(self, *args))

    return _instead(Pipeline, "_append", broken)


def redelivery_forgotten() -> contextlib.AbstractContextManager[None]:
    """An edge takes what comes again for new."""
    return _instead(Redelivery, "recognises", lambda *_: False)


def cursor_before_answer() -> contextlib.AbstractContextManager[None]:
    """A sink's cursor moves before the sink has answered."""

    async def broken(self: Spool, consumer: str, limit: int, **kwargs: Any) -> Any:
        batch = await read(self, consumer, limit, **kwargs)
        await self.settle(consumer, batch.first, batch.last)
        return batch

    read = Spool.read
    return _instead(Spool, "read", broken)


def numbers_not_remembered() -> contextlib.AbstractContextManager[None]:
    """The centre does not look whether it has a number already."""

    def broken(_self: EpochBook, _first: int, _last: int, seqs: Sequence[int]) -> list[int]:
        return list(range(len(seqs)))

    return _instead(EpochBook, "fresh", broken)


def loss_not_recorded() -> contextlib.AbstractContextManager[None]:
    """What is given up for want of room is counted, and nobody is told which it was."""

    def broken(self: Transaction, first: int, last: int, reason: str, *_: Any) -> None:
        for name in rows.consumers(self.db):
            self.count("dropped", name, reason, self.position(name).settle(first, last))

    return _instead(Transaction, "lose", broken)


def receipt_before_commit() -> contextlib.AbstractContextManager[None]:
    """The centre answers an upload before it has stored it."""
    append = Spool.append

    async def broken(self: Spool, records: Any, *args: Any, source: str, **kwargs: Any) -> Any:
        if not source.startswith("edge:"):
            return await append(self, records, *args, source=source, **kwargs)
        asyncio.get_running_loop().create_task(
            append(self, records, *args, source=source, **kwargs)
        )
        return None

    return _instead(reception.Spool, "append", broken)


def not_synced() -> contextlib.AbstractContextManager[None]:
    """A spool commits without waiting for the disk."""
    before = schema._set

    def broken(db: Any, *pragmas: str) -> None:
        before(
            db, *(each.replace("synchronous = FULL", "synchronous = NORMAL") for each in pragmas)
        )

    return _instead(schema, "_set", broken)


def promise_believed() -> contextlib.AbstractContextManager[None]:
    """A store that says yes before it has written is believed."""
    forward = forwarding.forward
    from collector import lane

    async def broken(*args: Any, **kwargs: Any) -> Any:
        await forward(*args, **{**kwargs, "trail": None})

    return _instead(lane, "forward", broken)


def alarms_wait() -> contextlib.AbstractContextManager[None]:
    """Alarms wait for their turn."""

    async def broken(_self: Turns) -> None:
        return None

    return _instead(Turns, "_alarms", broken)


def rejected_dropped() -> contextlib.AbstractContextManager[None]:
    """What a store refuses for good is settled and kept nowhere."""
    settle = Spool.settle

    async def broken(
        self: Spool, consumer: str, first: int, last: int, receipt: Any = None
    ) -> None:
        await settle(self, consumer, first, last)

    return _instead(Spool, "settle", broken)


BREAKAGES: dict[str, tuple[Break, int, int, tuple[str, ...]]] = {
    "acknowledged_before_commit": (acknowledged_before_commit, 1013, 40, ("lost: ",)),
    "redelivery_forgotten": (redelivery_forgotten, 1020, 40, ("doubled: ", "order: ")),
    "cursor_before_answer": (cursor_before_answer, 1003, 40, ("lost: ",)),
    "numbers_not_remembered": (numbers_not_remembered, 1009, 40, ("books: ",)),
    "loss_not_recorded": (loss_not_recorded, 1017, 40, ("edge-1 counts ",)),
    "receipt_before_commit": (receipt_before_commit, 1036, 40, ("lost: ", "books: ")),
    "not_synced": (not_synced, 1024, 40, ("lost: ", "books: ")),
    "promise_believed": (promise_believed, 1010, 40, ("lost: ",)),
    "alarms_wait": (alarms_wait, 1023, 40, ("edge-1: ",)),
    "rejected_dropped": (rejected_dropped, 1003, 40, ("lost: ",)),
}
"""Name to what breaks it, the first of the seeds in which it must be found, how many they are, and
how what is found begins. Of the seeds from 1000 on the first is the one that showed it when this was
written, so that the test is quick; the others are for when plans are drawn otherwise."""
