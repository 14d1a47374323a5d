"""What all connections of one listener share."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge_agent.following import Followed
from edge_agent.sources.commit_line import Load
from edge_agent.sources.listen import packets as p
from edge_agent.sources.listen.memory import Entries
from edge_agent.sources.listen.packets import Broken, Will
from edge_agent.sources.listen.policy import Policy, wrong_filter, wrong_topic
from edge_agent.sources.listen.sessions import Session, Sessions
from edge_agent.sources.listen.settings import ListenSettings

MOST_ENDING = 2**17
"""PUBRELs whose time is waited for; beyond it the oldest is taken as heard."""

LONGEST_WILL = 4096
"""Bytes; a Will is held for as long as its client is connected."""


class Ending(Protocol):
    """A connection on which packet ids of QoS 2 come to their end."""

    def end(self, packet_id: int, load: Load[Any, Entries], due: int | None = None) -> None:
        """Let go of a packet id, if it is still the PUBREL of that time."""


@dataclass(slots=True)
class House:
    """What all conversations of a listener share.

    Attributes:
        settings: Of the listener.
        sessions: Of its clients.
        policy: What they may publish and hear.
        followed: Clients that somebody follows.
        refusing: Which occasion it is, from 1, on which the disk is full and clients of MQTT 5 are
            told so; 0 while there is none.
        turned_down: Messages that were refused on such occasions.
        ending: Of each PUBREL: when its packet id is free if the client is still there, and whose.
        source: Name of the source; every device keeps this one text.
    """

    settings: ListenSettings
    sessions: Sessions
    policy: Policy
    followed: Followed = field(default_factory=Followed)
    refusing: int = 0
    turned_down: int = 0
    ending: deque[tuple[int, Ending, int]] = field(default_factory=deque)
    source: str = ""

    def __post_init__(self) -> None:
        """Make the name once."""
        self.source = self.settings.source

    def end_heard(self, load: Load[Any, Entries], now: int) -> None:
        """Let go of the packet ids of QoS 2 whose time has come."""
        while self.ending and (self.ending[0][0] <= now or len(self.ending) > MOST_ENDING):
            due, inbox, packet_id = self.ending.popleft()
            inbox.end(packet_id, load, due)

    def check_will(self, identity: str | None, will: Will) -> None:
        """Check what a client leaves behind.

        Raises:
            Broken: It has no right to the topic, or it is too long.
        """
        if wrong_topic(will.topic) or not self.policy.may_publish(identity, will.topic):
            raise Broken(p.NOT_AUTHORIZED, f"no right to publish its Will to {will.topic!r}")
        if max(len(will.payload), len(will.topic)) > LONGEST_WILL:
            raise Broken(p.TOO_LARGE, f"a Will of more than {LONGEST_WILL} bytes")

    def grant(self, session: Session, who: str, pattern: str, qos: int) -> int:
        """Enter a subscription; return the reason code of SUBACK."""
        if pattern.startswith("$share/"):
            return p.NO_SHARED
        if wrong_filter(pattern) or len(pattern) > p.LONGEST_TOPIC:
            return p.BAD_FILTER
        if not self.policy.may_hear(who, pattern):
            return p.NOT_AUTHORIZED
        if not self.sessions.subscribe(session, pattern, min(qos, 1)):
            return p.QUOTA_EXCEEDED
        return min(qos, 1)
