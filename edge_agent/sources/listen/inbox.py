"""What one client publishes: may it, did it come before, and what is it told after the commit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from edge_agent.arrival import Arrival
from edge_agent.sources.commit_line import Load
from edge_agent.sources.listen import packets as p
from edge_agent.sources.listen.aliases import Aliases
from edge_agent.sources.listen.memory import Entries, fingerprint
from edge_agent.sources.listen.packets import Broken, Codec
from edge_agent.sources.listen.plain import PlainReader, pubacks
from edge_agent.sources.listen.policy import wrong_topic
from gateway_core.clock import NS

if TYPE_CHECKING:
    from edge_agent.sources.listen.house import House
    from edge_agent.sources.listen.sessions import Session


class Client(Protocol):
    """Who publishes."""

    client: str
    identity: str | None
    replies: list[bytes]


HEARD_S = 5
"""Seconds after PUBREL in which a client may not have heard PUBCOMP although it is connected."""

Word = tuple[Client, bytes, int]
"""Acknowledgements, whom they are for, and of how many messages."""

ClientLoad = Load[Word, Entries]
"""What one commit of a listener stores."""


def gathered(words: Iterable[Word]) -> dict[Client, tuple[bytes, int]]:
    """Return what each client is sent, and how many messages that answers."""
    found: dict[Client, tuple[bytes, int]] = {}
    for client, answer, count in words:
        before = found.get(client)
        if before is not None:
            answer, count = before[0] + answer, before[1] + count  # noqa: PLW2901
        found[client] = answer, count
    return found


class Inbox:
    """Takes in what one connection publishes.

    Args:
        house: Shared with the others.
        talk: The connection.

    Attributes:
        unacknowledged: Messages of QoS 1 and 2 that the client waits for.
    """

    __slots__ = (
        "_aliases",
        "_codec",
        "_deferred",
        "_ending",
        "_house",
        "_plain",
        "_session",
        "_source",
        "_talk",
        "_v5",
        "_window",
        "unacknowledged",
    )

    def __init__(self, house: House, talk: Client, codec: Codec, session: Session) -> None:
        self.unacknowledged = 0
        self._deferred = 0  # on which occasion a message came that cannot be refused
        self._ending: dict[int, int] = {}  # packet ids after PUBREL, and when each is free
        self._house = house
        self._talk = talk
        self._codec = codec
        self._session = session
        self._v5 = codec.version == "5"
        self._source = house.source
        self._window = session.window
        self._aliases = Aliases()
        self._plain = PlainReader(self._source, properties=self._v5, most=house.settings.max_packet)

    @property
    def full(self) -> bool:
        """Whether it must be answered before more is read; MQTT 3.1.1 has no Receive Maximum."""
        if self._v5:
            return self._deferred > 0 and self._deferred == self._house.refusing
        return self.unacknowledged >= self._window

    @property
    def refuses(self) -> bool:
        """Whether messages are refused because the disk is full.

        Answers leave in the order of receipt (MQTT 5.0 section 4.6), so who waits for one waits on.
        """
        return self._house.refusing > 0 and self._v5 and not (self.unacknowledged or self.full)

    def take_plain(self, data: bytes, at: int, load: ClientLoad, received: int) -> int:
        """Take in the plain messages at the beginning of ``data[at:]``; return where they end."""
        room = self._window - self.unacknowledged
        stop, marks = self._plain.read(data, at, load.arrivals, room, received)
        load.size += stop - at
        if marks:
            if self._session.lasting:
                load.marks.append(self._house.sessions.note(self._session, marks))
            self._acknowledge(load, pubacks(marks), len(marks) // 2)
        return stop

    def take(self, packet: p.Publish, load: ClientLoad, received: int) -> Broken | None:
        """Take a message in; return why not, where its client is told in the acknowledgement.

        Raises:
            Broken: The connection must end.
        """
        topic, qos, packet_id = packet.topic, packet.qos, packet.packet_id
        if packet.alias:
            topic = self._aliases.topic(packet)
        if not self._plain.knows(topic):
            refusal = self._judge(topic)
            if refusal is not None:
                if self._v5 and qos:
                    self._acknowledge(load, self._answer(qos, packet_id, refusal.code))
                    return refusal
                raise refusal
        arrival = Arrival(self._source, topic, packet.payload, received)
        refuses = self.refuses
        if not qos:
            load.arrivals.append(arrival)
            load.size += len(packet.payload) + len(topic)
            self._deferred = self._house.refusing
            return None
        if self._v5 and self.unacknowledged >= self._window:
            raise Broken(p.RECEIVE_MAX_EXCEEDED, "more messages than Receive Maximum")
        sessions, session = self._house.sessions, self._session
        if session.lasting:
            if self._ending:
                self.end(packet_id, load)
            crc = fingerprint(topic, packet.payload)
            # with QoS 2 the packet id tells, whatever DUP says (MQTT 3.1.1 section 4.3.3)
            again = (packet.duplicate or qos == 2) and sessions.recognises(
                (session.number, packet_id, crc)
            )
            if refuses and not again:
                return self._refuse(qos, packet_id)
            load.again += again
            if not again:
                load.marks.append(sessions.note(session, (packet_id, crc)))
                load.arrivals.append(arrival)
        elif refuses:
            return self._refuse(qos, packet_id)
        else:
            load.arrivals.append(arrival)
        load.size += len(packet.payload) + len(topic)
        self._acknowledge(load, self._answer(qos, packet_id, p.SUCCESS))
        return None

    def release(self, packet_id: int, load: ClientLoad, received: int) -> None:
        """Answer PUBREL in its turn; the packet id is let go of once PUBCOMP is known to be heard.

        A client that heard no PUBCOMP may send the message itself again on its next connection
        (paho does). So its mark ends when it uses the packet id anew on this connection, says
        goodbye, or is still there after `HEARD_S`.
        """
        self._acknowledge(load, self._codec.pubcomp(packet_id), 0)
        if self._session.lasting:
            due = self._ending[packet_id] = received + HEARD_S * NS
            self._house.ending.append((due, self, packet_id))

    def end(self, packet_id: int, load: ClientLoad, due: int | None = None) -> None:
        """Let go of a packet id after PUBREL on this connection.

        Args:
            packet_id: Which.
            load: Stores it.
            due: Of which PUBREL; None: of the last.
        """
        known = self._ending.get(packet_id)
        if known is None or due not in (None, known):
            return
        del self._ending[packet_id]
        ended = self._house.sessions.release(self._session, packet_id)
        if ended:
            load.marks.append(ended)
            load.due = True

    def bid_farewell(self, load: ClientLoad) -> None:
        """Note that the client says goodbye: it has heard all."""
        for packet_id in list(self._ending):
            self.end(packet_id, load)

    def left(self) -> None:
        """Note that the connection is gone: nobody knows what its client has heard."""
        self._ending.clear()

    def tell(self, packet: p.Publish, load: ClientLoad, received: int) -> None:
        """Take a message in, and tell those who follow the client what becomes of it."""
        before = len(load.arrivals)
        refusal = self.take(packet, load, received)
        followed, client = self._house.followed, self._talk.client
        if len(load.arrivals) > before:
            followed.sent(client, packet.qos, load.arrivals[-1])
            return
        topic = self._aliases.topic(packet) if packet.alias else packet.topic
        told = {"topic": topic, "qos": packet.qos, "size": len(packet.payload)}
        if refusal is None:
            followed.tell(client, "message", **told, result="again")
        else:
            followed.tell(client, "message", **told, result="denied", reason=refusal.detail)

    def _refuse(self, qos: int, packet_id: int) -> Broken:
        self._talk.replies.append(self._answer(qos, packet_id, p.QUOTA_EXCEEDED))
        self._house.turned_down += 1
        return Broken(p.QUOTA_EXCEEDED, "the disk of the site is full")

    def _acknowledge(self, load: ClientLoad, answer: bytes, count: int = 1) -> None:
        self.unacknowledged += count
        load.words.append((self._talk, answer, count))

    def _answer(self, qos: int, packet_id: int, code: int) -> bytes:
        codec = self._codec
        return codec.puback(packet_id, code) if qos == 1 else codec.pubrec(packet_id, code)

    def _judge(self, topic: str) -> Broken | None:
        """Return why the client may not publish to a topic, and remember one that it may."""
        wrong = wrong_topic(topic)
        if wrong is not None:
            raise Broken(p.PROTOCOL_ERROR if not topic else p.BAD_TOPIC, wrong)
        if len(topic) > p.LONGEST_TOPIC:
            return Broken(p.BAD_TOPIC, f"a topic of more than {p.LONGEST_TOPIC} characters")
        if not self._house.policy.may_publish(self._talk.identity, topic):
            return Broken(p.NOT_AUTHORIZED, f"no right to publish to {topic!r}")
        self._plain.learn(topic)
        return None
