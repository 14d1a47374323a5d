"""Promise: whatever is done in whatever order, the spool is two Python lists that survive a restart."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway_core.model import Receipt, Rejection
from gateway_core.spool import SpoolOptions, open_spool
from tests.fakes.core import reading, readings, refusal

OPTIONS = SpoolOptions(max_bytes=8 << 20, group_commit_s=0.0, group_records=7, cache_records=20)


class SpoolModel(RuleBasedStateMachine):
    """Compare the spool with what Python remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.appended = []
        self.left = {"a": set(), "b": set()}
        self.delivered = {"a": 0, "b": 0}
        self.quarantined = {"a": 0, "b": 0}
        self.withheld = {"a": 0, "b": 0}
        self.refused = []
        self.state = {}
        self.open()

    def open(self) -> None:
        path = Path(self.folder.name) / "s.db"
        self.context = open_spool(path, "edge-a", OPTIONS)
        self.spool = self.runner.run(self.context.__aenter__())
        for consumer in self.left:
            self.run(self.spool.register(consumer))

    def run(self, work):
        return self.runner.run(work)

    def note(self, new) -> None:
        numbers = range(len(self.appended) + 1, len(self.appended) + len(new) + 1)
        self.appended += new
        for each in self.left.values():
            each.update(numbers)

    @rule(count=st.integers(0, 20), refused=st.integers(0, 2), key=st.sampled_from("xyz"))
    def append(self, count, refused, key) -> None:
        start = len(self.appended)
        new = readings(start + 1, start + count)
        bad = [refusal(n) for n in range(refused)]
        span = self.run(self.spool.append(new, bad, source="s", state={key: str(start).encode()}))
        assert span == ((start + 1, start + count) if count else None)
        self.note(new)
        self.refused += bad
        self.state[key] = str(start).encode()

    @rule(counts=st.lists(st.integers(1, 9), min_size=2, max_size=5))
    def append_at_once(self, counts) -> None:
        async def all_of_them():
            async with asyncio.TaskGroup() as group:
                return [group.create_task(self.spool.append(p, source="s")) for p in parts]

        parts, start = [], len(self.appended)
        for count in counts:
            parts.append(readings(start + 1, start + count))
            start += count
        spans = [task.result() for task in self.run(all_of_them())]
        assert [tuple(span) for span in spans] == [
            (part[0].time - reading(0).time, part[-1].time - reading(0).time) for part in parts
        ]
        for part in parts:
            self.note(part)

    @precondition(lambda self: self.appended)
    @rule(
        consumer=st.sampled_from("ab"),
        limit=st.integers(1, 12),
        reject=st.booleans(),
        withhold=st.integers(0, 3),
        make=st.integers(0, 2),
    )
    def deliver(self, consumer, limit, reject, withhold, make) -> None:
        left = self.left[consumer]
        if not left:
            return
        batch = self.run(self.spool.read(consumer, limit))
        assert batch.first == min(left)
        assert batch.records == self.appended[batch.first - 1 : batch.last]
        rejected = (Rejection(batch.last, "bad", "no"),) if reject else ()
        withhold = min(withhold, len(batch.records) - len(rejected))
        made = tuple(readings(len(self.appended) + 1, len(self.appended) + make))
        receipt = Receipt(rejected, {"policy": withhold} if withhold else {}, made)
        self.run(self.spool.settle(consumer, batch.first, batch.last, receipt))
        left.difference_update(range(batch.first, batch.last + 1))
        self.quarantined[consumer] += len(rejected)
        self.withheld[consumer] += withhold
        self.delivered[consumer] += len(batch.records) - len(rejected) - withhold
        self.note(list(made))

    @precondition(lambda self: self.appended)
    @rule(consumer=st.sampled_from("ab"), data=st.data())
    def settle_anywhere(self, consumer, data) -> None:
        first = data.draw(st.integers(1, len(self.appended)))
        last = data.draw(st.integers(first, min(len(self.appended), first + 15)))
        self.run(self.spool.settle(consumer, first, last))
        new = self.left[consumer] & set(range(first, last + 1))
        self.delivered[consumer] += len(new)
        self.left[consumer] -= new

    @precondition(lambda self: self.refused)
    @rule()
    def replay_the_oldest_refusal(self) -> None:
        ((number, found),) = self.run(self.spool.refusals(1))
        assert found == self.refused.pop(0)
        self.run(self.spool.append([], source="s", replayed=[number]))

    @rule(seq=st.integers(0, 300), limit=st.integers(1, 30))
    def look(self, seq, limit) -> None:
        batch = self.run(self.spool.read_after(seq, limit))
        if seq >= len(self.appended):
            assert batch is None
        else:
            assert batch.first == seq + 1
            assert batch.records == self.appended[seq : batch.last]

    @rule()
    def restart(self) -> None:
        self.run(self.context.__aexit__(None, None, None))
        self.open()

    @invariant()
    def the_books_balance_and_agree_with_the_lists(self) -> None:
        books = self.run(self.spool.books())
        assert books.head == len(self.appended) == self.spool.head
        assert books.residual == 0
        for name, each in books.consumers.items():
            assert each.buffered == len(self.left[name])
            assert each.delivered == self.delivered[name]
            assert each.quarantined == self.quarantined[name]
            assert sum(each.dropped.values()) == self.withheld[name]
        assert self.run(self.spool.state()) == self.state
        assert [r for _, r in self.run(self.spool.refusals(1000))] == self.refused

    def teardown(self) -> None:
        self.run(self.context.__aexit__(None, None, None))
        self.runner.close()
        self.folder.cleanup()


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(max_examples=25, stateful_step_count=25)
