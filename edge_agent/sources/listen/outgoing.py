"""Commands on their way to devices that are connected here, each until its PUBACK."""

from __future__ import annotations

import asyncio

from edge_agent.downlink import Downlink, NotSent, Undeliverable
from edge_agent.sources.listen.visit import Visit
from gateway_core.errors import Unavailable

ANSWER_S = 10.0
MOST_WAITING = 1024
_IDS = 0xFFFF


class Outgoing:
    """What was sent to devices and is not acknowledged yet.

    What is in flight when a connection ends is given up: only who ordered the message knows
    whether a second delivery does harm.
    """

    def __init__(self) -> None:
        self._last = 0
        self._count = 0
        self._waiting: dict[Visit, dict[int, asyncio.Future[int]]] = {}

    async def publish(self, downlink: Downlink, visit: Visit | None) -> str:
        """Send a message to the device that subscribed to its topic; as `Publisher.publish`."""
        topic = downlink.address
        if visit is None:
            raise NotSent(f"no device that is connected has subscribed to {topic!r}")
        if self._count >= MOST_WAITING:
            raise NotSent(f"{MOST_WAITING} messages wait for their devices")
        self._last = self._last % _IDS + 1
        packet_id = self._last
        will_confirm = visit.talk.deliver(topic, downlink.payload, packet_id, downlink.expiry_s)
        if not will_confirm:
            visit.flush()
            return "sent; the device subscribed with QoS 0 and does not confirm"
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(visit, {})[packet_id] = found
        self._count += 1
        visit.flush()
        try:
            async with asyncio.timeout(ANSWER_S):
                code = await found
        except TimeoutError as exc:
            raise Unavailable(f"the device did not confirm it within {ANSWER_S:.0f} s") from exc
        finally:
            self._forget(visit, packet_id)
        if code >= 0x80:
            raise Undeliverable("device_refused", f"reason 0x{code:02x}")
        return ""

    def confirmed(self, visit: Visit) -> None:
        """Note what a device acknowledged."""
        waiting = self._waiting.get(visit, {})
        for packet_id, code in visit.talk.confirmed:
            found = waiting.get(packet_id)
            if found is not None and not found.done():
                found.set_result(code)
        visit.talk.confirmed.clear()

    def left(self, visit: Visit) -> None:
        """Give up what a device that went away has not confirmed."""
        for found in self._waiting.get(visit, {}).values():
            if not found.done():
                found.set_exception(Unavailable("the device went away before it confirmed"))

    def _forget(self, visit: Visit, packet_id: int) -> None:
        self._count -= 1
        waiting = self._waiting[visit]
        del waiting[packet_id]
        if not waiting:
            del self._waiting[visit]
