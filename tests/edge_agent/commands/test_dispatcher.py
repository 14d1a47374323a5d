"""The promise: sent at most once, never late, one at a time, each within its limits.

The dispatcher alone, with a way out that the tests hold, and a clock that they move.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from device_profiles.catalogue import load_catalogue
from edge_agent.commands.addressing import Addressing
from edge_agent.commands.book import CommandBook
from edge_agent.commands.dispatcher import Dispatcher
from edge_agent.commands.docket import Docket, TooMany
from edge_agent.commands.order import Order, Request
from edge_agent.commands.waiting import Waiting
from edge_agent.downlink import Downlink, NotSent
from gateway_core.errors import GatewayError, PayloadError, Unavailable
from gateway_core.meter import Meter
from gateway_core.model import Reading
from tests.edge_agent.commands.test_command_book import ORDER
from tests.fakes.edge import NOW, Edge, Hands, arrival, open_edge, write_profile
from tests.fakes.plug import PLUG

GONG = PLUG.replace(
    "  beep: ",
    "  gong:\n"
    "    role: operator\n"
    '    send: {topic: "{site}/{device}/cmd", text: gong}\n'
    "    ack: {topic: gong/ack, match: {done: true}, within: 20s}\n"
    "  beep: ",
)
"""As the plug, with a command whose answers do not say whose they are."""


class Door:
    """A way out.

    Attributes:
        look: Called to learn whether it is open now.
        got: What was sent, in order.
        trouble: Raised by the next sendings, one each.
        held: Cleared, sendings do not come to an end.
    """

    def __init__(self) -> None:
        self.look: Callable[[], bool] = lambda: True
        self.got: list[Downlink] = []
        self.trouble: list[GatewayError] = []
        self.held = asyncio.Event()
        self.held.set()

    @property
    def open(self) -> bool:
        return self.look()

    async def publish(self, downlink: Downlink) -> str:
        if self.trouble:
            raise self.trouble.pop(0)
        self.got.append(downlink)
        await self.held.wait()
        return ""


class Desk:
    """A dispatcher at work."""

    def __init__(self, edge: Edge, folder: Path, door: Door, sources: list[str]) -> None:
        catalogue = load_catalogue([write_profile(folder / "profiles", GONG)], shipped=False)
        self.clock = edge.clock
        self.door = door
        self.waiting = Waiting()
        self.book = CommandBook(folder / "commands.db")
        self.dispatcher = Dispatcher(
            self.book,
            Addressing(edge.registry, lambda: sources, catalogue),
            lambda _source: door,
            self.waiting,
            edge.clock,
            Meter(),
        )

    async def order(self, name: str, device: str = "plug-1", **more: Any) -> Order:
        return await self.dispatcher.order(Request(device, name, **more))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await asyncio.sleep(0.01)

    async def ended(self, order: Order) -> tuple[str, str]:
        """Return state and reason of an order once it has ended."""
        found = await self.dispatcher.docket.find(order.id, 20.0)
        assert found is not None
        assert found[0].ended
        return found[0].state, found[0].reason

    def answer(self, topic: str, payload: str) -> None:
        self.waiting.heard([arrival(topic, payload, self.clock.now)])

    def reads(self, received: int, time: int, *, on: bool) -> None:
        reading = Reading("e1", "plug-1", "test/plug", "plug", time, received, {"on": on}, {})
        self.waiting.observed([reading])


@contextlib.asynccontextmanager
async def at_work(
    folder: Path, door: Door | None = None, sources: tuple[str, ...] = ("mqtt:site",)
) -> AsyncIterator[Desk]:
    async with open_edge(folder, profile=GONG) as edge:
        for device in ("plug-1", "plug-2"):
            await edge.hear(f"s1/{device}/state", '{"on": false}')
        desk = Desk(edge, folder, door or Door(), list(sources))
        task = asyncio.create_task(desk.dispatcher.run())
        try:
            yield desk
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            desk.book.close()


async def test_a_time_to_live_that_ends_while_the_disk_takes_the_command_is_not_sent(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path) as desk:

        def look() -> bool:
            desk.clock.pass_s(60)
            return True

        desk.door.look = look
        order = await desk.order("beep", ttl_s=60.0)
        assert await desk.ended(order) == ("expired", "ttl_over")
        assert desk.door.got == []


async def test_to_one_device_one_command_at_a_time_in_the_order_of_asking(tmp_path: Path) -> None:
    async with at_work(tmp_path) as desk:
        desk.door.held.clear()
        first = await desk.order("beep")
        second = await desk.order("switch", args={"on": True})
        other = await desk.order("beep", device="plug-2")
        await desk.until(lambda: len(desk.door.got) == 2)
        await asyncio.sleep(0.1)
        assert {each.address for each in desk.door.got} == {"s1/plug-1/cmd", "s1/plug-2/cmd"}
        desk.door.held.set()
        assert await desk.ended(first) == ("sent", "")
        assert await desk.ended(other) == ("sent", "")
        await desk.until(lambda: len(desk.door.got) == 3)
        assert b"switch" in desk.door.got[-1].payload
        desk.answer("s1/plug-1/ack", f'{{"id": "{second.id}"}}')


async def test_an_answer_that_does_not_say_whose_it_is_is_one_command_s_only(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path) as desk:
        first = await desk.order("gong")
        await desk.until(lambda: len(desk.door.got) == 1)
        second = await desk.order("gong", device="plug-2")
        await asyncio.sleep(0.1)
        assert len(desk.door.got) == 1
        desk.answer("gong/ack", '{"done": true}')
        assert await desk.ended(first) == ("acknowledged", "")
        await desk.until(lambda: len(desk.door.got) == 2)
        desk.answer("gong/ack", '{"done": true}')
        assert await desk.ended(second) == ("acknowledged", "")


async def test_what_an_earlier_run_had_sent_is_seen_through_before_the_next_is_sent(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path) as desk:
        first = await desk.order("gong")
        await desk.until(lambda: len(desk.door.got) == 1)
    async with at_work(tmp_path) as desk:
        second = await desk.order("gong", device="plug-2")
        await asyncio.sleep(0.3)
        assert desk.door.got == []
        desk.answer("gong/ack", '{"done": true}')
        assert await desk.ended(first) == ("acknowledged", "")
        await desk.until(lambda: len(desk.door.got) == 1)
        desk.answer("gong/ack", '{"done": true}')
        assert await desk.ended(second) == ("acknowledged", "")


async def test_what_did_not_leave_is_sent_once_when_it_can(tmp_path: Path) -> None:
    async with at_work(tmp_path) as desk:
        desk.door.trouble = [NotSent("no room"), NotSent("no room")]
        order = await desk.order("beep")
        assert await desk.ended(order) == ("sent", "")
        assert len(desk.door.got) == 1


async def test_what_may_have_left_is_sent_again_only_where_that_does_no_harm(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path) as desk:
        desk.door.trouble = [Unavailable("no PUBACK")]
        assert await desk.ended(await desk.order("beep")) == ("unconfirmed", "no_answer")
        assert desk.door.got == []
        desk.door.trouble = [Unavailable("no PUBACK")]
        ping = await desk.order("ping")
        await desk.until(lambda: len(desk.door.got) == 1)
        desk.answer("s1/plug-1/ack", f'{{"id": "{ping.id}"}}')
        assert await desk.ended(ping) == ("acknowledged", "")


async def test_nothing_is_sent_that_the_disk_does_not_have_as_sent(tmp_path: Path) -> None:
    async with at_work(tmp_path) as desk:
        desk.door.look = lambda: False
        await desk.order("beep")
        desk.book.close()
        desk.door.look = lambda: True
        await asyncio.sleep(0.5)
        assert desk.door.got == []


async def test_the_first_answer_counts(tmp_path: Path) -> None:
    async with at_work(tmp_path) as desk:
        order = await desk.order("switch", args={"on": True})
        await desk.until(lambda: len(desk.door.got) == 1)
        desk.answer("s1/plug-1/ack", f'{{"id": "{order.id}", "error": "busy"}}')
        desk.answer("s1/plug-1/ack", f'{{"id": "{order.id}"}}')
        assert await desk.ended(order) == ("refused", "device_refused")


@pytest.mark.parametrize(("received", "time"), [(-1, 0), (0, -60_000_000_001)])
async def test_a_reading_from_before_the_command_does_not_confirm_it(
    tmp_path: Path, received: int, time: int
) -> None:
    async with at_work(tmp_path) as desk:
        order = await desk.order("switch", args={"on": True})
        await desk.until(lambda: len(desk.door.got) == 1)
        desk.reads(NOW + received, NOW + time, on=True)
        desk.answer("s1/plug-1/ack", f'{{"id": "{order.id}"}}')
        await asyncio.sleep(0.2)
        found = await desk.dispatcher.docket.find(order.id)
        assert found is not None
        assert (found[0].state, found[0].ended) == ("acknowledged", False)
        desk.reads(NOW, NOW - 60_000_000_000, on=True)
        assert await desk.ended(order) == ("confirmed", "")


@pytest.mark.parametrize(
    ("request_", "sources", "code"),
    [
        (Request("plug-1", "beep", ttl_s=0.99), ("mqtt:site",), "bad_ttl"),
        (Request("plug-1", "beep", ttl_s=604_801.0), ("mqtt:site",), "bad_ttl"),
        (Request("plug-1", "beep", ttl_s=float("nan")), ("mqtt:site",), "bad_ttl"),
        (Request("plug-1", "beep", by="x" * 129), ("mqtt:site",), "bad_name"),
        (Request("plug-1", "beep", by="a\nb"), ("mqtt:site",), "bad_name"),
        (Request("plug-1", "beep"), (), "no_way_out"),
        (Request("plug-1", "beep"), ("coap",), "no_way_out"),
        (Request("plug-1", "beep"), ("mqtt:east", "mqtt:west"), "no_way_out"),
        (Request("plug-1", "switch", words={"on": "perhaps"}), ("mqtt:site",), "arg_type"),
    ],
)
async def test_a_wrong_request_is_refused_and_nothing_is_kept(
    tmp_path: Path, request_: Request, sources: tuple[str, ...], code: str
) -> None:
    async with at_work(tmp_path, sources=sources) as desk:
        with pytest.raises(PayloadError) as found:
            await desk.dispatcher.order(request_)
        assert found.value.code == code
        assert await desk.dispatcher.docket.latest(10, "", None) == []


async def test_one_broker_is_the_way_to_a_device_that_was_heard_elsewhere(tmp_path: Path) -> None:
    async with at_work(tmp_path, sources=("mqtt:other", "coap")) as desk:
        assert (await desk.order("beep")).via == "mqtt:other"


async def test_more_open_commands_than_the_limit_are_turned_away(tmp_path: Path) -> None:
    book = CommandBook(tmp_path / "commands.db")
    docket = Docket(book, Hands(), Meter(), most=2)
    orders = [replace(ORDER, id=name) for name in ("01", "02", "03")]
    told = await asyncio.gather(*map(docket.enter, orders), return_exceptions=True)
    assert [type(each) for each in told] == [type(None), type(None), TooMany]
    await docket.end(orders[0], "sent")
    await docket.enter(orders[2])
    assert [order.id for order in await docket.reload()] == ["02", "03"]
    book.close()


async def test_a_command_is_open_only_once_the_disk_has_it(tmp_path: Path) -> None:
    book = CommandBook(tmp_path / "commands.db")
    docket = Docket(book, Hands(), Meter())
    entering = asyncio.create_task(docket.enter(ORDER))
    await asyncio.sleep(0)
    assert len(docket) == 0
    await entering
    assert len(docket) == 1
    book.close()
    with pytest.raises(Unavailable):
        await docket.enter(replace(ORDER, id="02"))
    assert len(docket) == 1
