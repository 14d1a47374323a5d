"""Numbers that stand for topics on one connection (MQTT 5.0 section 3.3.2.3.4). Pure."""

from __future__ import annotations

from edge_agent.sources.listen import packets as p
from edge_agent.sources.listen.packets import Broken

ALIASES = 16
"""Topic aliases that a client may set."""


class Aliases:
    """The aliases of one connection."""

    __slots__ = ("_topics",)

    def __init__(self) -> None:
        self._topics: dict[int, str] | None = None  # most clients never set one

    def topic(self, packet: p.Publish) -> str:
        """Return the topic of a PUBLISH that has an alias.

        Raises:
            Broken: The alias was not granted or not set, or its topic is too long.
        """
        if not 0 < packet.alias <= ALIASES:
            raise Broken(p.BAD_ALIAS, f"topic alias {packet.alias}, at most {ALIASES}")
        if len(packet.topic) > p.LONGEST_TOPIC:
            raise Broken(p.BAD_TOPIC, f"a topic of more than {p.LONGEST_TOPIC} characters")
        topics = self._topics = self._topics or {}
        if packet.topic:
            topics[packet.alias] = packet.topic
        found = topics.get(packet.alias)
        if found is None:
            raise Broken(p.PROTOCOL_ERROR, "a topic alias that was not set")
        return found
