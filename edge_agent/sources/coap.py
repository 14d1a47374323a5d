"""A CoAP server (RFC 7252) that takes PUT and POST in, and answers 2.04 after the commit."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

import structlog

from edge_agent.arrival import Arrival, Ingest
from edge_agent.downlink import Downlink, NotSent
from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_client import CoapClient
from edge_agent.sources.coap_memory import Answered, Assemblies, Rates, TooLarge
from edge_agent.sources.coap_message import FormatError, Message, encode, uint
from edge_agent.sources.coap_replies import Asked, Replies
from edge_agent.sources.coap_request import Declined, Request, Verdict, read_request
from edge_agent.sources.settings import CoapSettings
from edge_agent.sources.udp_socket import Datagram, Local, Peer, UdpSocket, peer_of, peer_text
from gateway_core.clock import Clock
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter
from gateway_core.units import Address

log = structlog.get_logger()

SOURCE = "coap"
DATAGRAMS_A_WAKE = 512
UNCOMMITTED, UNCOMMITTED_BYTES = 8192, 32 * 2**20
PROMISE_AFTER_S = 1.5
FINISH_S = 5.0

# Max-Age says after how many seconds it is worth trying again (RFC 7252 5.9.3.4, RFC 8516)
_FULL = Verdict(coap.UNAVAILABLE, "", ((coap.MAX_AGE, uint(30)),))
_BUSY = Verdict(coap.UNAVAILABLE, "", ((coap.MAX_AGE, uint(2)),))
_FLOOD = Verdict(coap.TOO_MANY, "", ((coap.MAX_AGE, uint(1)),))
_NOT_FOUND = frozenset({"no_match", "bad_topic", "unknown_device", "device_held"})


class CoapSource:
    """Serves devices that speak CoAP over UDP.

    Args:
        settings: Where to listen and what to accept.
        ingest: Returns after the commit, with what became of each arrival.
        clock: For the time of receipt.
        meter: Counts requests by answer.
        chance: For message ids and the spread of retransmissions.

    Attributes:
        opened: Set once the sockets are bound.
        addresses: Where it listens, with the ports that port 0 became.
    """

    def __init__(
        self,
        settings: CoapSettings,
        *,
        ingest: Ingest,
        clock: Clock,
        meter: Meter,
        chance: random.Random | None = None,
    ) -> None:
        self.name = SOURCE
        self.opened = asyncio.Event()
        self.addresses: list[Address] = []
        self._settings = settings
        self._ingest = ingest
        self._clock = clock
        self._meter = meter
        self._chance = chance or random.Random()  # noqa: S311  # message ids, not secrets
        self._desks: list[_Desk] = []

    async def run(self) -> NoReturn:
        """Serve until cancelled; then see the commits under way through, for up to 5 seconds.

        Raises:
            ConfigError: An address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        sockets: list[UdpSocket] = []
        desks = self._desks
        try:
            for address in self._settings.listen:
                sockets.append(UdpSocket(address))  # noqa: PERF401  # what was bound is closed below
            async with asyncio.TaskGroup() as tasks:
                try:
                    for sock in sockets:
                        desks.append(self._desk(sock, tasks))
                        loop.add_reader(sock.fileno(), desks[-1].readable)
                    self.addresses = [sock.address for sock in sockets]
                    self.opened.set()
                    log.info("coap_opened", listen=[str(each) for each in self.addresses])
                    await asyncio.Event().wait()
                finally:
                    for sock in sockets:
                        loop.remove_reader(sock.fileno())
                    for desk in desks:
                        await desk.finish()
                    desks.clear()
        finally:
            for sock in sockets:
                sock.close()
        raise AssertionError("an event that nobody sets was set")

    async def publish(self, downlink: Downlink) -> str:
        """Send a request to a device where it was last heard; return the code of its answer.

        Raises:
            NotSent: The device was not heard, or nothing is open: nothing left.
            Undeliverable: The device, or a limit, refused.
            Unavailable: It left, and no answer came.
        """
        peer = peer_of(downlink.peer)
        if peer is None:
            raise NotSent("the device was not heard since its record was made anew")
        for desk in self._desks:
            if desk.v6 == (len(peer) == 4):
                return await desk.client.request(downlink, peer)
        raise NotSent("no socket of that kind is open")

    def _desk(self, sock: UdpSocket, tasks: asyncio.TaskGroup) -> _Desk:
        return _Desk(
            self._settings, sock, tasks, self._ingest, self._clock, self._meter, self._chance
        )


class _Desk:
    """Handles what comes in on one socket."""

    def __init__(
        self,
        settings: CoapSettings,
        sock: UdpSocket,
        tasks: asyncio.TaskGroup,
        ingest: Ingest,
        clock: Clock,
        meter: Meter,
        chance: random.Random,
    ) -> None:
        self._settings = settings
        self._sock = sock
        self._tasks = tasks
        self._ingest = ingest
        self._clock = clock
        self._meter = meter
        self._now = asyncio.get_running_loop().time
        self._answered = Answered()
        self._assemblies = Assemblies(settings.max_payload)
        self._rates = Rates(settings.rate_per_source)
        self._replies = Replies(self._send, chance)
        self.v6 = ":" in sock.address.host
        self.client = CoapClient(
            lambda data, peer: self._send(data, peer, ()), self._replies.new_id, chance
        )
        self._counts: Counter[str] = Counter()
        self._arrivals: list[Arrival] = []
        self._asked: list[Asked] = []
        self._messages = self._bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def readable(self) -> None:
        """Take in what is waiting, as one batch."""
        now, received = self._now(), self._clock()
        for _ in range(DATAGRAMS_A_WAKE):
            datagram = self._sock.receive()
            if datagram is None:
                break
            self._take(datagram, now, received)
        if self._arrivals:
            arrivals, asked = self._arrivals, self._asked
            self._arrivals, self._asked = [], []
            self._idle.clear()
            self._tasks.create_task(self._commit(arrivals, asked))
        self._report()

    async def finish(self) -> None:
        """Wait for the commits under way."""
        try:
            async with asyncio.timeout(FINISH_S):
                await self._idle.wait()
        except TimeoutError:
            log.warning("commits_abandoned", source=SOURCE, after_s=FINISH_S)
        self._replies.close()

    def _take(self, datagram: Datagram, now: float, received: int) -> None:
        data, peer, local = datagram
        try:
            message = coap.decode(data)
        except FormatError as exc:
            self._count("not_coap")
            if exc.reset is not None:
                self._replies.reset(exc.reset, peer, local)
            return
        if message.kind in (coap.ACK, coap.RST) or message.code == coap.EMPTY or message.code >> 5:
            self._take_answer(message, peer, local)
            return
        key = hash((peer, data))
        known = self._answered.find(key)
        if known is not None:
            self._count("repeated")
            if known:
                self._send(known, peer, local)
            return
        asked = Asked(message, peer, local, key, len(data))
        if not self._rates.allows(peer[0], now):
            self._count(coap.dotted(coap.TOO_MANY))
            if message.kind == coap.CON:
                self._replies.answer(asked, _FLOOD)
            return
        try:
            self._admit(asked, now, received)
        except Declined as declined:
            self._settle(asked, declined.verdict)

    def _take_answer(self, message: Message, peer: Peer, local: Local) -> None:
        """Take what is no request: what belongs to ours, and what was never asked for."""
        mine = message.code != coap.EMPTY or message.kind in (coap.ACK, coap.RST)
        if mine and self.client.heard(message, peer):
            if message.kind == coap.CON:
                self._send(encode(Message(coap.ACK, coap.EMPTY, message.message_id)), peer, local)
        elif message.kind in (coap.ACK, coap.RST):
            self._replies.confirmed(peer, message.message_id)
        elif message.kind == coap.CON:
            # a ping (section 4.3), or an answer to a question that was never asked
            self._replies.reset(message.message_id, peer, local)

    def _admit(self, asked: Asked, now: float, received: int) -> None:
        """Queue the arrival, or raise what is to be answered at once."""
        message, peer = asked.message, asked.peer
        request = read_request(message)
        asked.silence = request.silence
        if self._messages >= UNCOMMITTED or self._bytes >= UNCOMMITTED_BYTES:
            raise Declined(*_BUSY)
        cut = False
        try:
            payload = self._whole(request, message, peer, now)
            if request.block is not None:
                asked.options = ((coap.BLOCK1, request.block.raw),)
        except TooLarge as beginning:
            payload, cut = beginning.payload, True
            asked.options = beginning.verdict.options
        if payload is None:
            raise Declined(coap.CONTINUE, "", asked.options)
        self._answered.keep(asked.key, b"", now)
        self._messages += 1
        self._bytes += len(payload)
        form = request.content_format
        self._arrivals.append(
            Arrival(
                SOURCE, request.path, payload, received, form, "coap", cut, peer=peer_text(peer)
            )
        )
        self._asked.append(asked)

    def _whole(self, request: Request, message: Message, peer: Peer, now: float) -> bytes | None:
        most = self._settings.max_payload
        if max(len(message.payload), request.size or 0) > most:
            raise TooLarge(most, message.payload)
        if request.block is None:
            return message.payload
        key = (peer, message.code, request.path, request.tag)
        return self._assemblies.take(key, peer[0], request.block, message.payload, now)

    async def _commit(self, arrivals: list[Arrival], asked: list[Asked]) -> None:
        timer = asyncio.get_running_loop().call_later(PROMISE_AFTER_S, self._promise, asked)
        outcomes: Sequence[str | None] | None
        try:
            outcomes = await self._ingest(arrivals, {})
        except Unavailable as why:
            log.warning("ingest_declined", source=SOURCE, arrivals=len(arrivals), why=str(why))
            outcomes = None
        finally:
            timer.cancel()
            self._messages -= len(arrivals)
            self._bytes -= sum(len(each.payload) for each in arrivals)
            if not self._messages:
                self._idle.set()
        if outcomes is None:
            for each in asked:
                self._settle(each, _FULL)
        else:
            for arrival, each, outcome in zip(arrivals, asked, outcomes, strict=True):
                self._settle(each, _verdict("too_large" if arrival.cut else outcome, each))
        self._report()

    def _promise(self, asked: list[Asked]) -> None:
        now = self._now()
        for each in asked:
            if each.message.kind == coap.CON:
                self._answered.keep(each.key, self._replies.promise(each), now)

    def _settle(self, asked: Asked, verdict: Verdict) -> None:
        self._count(coap.dotted(verdict.code))
        answer = self._replies.answer(asked, verdict)
        if verdict.code == coap.UNAVAILABLE:
            self._answered.forget(asked.key)  # it may well be stored when it comes again
        else:
            self._answered.keep(asked.key, answer, self._now())

    def _send(self, data: bytes, peer: Peer, local: Local) -> None:
        if not self._sock.send(data, peer, local):
            self._count("unsent")

    def _count(self, answer: str) -> None:
        self._counts[answer] += 1

    def _report(self) -> None:
        for answer, count in self._counts.items():
            self._meter.count("tidegate_coap_requests", count, source=SOURCE, answer=answer)
        self._counts.clear()


def _verdict(outcome: str | None, asked: Asked) -> Verdict:
    """Return the answer to what became of an arrival; a refusal was stored, and is final."""
    if outcome is None:
        return Verdict(coap.CHANGED, "", asked.options)
    if outcome in _NOT_FOUND:
        return Verdict(coap.NOT_FOUND, outcome, asked.options)
    if outcome == "too_large":
        return Verdict(coap.TOO_LARGE, outcome, asked.options)
    return Verdict(coap.BAD_REQUEST, outcome, asked.options)
