"""What was published to a broker and is not acknowledged yet, within a limit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from edge_agent.downlink import NotSent, Undeliverable
from edge_agent.sources.terms import Terms, publish_refused
from gateway_core.errors import Unavailable

AT_ONCE = 16
"""Messages in flight to one broker; more wait."""

ANSWER_S = 10.0
_LONGEST_TOPIC = 65_535


class Outgoing:
    """Messages of QoS 1 on one connection, each until its PUBACK.

    What is in flight when the connection ends is given up, not sent again at the next one (which
    MQTT 5.0 section 4.4 asks of a client that keeps its session): only who ordered the message
    knows whether a second delivery does harm.

    Args:
        most: In flight at a time.
    """

    def __init__(self, most: int = AT_ONCE) -> None:
        self._room = asyncio.Semaphore(most)
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._ended = False

    async def deliver(self, send: Callable[[], int], room_within_s: float | None = None) -> None:
        """Send one message and wait for its acknowledgement.

        Args:
            send: Sends it and returns its packet id.
            room_within_s: When there is room only after so many seconds, it is not sent.

        Raises:
            NotSent: There was no room in time, or the connection has ended.
            Unavailable: It was sent, and no PUBACK came.
            Undeliverable: The broker said no.
        """
        found: asyncio.Future[int] | None = None
        packet_id = 0
        clock = asyncio.get_running_loop().time
        late = math.inf if room_within_s is None else clock() + room_within_s
        try:
            async with asyncio.timeout(ANSWER_S), self._room:
                if clock() > late:
                    raise NotSent("its time was over before there was room for it")
                if self._ended:
                    raise NotSent("the connection to the broker has ended")
                packet_id = send()
                found = self._waiting[packet_id] = asyncio.get_running_loop().create_future()
                code = await found
        except TimeoutError as exc:
            if found is None:
                raise NotSent(f"no room among {AT_ONCE} unacknowledged messages") from exc
            raise Unavailable(f"the broker did not confirm it within {ANSWER_S:.0f} s") from exc
        finally:
            self._waiting.pop(packet_id, None)
        if code:
            raise publish_refused(code)

    def confirmed(self, packet_id: int, code: int) -> None:
        """Note a PUBACK and its reason code; MQTT 3.1.1 knows only 0."""
        found = self._waiting.get(packet_id)
        if found is not None and not found.done():
            found.set_result(code)

    def end(self, why: Unavailable) -> None:
        """Give up what waits: the connection ended."""
        self._ended = True
        for found in self._waiting.values():
            if not found.done():
                found.set_exception(Unavailable(f"not confirmed: {why}"))


def check_topic(topic: str) -> None:
    """Raise `Undeliverable` for what is no topic to publish to (MQTT 5.0 section 4.7)."""
    sound = 0 < len(topic.encode(errors="replace")) <= _LONGEST_TOPIC
    if not sound or any(mark in topic for mark in "+#\0"):
        raise Undeliverable("bad_topic", "1 to 65535 bytes, without +, # and NUL")


def check_terms(terms: Terms, size: int) -> None:
    """Raise `Undeliverable` for what the broker said it does not take.

    Args:
        terms: Of the connection.
        size: Bytes of the packet.
    """
    if terms.qos < 1:
        raise Undeliverable("no_qos", "the broker takes no messages of QoS 1, so confirms none")
    if terms.max_packet is not None and size > terms.max_packet:
        raise Undeliverable("too_large", f"{size} bytes; the broker takes {terms.max_packet}")
