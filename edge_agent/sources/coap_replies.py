"""Answers to CoAP requests: piggybacked, separate, repeated until they are acknowledged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import msgspec

from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_message import Message, encode
from edge_agent.sources.coap_request import Verdict
from edge_agent.sources.udp_socket import Peer, Place

ACK_TIMEOUT_S, ACK_RANDOM_FACTOR, MAX_RETRANSMIT = 2.0, 1.5, 4
SEPARATE_AT_ONCE = 1024
AMPLIFICATION = 3
"""An answer is at most so many times as long as its request, whose sender may be forged."""


class Asked(msgspec.Struct, gc=False):
    """A request that has no answer yet; a message that could be decoded.

    Attributes:
        data: The request's datagram.
        place: Who asked, and at which of our addresses.
        key: Under which its answer is remembered.
        silence: Classes of answers not wanted (RFC 7967).
        options: For a good answer: the Block1 option that is to be echoed.
        promised: Whether an empty ACK went out and the answer follows on its own.
    """

    data: bytes
    place: Place
    key: int
    silence: int = 0
    options: tuple[tuple[int, bytes], ...] = ()
    promised: bool = False

    @property
    def confirmable(self) -> bool:
        """Whether the peer waits for an ACK."""
        return self.data[0] >> 4 & 3 == coap.CON

    @property
    def message_id(self) -> int:
        """The request's."""
        return self.data[2] << 8 | self.data[3]

    @property
    def token(self) -> bytes:
        """The request's."""
        return self.data[4 : 4 + (self.data[0] & 15)]


STORED = Verdict(coap.CHANGED)
"""What nearly every request is answered with."""

_STORED_ACK = [encode(Message(coap.ACK, coap.CHANGED, 0, bytes(n)))[:2] for n in range(9)]
"""The first two bytes of that answer, by the length of its token; message id and token follow."""

Send = Callable[[bytes, Place], None]


class Replies:
    """Builds and sends answers.

    Args:
        send: Sends one datagram.
        chance: For message ids and the spread of retransmissions.
    """

    def __init__(self, send: Send, chance: random.Random) -> None:
        self._send = send
        self._chance = chance
        self._next_id = chance.randrange(0x10000)
        self._unconfirmed: dict[tuple[Peer, int], asyncio.TimerHandle] = {}

    def answer(self, asked: Asked, verdict: Verdict) -> bytes:
        """Send the answer; return the datagram to send again if the request comes again."""
        if verdict is STORED and not (asked.promised or asked.options) and asked.confirmable:
            data = stored_ack(asked.data)
            self._send(data, asked.place)
            return data
        confirmable = asked.confirmable
        if not confirmable and asked.silence & (1 << (verdict.code >> 5) - 1):
            return b""
        if asked.promised:
            return self._separate(asked, verdict)
        kind, message_id = (
            (coap.ACK, asked.message_id) if confirmable else (coap.NON, self.new_id())
        )
        data = _fitting(kind, message_id, asked, verdict)
        self._send(data, asked.place)
        return data if confirmable else b""

    def promise(self, asked: Asked) -> bytes:
        """Acknowledge a confirmable request now; its answer comes when there is one."""
        asked.promised = True
        data = encode(Message(coap.ACK, coap.EMPTY, asked.message_id))
        self._send(data, asked.place)
        return data

    def reset(self, message_id: int, place: Place) -> None:
        """Reject a message."""
        self._send(encode(Message(coap.RST, coap.EMPTY, message_id)), place)

    def confirmed(self, peer: Peer, message_id: int) -> None:
        """Stop repeating a separate answer: its ACK or RST came."""
        timer = self._unconfirmed.pop((peer, message_id), None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Repeat nothing any more."""
        for timer in self._unconfirmed.values():
            timer.cancel()
        self._unconfirmed.clear()

    def _separate(self, asked: Asked, verdict: Verdict) -> bytes:
        message_id = self.new_id()
        crowded = len(self._unconfirmed) >= SEPARATE_AT_ONCE
        data = _fitting(coap.NON if crowded else coap.CON, message_id, asked, verdict)
        if crowded:
            self._send(data, asked.place)
        else:
            wait = ACK_TIMEOUT_S * self._chance.uniform(1.0, ACK_RANDOM_FACTOR)
            self._repeat(data, asked, message_id, wait, MAX_RETRANSMIT)
        return encode(Message(coap.ACK, coap.EMPTY, asked.message_id))

    def _repeat(self, data: bytes, asked: Asked, message_id: int, wait: float, left: int) -> None:
        key = (asked.place.peer, message_id)
        self._send(data, asked.place)
        if not left:
            self._unconfirmed.pop(key, None)
            return
        loop = asyncio.get_running_loop()
        self._unconfirmed[key] = loop.call_later(
            wait, self._repeat, data, asked, message_id, 2 * wait, left - 1
        )

    def new_id(self) -> int:
        """Return a message id that was not used for long."""
        self._next_id = (self._next_id + 1) & 0xFFFF
        return self._next_id


def stored_ack(data: bytes) -> bytes:
    """Return the answer to nearly every confirmable request: 2.04, in its ACK."""
    length = data[0] & 15
    return _STORED_ACK[length] + data[2 : 4 + length]


def _fitting(kind: int, message_id: int, asked: Asked, verdict: Verdict) -> bytes:
    """Return the answer, without its diagnostic (and options) where it would be too long."""
    token, room = asked.token, AMPLIFICATION * len(asked.data)
    for options, payload in (
        (verdict.options, verdict.diagnostic.encode()),
        (verdict.options, b""),
    ):
        data = encode(Message(kind, verdict.code, message_id, token, options, payload))
        if len(data) <= room:
            return data
    return encode(Message(kind, verdict.code, message_id, token))
