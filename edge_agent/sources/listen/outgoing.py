"""Commands on their way to devices that are connected here, each until its PUBACK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from edge_agent.downlink import Downlink, NotSent, Undeliverable
from edge_agent.sources.listen.policy import matches
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.visit import Visit
from gateway_core.errors import Unavailable

ANSWER_S = 10.0
MOST_WAITING = 1024
_IDS = 0xFFFF


class Outgoing:
    """What was sent to devices and is not acknowledged yet.

    What is in flight when a connection ends is given up: only who ordered the message knows
    whether a second delivery does harm.

    Args:
        sessions: Know who subscribed to what.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._last = 0
        self._waiting: dict[tuple[Visit, int], asyncio.Future[int]] = {}

    async def publish(self, downlink: Downlink, visits: Iterable[Visit]) -> None:
        """Send a message to the device that subscribed to its topic; as `Publisher.publish`."""
        topic = downlink.address
        visit = next((each for each in visits if self._hears(each, topic)), None)
        if visit is None:
            raise NotSent(f"no device that is connected has subscribed to {topic!r}")
        if len(self._waiting) >= MOST_WAITING:
            raise NotSent(f"{MOST_WAITING} messages wait for their devices")
        self._last = self._last % _IDS + 1
        key = (visit, self._last)
        if not visit.talk.deliver(topic, downlink.payload, self._last, downlink.expiry_s):
            raise Undeliverable("too_large", "longer than the device takes")
        found = self._waiting[key] = asyncio.get_running_loop().create_future()
        visit.flush()
        try:
            async with asyncio.timeout(ANSWER_S):
                code = await found
        except TimeoutError as exc:
            raise Unavailable(f"the device did not confirm it within {ANSWER_S:.0f} s") from exc
        finally:
            self._waiting.pop(key, None)
        if code >= 0x80:
            raise Undeliverable("device_refused", f"reason 0x{code:02x}")

    def confirmed(self, visit: Visit) -> None:
        """Note what a device acknowledged."""
        for packet_id, code in visit.talk.confirmed:
            found = self._waiting.get((visit, packet_id))
            if found is not None and not found.done():
                found.set_result(code)
        visit.talk.confirmed.clear()

    def left(self, visit: Visit) -> None:
        """Give up what a device that went away has not confirmed."""
        for (other, _), found in self._waiting.items():
            if other is visit and not found.done():
                found.set_exception(Unavailable("the device went away before it confirmed"))

    def _hears(self, visit: Visit, topic: str) -> bool:
        session = self._sessions.get(visit.talk.client) if visit.talk.client else None
        return session is not None and any(matches(each, topic) for each in session.filters)
