"""The dispatcher: stores an order, sends it at most once, and sees it through to its end.

Invariants (tests/edge_agent/commands):

* an order is on disk before it is sent, and as ``sent`` before its first byte leaves;
* nothing is sent after its time-to-live;
* after a restart an order that was ``accepted`` is sent once; one that was ``sent`` and of which
  nothing more is known is sent again only where the profile says ``idempotent`` and its
  time-to-live holds;
* one order at a time is under way to a device, and at an answer's topic that does not tell whose
  answer it is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import NoReturn

import structlog

from device_profiles.answers import Question
from device_profiles.commands import CommandSpec
from edge_agent.commands.addressing import COAP, Addressing
from edge_agent.commands.book import CommandBook
from edge_agent.commands.docket import Docket
from edge_agent.commands.order import Order, Request, State
from edge_agent.commands.turns import Turns
from edge_agent.commands.waiting import Expectation, Waiting
from edge_agent.downlink import Downlink, NotSent, Publisher, Undeliverable
from gateway_core.clock import NS, Clock
from gateway_core.errors import PayloadError, Unavailable
from gateway_core.meter import Meter

log = structlog.get_logger()

LOOK_EVERY_S = 0.2
RESTARTED = "the agent was restarted"


class Dispatcher:
    """Takes orders and works them off; `run` is a part of the agent.

    Args:
        book: Where orders are kept.
        addressing: Checks requests and finds the way.
        publisher: Gives the way out through a source, or None where it leads nowhere.
        waiting: Is shown messages and readings by who takes them in.
        clock: The edge's clock.
        meter: Counts ``tidegate_commands_total{state}``.

    Attributes:
        docket: The orders.
    """

    def __init__(
        self,
        book: CommandBook,
        addressing: Addressing,
        publisher: Callable[[str], Publisher | None],
        waiting: Waiting,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self.docket = Docket(book, clock, meter)
        self._addressing = addressing
        self._publisher = publisher
        self._waiting = waiting
        self._clock = clock
        self._meter = meter
        self._group: asyncio.TaskGroup | None = None
        self._alive: set[str] = set()
        self._turns = Turns()

    async def order(self, request: Request) -> Order:
        """Check a request, store it, and let it go its way.

        Raises:
            PayloadError: It is wrong in itself; counted as ``refused``, and nothing is sent.
            TooMany: 1,000 orders are open.
            Unavailable: The disk did not take it; nothing is sent.
        """
        now = self._clock()
        try:
            # in a thread: a vendor's JavaScript may have to make the payload
            order = await asyncio.to_thread(self._addressing.draft, request, _new_id(now), now)
        except PayloadError as exc:
            self._meter.count("tidegate_commands", state="refused")
            log.warning(
                "command_refused",
                device=request.device,
                name=request.name,
                by=request.by,
                why=str(exc),
            )
            raise
        await self.docket.enter(order)
        self._begin(order)
        return order

    async def run(self) -> NoReturn:
        """Take up what an earlier run left open, and work until cancelled.

        Raises:
            Unavailable: The book's disk does not answer; run again.
        """
        trouble: Unavailable | None = None
        try:
            async with asyncio.TaskGroup() as group:
                found = await self.docket.reload()
                self._group = group  # only now: an order that came meanwhile is among those found
                for order in found:
                    self._begin(order)
                await asyncio.Event().wait()
        except* Unavailable as exc:
            trouble = Unavailable(str(exc.exceptions[0]))
        finally:
            self._group = None
        raise trouble or AssertionError("an event that nobody sets was set")

    def _begin(self, order: Order) -> None:
        if self._group is not None and order.id not in self._alive:
            self._alive.add(order.id)
            self._group.create_task(self._live(order), name=f"command {order.id}")

    async def _live(self, order: Order) -> None:
        """See one order through."""
        try:
            spec = self._addressing.spec(order.profile, order.name)
            if order.state == "accepted":
                await self._send_in_turn(order, spec)
            elif order.state == "sent" and self._may_repeat(order, spec):
                order = await self.docket.move(order, "accepted", "sent_again", RESTARTED)
                await self._send_in_turn(order, spec)
            else:
                expectation = self._expectation(order, spec)
                with self._waiting.expecting(expectation, order.answer):
                    # it is under way, so the next one waits, as if this run had sent it
                    async with self._turns.taken(_lanes(order, spec), 0.0):
                        await self._see(order, expectation, "restarted", RESTARTED)
        finally:
            self._alive.discard(order.id)

    def _may_repeat(self, order: Order, spec: CommandSpec | None) -> bool:
        return spec is not None and spec.idempotent and self._clock() < order.expires

    async def _send_in_turn(self, order: Order, spec: CommandSpec | None) -> None:
        left = (order.expires - self._clock()) / NS
        async with self._turns.taken(_lanes(order, spec), left) as mine:
            publisher = await self._way_out(order) if mine else None
            while publisher is not None:
                order = await self.docket.move(order, "sent", sent=self._clock())
                if self._clock() >= order.expires:  # the disk took that long
                    break
                expectation = self._expectation(order, spec)
                with self._waiting.expecting(expectation, order.answer):
                    order = await self._send(order, spec, expectation, publisher)
                if order.state != "accepted":
                    return
                await asyncio.sleep(LOOK_EVERY_S)
                publisher = await self._way_out(order)
            await self.docket.end(order, "expired", "ttl_over", "it could not be sent in time")

    async def _send(
        self,
        order: Order,
        spec: CommandSpec | None,
        expectation: Expectation,
        publisher: Publisher,
    ) -> Order:
        """Send once and see what comes of it; the order is ``accepted`` if it may go once more."""
        try:
            said = await publisher.publish(self._downlink(order))
        except NotSent as exc:
            return await self.docket.move(order, "accepted", "not_sent", str(exc))
        except Undeliverable as exc:
            ended: State = "refused" if exc.code == "device_refused" else "failed"
            return await self.docket.end(order, ended, exc.code, exc.detail)
        except Unavailable as exc:
            if self._may_repeat(order, spec):
                return await self.docket.move(order, "accepted", "sent_again", str(exc))
            return await self._see(order, expectation, "no_answer", str(exc))
        if order.via == COAP:  # the answer to the request was the device's own
            last = expectation.confirm is None
            order = await self.docket.move(order, "acknowledged", detail=said, ended=last)
        return await self._see(order, expectation, "", said)

    async def _see(self, order: Order, expectation: Expectation, doubt: str, detail: str) -> Order:
        """Wait for what the profile says shows success, and end the order.

        Args:
            order: ``sent`` or ``acknowledged``.
            expectation: What is waited for.
            doubt: Why it is not known whether it arrived; empty when the other side has it.
            detail: For people.
        """
        ack, confirm = expectation.ack, expectation.confirm
        if ack is not None and order.state == "sent":
            until = (order.sent or order.changed) + ack.within_ns
            await self._until(expectation, until, lambda: expectation.said is not None)
            if expectation.said == "refused":
                return await self.docket.end(
                    order, "refused", "device_refused", "the device said no"
                )
            if expectation.said is not None:
                order = await self.docket.move(order, "acknowledged", ended=confirm is None)
        if order.ended:
            return order
        if confirm is not None:
            until = order.changed + confirm.within_ns
            await self._until(expectation, until, lambda: expectation.shown)
            if expectation.shown:
                return await self.docket.end(order, "confirmed")
            why = _other(confirm.measurement, confirm.wanted(order.args), expectation.last)
            return await self.docket.end(order, "unconfirmed", "no_confirmation", why)
        if order.state == "acknowledged":
            return await self.docket.end(order, "acknowledged")
        if ack is not None:
            return await self.docket.end(order, "unconfirmed", "no_ack", detail)
        if doubt:
            return await self.docket.end(order, "unconfirmed", doubt, detail)
        return await self.docket.end(order, "sent", "", "the broker has it; no answer is declared")

    async def _until(self, expectation: Expectation, until: int, holds: Callable[[], bool]) -> None:
        while not holds() and (left := until - self._clock()) > 0:
            expectation.changed.clear()
            try:
                async with asyncio.timeout(left / NS):
                    await expectation.changed.wait()
            except TimeoutError:
                continue

    async def _way_out(self, order: Order) -> Publisher | None:
        """Return the way out once it is open; None when the time-to-live is over before."""
        while self._clock() < order.expires:
            publisher = self._publisher(order.via)
            if publisher is not None and publisher.open:
                return publisher
            await asyncio.sleep(LOOK_EVERY_S)
        return None

    def _expectation(self, order: Order, spec: CommandSpec | None) -> Expectation:
        question = Question(order.id, order.device, order.args)
        since = order.sent or order.changed
        if spec is None or spec.arguments.keys() != order.args.keys():
            # the profile is gone, or another: nobody can say what shows success
            return Expectation(question, None, None, since)
        return Expectation(question, spec.ack, spec.confirm, since)

    def _downlink(self, order: Order) -> Downlink:
        left = (order.expires - self._clock()) / NS
        peer = self._addressing.peer(order.device) if order.via == COAP else ""
        form, method = order.content_format, order.method
        return Downlink(order.address, order.payload, left, form, peer, method)


def _lanes(order: Order, spec: CommandSpec | None) -> list[str]:
    lanes = [f"device {order.device}"]
    if spec is not None and spec.ack is not None and spec.ack.shared:
        lanes.append(f"topic {order.answer}")
    return lanes


def _other(field: str, wanted: object, last: object) -> str:
    found = "no reading had it" if last is None else f"the last reading said {last!r}"
    return f"expected {field} = {wanted!r}; {found}"


def _new_id(now: int) -> str:
    """Return an id that sorts by time; two in one millisecond differ by chance."""
    return f"{now // 1_000_000:012x}{secrets.token_hex(3)}"
