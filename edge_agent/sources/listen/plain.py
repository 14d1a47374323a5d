"""PUBLISH as nearly all are, many in one pass: to a topic seen before, and nothing else to look at.

At thousands of messages a second an object for each packet costs more than its message. What is
not plain (a new topic, properties, DUP, QoS 2, a malformed packet) is left to the codec.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import google_crc32c

from edge_agent.arrival import Arrival

KNOWN_TOPICS = 16
"""Topics that a connection is remembered to have a right to."""

_PUBACK = 0x40020000

_extend: Callable[[int, bytes], int] = google_crc32c.extend


class PlainReader:
    """Reads plain PUBLISH packets of one connection.

    Args:
        source: Of the arrivals.
        properties: Whether packets have a length of properties, as those of MQTT 5 have.
        most: Longest packet in bytes.
    """

    __slots__ = ("_most", "_properties", "_source", "_topics")

    def __init__(self, source: str, *, properties: bool, most: int) -> None:
        self._source = source
        self._properties = properties
        self._most = most
        self._topics: dict[bytes, tuple[str, int]] = {}

    def knows(self, topic: str) -> bool:
        """Return whether the client may publish to a topic, as far as that is remembered."""
        return topic.encode() in self._topics

    def learn(self, topic: str) -> None:
        """Remember a topic that the client may publish to, if there is room."""
        if len(self._topics) < KNOWN_TOPICS:
            raw = topic.encode()
            self._topics[raw] = topic, int(google_crc32c.value(raw))

    def read(
        self, data: bytes, at: int, arrivals: list[Arrival], room: int, received: int
    ) -> tuple[int, list[int]]:
        """Read packets until there is another kind, or less than a whole one.

        Args:
            data: Bytes in the order of receipt.
            at: Where to begin.
            arrivals: Takes what was read.
            room: Messages of QoS 1 to read at most.
            received: Time of the arrivals.

        Returns:
            Where the rest begins, and packet id and CRC32C of each message of QoS 1, in turn.
        """
        topics, properties, most = self._topics, self._properties, self._most
        source, end, room = self._source, len(data) - 1, 2 * room
        marks: list[int] = []
        while at < end:
            head, start = data[at], at + 2
            if head & 0xFC != 0x30:
                break
            size = data[at + 1]
            if size > 0x7F:
                if start > end or data[start] > 0x7F:
                    break
                size += (data[start] << 7) - 0x80
                start += 1
            stop = start + size
            if size < 4 or stop > end + 1 or stop - at > most:
                break
            place = start + 2 + (data[start] << 8 | data[start + 1])
            topic = topics.get(data[start + 2 : place])
            body = place + (head & 2) + properties
            if topic is None or body > stop or (properties and data[body - 1]):
                break
            payload = data[body:stop]
            if head & 2:
                packet_id = data[place] << 8 | data[place + 1]
                if not packet_id or len(marks) >= room:
                    break
                marks += (packet_id, _extend(topic[1], payload))
            elif not properties and len(marks) >= room:
                break  # who has no Receive Maximum is read no further until it is answered
            arrivals.append(Arrival(source, topic[0], payload, received))
            at = stop
        return at, marks


def pubacks(marks: list[int]) -> bytes:
    """Return the acknowledgements of what `read_plain` read."""
    words = [_PUBACK | packet_id for packet_id in marks[::2]]
    return struct.pack(f">{len(words)}I", *words)
