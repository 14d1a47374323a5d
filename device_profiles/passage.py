"""One message's way through a profile, with what every stage made of it: for dumps and for lint.

The profile is compiled once more, under a trace, so that what is shown is what the real stages did
and decoding itself carries no instruments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from device_profiles.catalogue import Catalogue
from device_profiles.codecs import Context, Message, Packet, Values
from device_profiles.codecs.trace import Block, Place, Trace, compiled_under
from device_profiles.examples import Bench, Received, payload_of
from device_profiles.measure import Measure
from device_profiles.opened import Opened
from device_profiles.profile import Profile, compile_profile
from device_profiles.route import Entry

Body = Callable[[bytes], "Values | list[Packet] | Message"]


@dataclass(slots=True)
class Passage:
    """What the stages made of one message.

    Attributes:
        received: The outcome.
        entry: Which element of ``match`` read it, or None: none did.
        opened: The message without its envelope, or None: it was not opened.
        values: What the codec gave, or None: it gave nothing.
        records: What the measurements looked at: the message, its stored records, its devices.
        blocks: Its bytes and who read them; empty for messages that are no bytes.
        steps: The decode steps that it went through.
        body: The decoder of the innermost bytes, and these bytes; None where there are none.
    """

    received: Received
    entry: int | None = None
    opened: Opened | None = None
    values: Values | list[Packet] | Message | None = None
    records: list[Values] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    steps: list[Place] = field(default_factory=list)
    body: tuple[Body, bytes] | None = None


class Watched:
    """A profile whose stages are watched.

    Args:
        profile: The profile.

    Attributes:
        profile: The same, compiled under the trace.
        trace: What its codecs read.
    """

    def __init__(self, profile: Profile) -> None:
        self.trace = Trace()
        with compiled_under(self.trace):
            compiled = compile_profile(profile.document)
        entries = tuple(self._watched(i, entry) for i, entry in enumerate(compiled.entries))
        self.profile = replace(compiled, entries=entries)
        self._catalogue = Catalogue([self.profile])
        self._found = Passage(Received())

    def bench(self) -> Bench:
        """Return a bench with alarm state of its own."""
        return Bench(self.profile)

    def pass_(
        self,
        bench: Bench,
        address: str,
        payload: bytes,
        received: int,
        *,
        coap: bool = False,
        content_format: int | None = None,
    ) -> Passage:
        """Send one message through; arguments as of `Bench.receive`."""
        self._found = Passage(Received())
        self.trace.begin(payload)
        outcome = bench.receive(
            address, payload, received, coap=coap, content_format=content_format
        )
        found = self._found
        found.received = outcome
        if found.entry is None:
            found.entry = self._unopened(address, content_format, coap=coap)
        if found.opened is not None and isinstance(found.opened.body, bytes):
            found.blocks, found.steps = self.trace.blocks, self.trace.steps
            found.body = self.trace.body or found.body
        return found

    def pass_vector(self, bench: Bench, recv: Mapping[str, Any]) -> Passage:
        """Send the message of a test vector through."""
        return self.pass_(
            bench,
            recv.get("topic", recv.get("path", "")),
            payload_of(recv),
            round(recv.get("at", 0) * 1_000_000) * 1_000,
            coap="path" in recv,
            content_format=recv.get("content_format"),
        )

    def _unopened(self, address: str, content_format: int | None, *, coap: bool) -> int | None:
        """Return which entry takes messages that are not opened (availability, answers)."""
        catalogue = self._catalogue
        routes = catalogue.coap(address, content_format) if coap else catalogue.mqtt(address)
        for index, entry in enumerate(self.profile.entries):
            if any(part.entry is entry for route in routes for part in route.parts):
                return index
        return None

    def _watched(self, index: int, entry: Entry) -> Entry:
        """Return an entry that enters what it did; without the short way, which shows nothing."""

        def opens(
            payload: bytes, captures: Mapping[str, str], content_format: int | None
        ) -> Opened:
            self._found = Passage(Received(), index)
            opened = entry.open(payload, captures, content_format)
            self._found.opened = opened
            return opened

        def decode(body: object, context: Context) -> Values | list[Packet] | Message:
            found = self._found
            if isinstance(body, bytes):
                what = (
                    "payload" if found.opened is None or entry.via in _PLAIN else "device's bytes"
                )
                self.trace.begin(body, what)
                found.body = (lambda data: entry.decode(data, context), body)
            found.values = entry.decode(body, context)
            return found.values

        spy = _Spy("", "", _nothing, None, None, _nothing, "", "", self._record)
        reader = replace(entry.reader, measures=(spy, *entry.reader.measures))
        return replace(
            entry, open=opens, decode=decode, reader=reader, fast=None, extra=(), time_at=None
        )

    def _record(self, values: Values) -> None:
        self._found.records.append(values)


_PLAIN = ("mqtt", "coap")


def _nothing(_values: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Spy(Measure):
    """Stands before the measurements and enters what they are about to look at."""

    enter: Callable[[Values], None]

    def take(self, values: Any, *, flat: bool) -> Any:  # noqa: ARG002
        """Enter the values; there is never a field of it."""
        self.enter(values)
