"""A model of an MQTT 5 broker and of the devices behind it; its own disk is beyond all doubt.

A device is thanked when the broker has its message. The broker keeps each until the edge agent
acknowledged it, sends again with DUP what was not acknowledged when the connection went, and
uses packet ids round and round, as brokers do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mqtt5

PORT = 1883


@dataclass
class Message:
    """What one device said."""

    topic: str
    payload: bytes


@dataclass
class Session:
    """The agent's session at the broker; outlives every life of the broker.

    Attributes:
        waiting: Not sent yet.
        flying: Packet id to what was sent and not acknowledged, in order.
        ids: How many packet ids there are.
        known: Whether an agent ever connected.
        again: Messages that were sent again.
    """

    ids: int
    waiting: deque[Message] = field(default_factory=deque)
    flying: dict[int, Message] = field(default_factory=dict)
    known: bool = False
    last: int = 0
    again: int = 0
    open: Any = None

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.flying)

    def say(self, message: Message) -> None:
        """Take a device's message; from here on the device may forget it."""
        self.waiting.append(message)
        if self.open is not None:
            self.open.go_on()


class Visit(asyncio.Protocol):
    """One connection of the agent."""

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        self.session, self.tell = session, tell
        self.held = b""
        self.window = 0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.session.open is self:
            self.session.open = None

    def data_received(self, data: bytes) -> None:
        self.held += data
        while self.held:
            try:
                packet, used = mqtt5.read(memoryview(self.held))
            except IndexError:
                return
            self.held = self.held[used:]
            self._take(packet)

    def _take(self, packet: Any) -> None:
        session = self.session
        if isinstance(packet, mqtt5.ConnectPacket):
            if session.open is not None:
                session.open.transport.close()
            session.open = self
            self.window = packet.receive_max
            self.transport.write(mqtt5.ConnAckPacket(session_present=session.known).write())
            session.known = True
            if session.flying:
                self.tell(f"{len(session.flying)} messages again")
            for packet_id, message in session.flying.items():
                session.again += 1
                self._send(packet_id, message, again=True)
        elif isinstance(packet, mqtt5.SubscribePacket):
            codes = [mqtt5.SubAckReasonCode(1) for _ in packet.topic_filters]
            self.transport.write(mqtt5.SubAckPacket(packet.packet_id, codes).write())
            self.go_on()
        elif isinstance(packet, mqtt5.UnsubscribePacket):
            codes = [mqtt5.UnsubAckReasonCode(0) for _ in packet.patterns]
            self.transport.write(mqtt5.UnsubAckPacket(packet.packet_id, codes).write())
        elif isinstance(packet, mqtt5.PubAckPacket):
            session.flying.pop(packet.packet_id, None)
            self.go_on()
        elif isinstance(packet, mqtt5.PingReqPacket):
            self.transport.write(mqtt5.PingRespPacket().write())
        elif isinstance(packet, mqtt5.DisconnectPacket):
            self.transport.close()

    def go_on(self) -> None:
        """Send what fits into the window."""
        session = self.session
        while (
            session.open is self
            and session.waiting
            and len(session.flying) < min(self.window, session.ids)
        ):
            session.last = session.last % session.ids + 1
            while session.last in session.flying:
                session.last = session.last % session.ids + 1
            session.flying[session.last] = message = session.waiting.popleft()
            self._send(session.last, message, again=False)

    def _send(self, packet_id: int, message: Message, *, again: bool) -> None:
        packet = mqtt5.PublishPacket(
            message.topic,
            message.payload,
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            packet_id=packet_id,
            duplicate=again,
        )
        self.transport.write(packet.write())
