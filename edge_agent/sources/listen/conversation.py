"""What a client and the listener say to each other: bytes in, replies and arrivals out. No I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_agent.downlink import NotSent, Undeliverable
from edge_agent.sources.listen import packets as p
from edge_agent.sources.listen.aliases import ALIASES
from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.inbox import ClientLoad, Inbox
from edge_agent.sources.listen.packets import Broken, Codec
from edge_agent.sources.listen.policy import matches
from edge_agent.sources.listen.sessions import FOREVER_S, Session, session_key
from edge_agent.sources.listen.version import Unsupported, choose

if TYPE_CHECKING:
    from collections.abc import Callable


class Conversation:
    """One connection.

    Args:
        house: Shared with the others.
        end: Ends the connection after the replies; called for a take-over.

    Attributes:
        replies: Bytes to send at once; the caller takes them.
        asked: CONNECT that waits for `admit` or `goodbye`; nothing is read meanwhile.
        client: The client id; empty before `admit`.
        identity: Who it proved to be, or None for an anonymous client.
        keep_alive: Seconds of silence that it may keep; 0 before `admit`.
        confirmed: Packet id and reason code of each PUBACK for a message of ours.
        codec: Of the version that it speaks; None before CONNECT.
    """

    def __init__(self, house: House, end: Callable[[Conversation], None]) -> None:
        self.replies: list[bytes] = []
        self.asked: p.Connect | None = None
        self.client = ""
        self.identity: str | None = None
        self.keep_alive = 0
        self.confirmed: list[tuple[int, int]] = []
        self.codec: Codec | None = None
        self._house = house
        self._end = end
        self._session: Session | None = None
        self._inbox: Inbox | None = None
        self._connect: p.Connect | None = None
        self._over = False
        self._unconfirmed: set[int] = set()

    @property
    def full(self) -> bool:
        """Whether it must be answered before more is read."""
        return self._inbox is not None and self._inbox.full

    @property
    def refuses(self) -> bool:
        """Whether it is read although the disk is full, to be told so."""
        return self._inbox is not None and self._inbox.refuses

    # ---- what comes in ----

    def read(self, data: bytes, load: ClientLoad, received: int) -> int:
        """Read whole packets; return how many bytes they took.

        Args:
            data: Bytes in the order of receipt; the rest comes again with more behind it.
            load: Gets arrivals, acknowledgements and marks.
            received: Now, in nanoseconds since 1970.

        Raises:
            Broken: The connection must end; `goodbye` says how.
        """
        at, end = 0, len(data)
        followed = (
            bool(self._house.followed.clients) and self.client in self._house.followed.clients
        )
        while at < end and self.asked is None and not (self._over or self.full):
            inbox = self._inbox
            if inbox is not None and not (followed or inbox.refuses):
                at = inbox.take_plain(data, at, load, received)
                if at == end or inbox.full:
                    break
            codec = self.codec = self.codec or choose(
                memoryview(data), self._house.settings.max_packet
            )
            if codec is None:
                break
            found = codec.read(memoryview(data)[at:])
            if found is None:
                break
            packet, used = found
            at += used
            if inbox is None or not isinstance(packet, p.Publish | p.Release):
                if inbox is not None and isinstance(packet, p.Disconnect):
                    inbox.bid_farewell(load)
                self._control(packet, codec)
            elif isinstance(packet, p.Release):
                inbox.release(packet.packet_id, load, received)
            elif followed:
                inbox.tell(packet, load, received)
            else:
                inbox.take(packet, load, received)
        return at

    def acknowledged(self, count: int) -> None:
        """Note that so many messages were answered."""
        if self._inbox is not None:
            self._inbox.unacknowledged -= count

    def admit(self, client: str, identity: str | None) -> None:
        """Let the client in that asked.

        Args:
            client: Its client id.
            identity: Who it proved to be, or None.

        Raises:
            Broken: Its Will is for a topic that it has no right to.
        """
        connect, codec, house = self._waiting()
        settings = house.settings
        self.identity = identity
        will = connect.will
        if will is not None:
            house.check_will(identity, will)
            will = replace(will, client=client)
        longest = round(settings.session_expiry)
        expiry = connect.expiry_s if codec.version != "5" else min(connect.expiry_s, longest)
        if expiry == FOREVER_S:
            expiry = longest
        most = round(settings.keep_alive)
        asked = connect.keep_alive
        self.keep_alive = asked if codec.version != "5" else min(asked or most, most)
        self._connect = replace(
            connect, client_id=client, expiry_s=expiry, username=None, password=None, will=will
        )
        key = session_key(client, identity)
        self._session, present = house.sessions.open(self._connect, key, self)
        self._inbox = Inbox(house, self, codec, self._session)
        self.client = client
        self.asked = None
        terms = p.Welcome(
            present,
            "" if connect.client_id else client,
            self.keep_alive,
            expiry,
            self._session.window,
            settings.max_packet,
            ALIASES,
        )
        self.replies.append(codec.welcome(terms))
        if house.followed.clients:
            told = {"version": codec.version, "identity": identity, "session_present": present}
            house.followed.tell(client, "connected", **told)

    # ---- what goes out ----

    def deliver(self, topic: str, payload: bytes, packet_id: int, expiry_s: float | None) -> bool:
        """Send a message to the client.

        Returns:
            Whether the client will confirm it: not where it subscribed with QoS 0.

        Raises:
            NotSent: It is not subscribed now, or has as many unconfirmed as it takes.
            Undeliverable: It is longer than the client takes.
        """
        session, codec, connect = self._session, self.codec, self._connect
        if session is None or codec is None or connect is None or self._over:
            raise NotSent("the device is not connected")
        qos = max((q for each, q in session.filters.items() if matches(each, topic)), default=None)
        if qos is None:
            raise NotSent(f"the device is not subscribed to {topic!r}")
        if qos and len(self._unconfirmed) >= connect.receive_max:
            raise NotSent("the device has not confirmed what was sent before")
        packet = codec.publish(topic, payload, packet_id if qos else 0, expiry_s)
        if connect.max_packet is not None and len(packet) > connect.max_packet:
            raise Undeliverable("too_large", "longer than the device takes")
        if qos:
            self._unconfirmed.add(packet_id)
        self.replies.append(packet)
        return bool(qos)

    def goodbye(self, why: Broken) -> None:
        """Tell the client why the connection ends, where its version has words for it."""
        self._over = True
        if isinstance(why, Unsupported):
            self.codec = why.codec
        if self._house.followed.clients:
            client = self.client or (self.asked.client_id if self.asked is not None else "")
            kind = "ended" if self.client else "turned_away"
            self._house.followed.tell(client, kind, code=f"0x{why.code:02x}", why=why.detail)
        if self.codec is None:
            return
        if self.asked is not None or self._session is None:
            self.replies.append(self.codec.refuse(why.code, why.detail))
        else:
            self.replies.append(self.codec.goodbye(why.code, why.detail))

    def take_over(self) -> p.Will | None:
        """End: the client is connected anew; return its Will."""
        self.goodbye(Broken(p.TAKEN_OVER, "the client id is connected anew"))
        self._session = None
        if self._inbox is not None:
            self._inbox.left()
        self._end(self)
        return self._connect.will if self._connect is not None else None

    def left(self, now: int) -> None:
        """Note that the connection is gone; what the client left behind becomes due."""
        session, connect = self._session, self._connect
        self._session = self.asked = None
        self._over = True
        if self._inbox is not None:
            self._inbox.left()
        # what knows this conversation lets go of it: all goes at once, and not when thousands wait
        self._inbox, self._end = None, _nothing
        if self._house.followed.clients:
            self._house.followed.tell(self.client, "disconnected")
        if session is not None and connect is not None:
            self._house.sessions.close(session, self, now, connect.will)

    # ---- inside ----

    def _waiting(self) -> tuple[p.Connect, Codec, House]:
        assert self.asked is not None
        assert self.codec is not None
        return self.asked, self.codec, self._house

    def _control(self, packet: p.Packet, codec: Codec) -> None:
        if isinstance(packet, p.Connect):
            self._connected(packet)
            return
        session = self._session
        if session is None:
            raise Broken(p.PROTOCOL_ERROR, "something else than CONNECT at the beginning")
        match packet:
            case p.Ping():
                self.replies.append(codec.pingresp())
            case p.Confirm():
                self._unconfirmed.discard(packet.packet_id)
                self.confirmed.append((packet.packet_id, packet.code))
            case p.Subscribe():
                who, grant = self.identity or self.client, self._house.grant
                codes = [grant(session, who, *each) for each in packet.filters]
                self.replies.append(codec.suback(packet.packet_id, codes))
            case p.Unsubscribe():
                self._unsubscribe(session, packet, codec)
            case p.Disconnect():
                self._disconnected(packet, session)
            case p.Publish() | p.Release():
                raise AssertionError("read before")

    def _connected(self, packet: p.Connect) -> None:
        if self._session is not None:
            raise Broken(p.PROTOCOL_ERROR, "a second CONNECT")
        self.asked = packet
        if packet.auth_method is not None:
            raise Broken(p.BAD_AUTH_METHOD, "enhanced authentication is not offered")
        nameless = not packet.client_id and not packet.clean
        if nameless and self.codec is not None and self.codec.version != "5":  # [MQTT-3.1.3-8]
            raise Broken(p.BAD_CLIENT_ID, "no client id, and no clean session")

    def _unsubscribe(self, session: Session, packet: p.Unsubscribe, codec: Codec) -> None:
        leave = self._house.sessions.unsubscribe
        codes = [0 if leave(session, pattern) else 0x11 for pattern in packet.patterns]
        self.replies.append(codec.unsuback(packet.packet_id, codes))

    def _disconnected(self, packet: p.Disconnect, session: Session) -> None:
        connect = self._connect
        assert connect is not None
        if packet.expiry_s is not None:
            if packet.expiry_s and not session.expiry_s:  # section 3.14.2.2.2
                raise Broken(p.PROTOCOL_ERROR, "a session that was to end cannot be kept")
            longest = round(self._house.settings.session_expiry)
            self._house.sessions.expire(session, min(packet.expiry_s, longest))
        if packet.code == p.SUCCESS:
            self._connect = replace(connect, will=None)
        self._over = True
        self._end(self)


def _nothing(talk: Conversation) -> None:
    """End what has ended."""
