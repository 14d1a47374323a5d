"""What commands that were sent wait for: messages on a topic, readings of a device."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from device_profiles.answers import Ack, Confirm, Question, Verdict
from edge_agent.arrival import Arrival
from gateway_core.clock import NS
from gateway_core.model import Reading, Record

CLOCKS_DIFFER_NS = 60 * NS
"""A reading that is older than the command by more, by the device's clock, is history."""


class Expectation:
    """What one command waits for; `said` and `shown` are set by what comes.

    Args:
        question: The command.
        ack: Its answer, or None.
        confirm: The reading that shows its effect, or None.
        since: When it was sent, nanoseconds since 1970.

    Attributes:
        said: The verdict of the device's answer.
        shown: Whether a reading showed the effect.
        last: The latest value of the field that is watched, for people.
    """

    def __init__(
        self, question: Question, ack: Ack | None, confirm: Confirm | None, since: int
    ) -> None:
        self.question = question
        self.ack = ack
        self.confirm = confirm
        self.since = since
        self.said: Verdict | None = None
        self.shown = False
        self.last: object = None
        self.changed = asyncio.Event()

    def answered(self, payload: bytes) -> None:
        """Judge a message on the topic of the answer."""
        verdict = self.ack.judge(payload, self.question) if self.ack is not None else None
        if verdict is not None and self.said is None:
            self.said = verdict
            self.changed.set()

    def read(self, reading: Reading) -> None:
        """Judge a reading of the device."""
        early = self.since - CLOCKS_DIFFER_NS
        if self.confirm is None or reading.received < self.since or reading.time < early:
            return
        holds = self.confirm.holds(reading.fields, self.question.args)
        if holds is None:
            return
        self.last = reading.fields[self.confirm.measurement]
        if holds and not self.shown:
            self.shown = True
            self.changed.set()


class Waiting:
    """All expectations, by what could fulfil them; empty most of the time, and then it is free."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Expectation]] = {}
        self.devices: dict[str, list[Expectation]] = {}

    @contextmanager
    def expecting(self, one: Expectation, topic: str) -> Iterator[None]:
        """Listen on behalf of a command, within the block."""
        places = []
        if one.ack is not None:
            places.append((self.topics, topic))
        if one.confirm is not None:
            places.append((self.devices, one.question.device))
        for table, key in places:
            table.setdefault(key, []).append(one)
        try:
            yield
        finally:
            for table, key in places:
                table[key].remove(one)
                if not table[key]:
                    del table[key]

    def heard(self, arrivals: Sequence[Arrival]) -> None:
        """Look at messages; called for all of them, whoever they are from."""
        for arrival in arrivals:
            for each in self.topics.get(arrival.address, ()):
                if arrival.via == "mqtt":
                    each.answered(arrival.payload)

    def observed(self, records: Iterable[Record]) -> None:
        """Look at readings that were just stored."""
        for record in records:
            if isinstance(record, Reading):
                for each in self.devices.get(record.device, ()):
                    each.read(record)
