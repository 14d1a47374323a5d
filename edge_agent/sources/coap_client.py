"""Requests to CoAP devices, through the socket that hears them (RFC 7252 sections 4.2 and 5.2).

A device behind a NAT or a firewall can be reached only from the address and port that it speaks to,
so the server's own socket and codec are used and no client library.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.downlink import Downlink, NotSent, Undeliverable
from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_message import Message, encode, uint
from edge_agent.sources.coap_replies import ACK_RANDOM_FACTOR, ACK_TIMEOUT_S, MAX_RETRANSMIT
from edge_agent.sources.udp_socket import Peer
from gateway_core.errors import Unavailable

AT_ONCE = 256
LONGEST_PAYLOAD = 1024
MAX_TRANSMIT_WAIT_S = 93.0
"""From the first sending to giving up (section 4.8.2)."""

_METHODS = {"post": coap.POST, "put": coap.PUT}


@dataclass(slots=True)
class _Exchange:
    answer: asyncio.Future[Message]
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)


class CoapClient:
    """Requests under way on one socket.

    Args:
        send: Sends one datagram to a peer.
        new_id: Gives message ids, shared with whatever else leaves through the socket.
        chance: For the spread of retransmissions.
    """

    def __init__(
        self, send: Callable[[bytes, Peer], None], new_id: Callable[[], int], chance: random.Random
    ) -> None:
        self._send = send
        self._new_id = new_id
        self._chance = chance
        self._by_id: dict[tuple[Peer, int], _Exchange] = {}
        self._by_token: dict[tuple[Peer, bytes], _Exchange] = {}

    async def request(self, downlink: Downlink, peer: Peer) -> str:
        """Send a confirmable request, again until it is acknowledged, and return its good answer.

        Returns:
            The answer's code, for example ``2.04``.

        Raises:
            NotSent: Too many are under way.
            Undeliverable: ``device_refused``: the answer was 4.xx, 5.xx or a Reset; ``too_large``.
            Unavailable: No answer came.
        """
        if len(downlink.payload) > LONGEST_PAYLOAD:
            raise Undeliverable("too_large", f"at most {LONGEST_PAYLOAD} bytes go into a datagram")
        if len(self._by_id) >= AT_ONCE:
            raise NotSent(f"{AT_ONCE} requests are under way")
        message_id, token = self._new_id(), secrets.token_bytes(4)
        exchange = _Exchange(asyncio.get_running_loop().create_future())
        self._by_id[peer, message_id] = exchange
        self._by_token[peer, token] = exchange
        try:
            async with asyncio.timeout(MAX_TRANSMIT_WAIT_S):
                await self._repeat(_datagram(downlink, message_id, token), peer, exchange, downlink)
                answer = await exchange.answer
        except TimeoutError as exc:
            raise Unavailable(f"no answer within {MAX_TRANSMIT_WAIT_S:g} s") from exc
        finally:
            del self._by_id[peer, message_id]
            del self._by_token[peer, token]
        return _judged(answer)

    def heard(self, message: Message, peer: Peer) -> bool:
        """Take an acknowledgement, a reset or an answer; False if it belongs to no request."""
        if message.kind in (coap.ACK, coap.RST):
            exchange = self._by_id.get((peer, message.message_id))
            if exchange is None:
                return False
            exchange.acknowledged.set()
            if message.kind == coap.RST or message.code != coap.EMPTY:
                _answer(exchange, message)
            return True
        exchange = self._by_token.get((peer, message.token))
        if exchange is None:
            return False
        exchange.acknowledged.set()  # a separate answer says so too (section 5.2.2)
        _answer(exchange, message)
        return True

    async def _repeat(
        self, data: bytes, peer: Peer, exchange: _Exchange, downlink: Downlink
    ) -> None:
        """Send until it is acknowledged, four times more at most, never after its expiry."""
        clock = asyncio.get_running_loop().time
        until = None if downlink.expiry_s is None else clock() + downlink.expiry_s
        wait = ACK_TIMEOUT_S * self._chance.uniform(1.0, ACK_RANDOM_FACTOR)
        for _ in range(1 + MAX_RETRANSMIT):
            self._send(data, peer)
            try:
                async with asyncio.timeout(wait):
                    await exchange.acknowledged.wait()
            except TimeoutError:
                wait *= 2
                if until is not None and clock() >= until:
                    break
            else:
                return
        raise TimeoutError


def _datagram(downlink: Downlink, message_id: int, token: bytes) -> bytes:
    path, _, query = downlink.address.partition("?")
    options = [(coap.URI_PATH, part.encode()) for part in path.split("/")]
    if downlink.content_format is not None:
        options.append((coap.CONTENT_FORMAT, uint(downlink.content_format)))
    options += [(coap.URI_QUERY, part.encode()) for part in query.split("&") if part]
    code = _METHODS[downlink.method]
    return encode(Message(coap.CON, code, message_id, token, options, downlink.payload))


def _answer(exchange: _Exchange, message: Message) -> None:
    if not exchange.answer.done():
        exchange.answer.set_result(message)


def _judged(answer: Message) -> str:
    """Return the code of a good answer."""
    if answer.kind == coap.RST:
        raise Undeliverable("device_refused", "the device answered with a Reset")
    told = coap.dotted(answer.code)
    if answer.code >> 5 == 2:
        return told
    why = answer.payload[:200].decode("utf-8", "replace")
    raise Undeliverable("device_refused", f"the device answered {told} {why}".rstrip())
