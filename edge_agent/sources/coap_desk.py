"""What one CoAP socket takes in: batches for the pipeline, and an answer to each request."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import structlog

from edge_agent.arrival import Arrival, Ingest
from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_batch import Batch, asked_of, key_of
from edge_agent.sources.coap_client import CoapClient
from edge_agent.sources.coap_memory import Answered, Assemblies, Fate, Rates, TooLarge
from edge_agent.sources.coap_message import FormatError, Message, encode, uint
from edge_agent.sources.coap_replies import STORED, Asked, Replies, stored_ack
from edge_agent.sources.coap_request import Declined, Plain, Request, Verdict, read_request
from edge_agent.sources.settings import CoapSettings
from edge_agent.sources.udp_socket import Datagram, Peer, Place, UdpSocket
from gateway_core.clock import Clock
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter

log = structlog.get_logger()

SOURCE = "coap"
DATAGRAMS_A_WAKE = 512
COMMITS_AT_ONCE = 4
UNCOMMITTED, UNCOMMITTED_BYTES = 8192, 32 * 2**20
PROMISE_AFTER_S = 1.5
FINISH_S = 5.0

# Max-Age says after how many seconds it is worth trying again (RFC 7252 5.9.3.4, RFC 8516)
_FULL = Verdict(coap.UNAVAILABLE, "", ((coap.MAX_AGE, uint(30)),))
_BUSY = Verdict(coap.UNAVAILABLE, "", ((coap.MAX_AGE, uint(2)),))
_FLOOD = Verdict(coap.TOO_MANY, "", ((coap.MAX_AGE, uint(1)),))
_NOT_FOUND = frozenset({"no_match", "bad_topic", "unknown_device", "device_held"})


class Desk:
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
        self.client = CoapClient(self._send_request, self._replies.new_id, chance)
        self._plain = Plain()
        self._counts: Counter[str | int] = Counter()
        self._open = Batch()
        self._flying = 0
        self._messages = self._bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def readable(self) -> None:
        """Take in what is waiting; what comes while enough commits are under way waits for one."""
        now, received = self._now(), self._clock()
        left = DATAGRAMS_A_WAKE
        while left > 0:
            datagrams = self._sock.receive()
            if not datagrams:
                break
            left -= len(datagrams)
            at = 0
            while (at := self._take_plain(datagrams, at, now, received)) < len(datagrams):
                self._take(datagrams[at], now, received)
                at += 1
        self._go()
        self._report()

    def _go(self) -> None:
        batch = self._open
        if not batch.arrivals:
            return
        self._idle.clear()
        if batch.timer is None:
            batch.timer = asyncio.get_running_loop().call_later(
                PROMISE_AFTER_S, self._promise, batch
            )
        if self._flying < COMMITS_AT_ONCE:
            self._open = Batch()
            self._flying += 1
            self._tasks.create_task(self._commit(batch))

    async def finish(self) -> None:
        """Wait for the commits under way."""
        try:
            async with asyncio.timeout(FINISH_S):
                await self._idle.wait()
        except TimeoutError:
            log.warning("commits_abandoned", source=SOURCE, after_s=FINISH_S)
        self._replies.close()

    def _take_plain(
        self, datagrams: Sequence[Datagram], start: int, now: float, received: int
    ) -> int:
        """Take in new requests whose options are known; return the place of the first other one."""
        find, enter, allows = self._plain.find, self._answered.enter, self._rates.allows
        batch, most, at = self._open, self._settings.max_payload, start
        arrive, ask, fate = batch.arrivals.append, batch.asked.append, batch.fate
        messages, held = self._messages, self._bytes
        self._answered.age(now)
        for at in range(start, len(datagrams)):
            datagram = datagrams[at]
            data, place = datagram
            plain = find(data)
            if plain is None or messages >= UNCOMMITTED or held >= UNCOMMITTED_BYTES:
                break
            request, payload = plain
            key = key_of(data, place)
            if len(payload) > most or not enter(key, fate):
                break
            if not allows(place.peer[0], now):
                self._answered.forget(key)
                break
            messages += 1
            held += len(payload)
            path, content_format, name = request[0], request[1], place.name
            arrive(
                Arrival(SOURCE, path, payload, received, content_format, "coap", False, None, name)  # noqa: FBT003
            )
            ask(datagram)
        else:
            at = len(datagrams)
        batch.size += held - self._bytes
        self._messages, self._bytes = messages, held
        return at

    def _take(self, datagram: Datagram, now: float, received: int) -> None:
        """Take in any datagram."""
        data, place = datagram
        message = self._request(data, place)
        if message is None:
            return
        key = key_of(data, place)
        known = self._answered.find(key)
        if known is not None:
            self._count("repeated")
            if isinstance(known, Fate):
                known = stored_ack(data) if known.stored else b""
            if known:
                self._send(known, place)
            return
        asked = Asked(data, place, key)
        if not self._rates.allows(place.peer[0], now):
            self._count(coap.TOO_MANY)
            if asked.confirmable:
                self._replies.answer(asked, _FLOOD)
            return
        try:
            request, payload, cut = self._read(asked, message, now)
        except Declined as declined:
            self._settle(asked, declined.verdict)
        else:
            self._answered.keep(key, b"", now)
            self._admit(asked, request, payload, received, cut=cut)

    def _request(self, data: bytes, place: Place) -> Message | None:
        """Return the request in a datagram; None for what is none, which is dealt with."""
        try:
            message = coap.decode(data)
        except FormatError as exc:
            self._count("not_coap")
            if exc.reset is not None:
                self._replies.reset(exc.reset, place)
            return None
        if message.kind in (coap.ACK, coap.RST) or message.code == coap.EMPTY or message.code >> 5:
            self._take_answer(message, place)
            return None
        return message

    def _take_answer(self, message: Message, place: Place) -> None:
        """Take what is no request: what belongs to ours, and what was never asked for."""
        mine = message.code != coap.EMPTY or message.kind in (coap.ACK, coap.RST)
        if mine and self.client.heard(message, place.peer):
            if message.kind == coap.CON:
                self._send(encode(Message(coap.ACK, coap.EMPTY, message.message_id)), place)
        elif message.kind in (coap.ACK, coap.RST):
            self._replies.confirmed(place.peer, message.message_id)
        elif message.kind == coap.CON:
            # a ping (section 4.3), or an answer to a question that was never asked
            self._replies.reset(message.message_id, place)

    def _read(self, asked: Asked, message: Message, now: float) -> tuple[Request, bytes, bool]:
        """Return a request, its whole payload and whether that is cut; or raise the answer."""
        request = read_request(message)
        asked.silence = request.silence
        self._plain.learn(asked.data, request, message.payload)
        if self._crowded():
            raise Declined(*_BUSY)
        try:
            payload = self._whole(request, message, asked.place, now)
        except TooLarge as beginning:
            asked.options = beginning.verdict.options
            return request, beginning.payload, True
        if request.block is not None:
            asked.options = ((coap.BLOCK1, request.block.raw),)
        if payload is None:
            raise Declined(coap.CONTINUE, "", asked.options)
        return request, payload, False

    def _crowded(self) -> bool:
        return self._messages >= UNCOMMITTED or self._bytes >= UNCOMMITTED_BYTES

    def _admit(
        self, asked: Asked, request: Request, payload: bytes, received: int, *, cut: bool
    ) -> None:
        """Queue what is to be stored."""
        batch, size, name = self._open, len(payload), asked.place.name
        self._messages += 1
        self._bytes += size
        batch.size += size
        path, content_format = request[:2]  # by place: half the cost of names
        batch.arrivals.append(
            Arrival(SOURCE, path, payload, received, content_format, "coap", cut, None, name)
        )
        batch.asked.append(asked)

    def _whole(self, request: Request, message: Message, place: Place, now: float) -> bytes | None:
        most = self._settings.max_payload
        if max(len(message.payload), request.size or 0) > most:
            raise TooLarge(most, message.payload)
        if request.block is None:
            return message.payload
        peer = place.peer
        key = (peer, message.code, request.path, request.tag)
        return self._assemblies.take(key, peer[0], request.block, message.payload, now)

    async def _commit(self, batch: Batch) -> None:
        arrivals = batch.arrivals
        outcomes: Sequence[str | None] | None
        try:
            outcomes = await self._ingest(arrivals, {})
        except Unavailable as why:
            log.warning("ingest_declined", source=SOURCE, arrivals=len(arrivals), why=str(why))
            outcomes = None
        finally:
            if batch.timer is not None:
                batch.timer.cancel()
            self._flying -= 1
            self._messages -= len(arrivals)
            self._bytes -= batch.size
            if not self._messages:
                self._idle.set()
        if outcomes is None:
            for each in batch.asked:
                self._settle(asked_of(each), _FULL)
        else:
            batch.fate.stored = True
            self._settle_all(arrivals, batch.asked, outcomes)
        self._go()
        self._report()

    def _promise(self, batch: Batch) -> None:
        batch.timer = None  # what joins the batch from now on is promised by a timer of its own
        now = self._now()
        asked = [asked_of(each) for each in batch.asked]
        batch.asked[:] = asked
        for each in asked:
            if each.confirmable and not each.promised:
                self._answered.keep(each.key, self._replies.promise(each), now)

    def _settle_all(
        self,
        arrivals: list[Arrival],
        asked: list[Asked | Datagram],
        outcomes: Sequence[str | None],
    ) -> None:
        """Answer the requests of one commit."""
        answers, places = [], []
        for arrival, each, outcome in zip(arrivals, asked, outcomes, strict=True):
            if outcome is None and type(each) is tuple and not each[0][0] & 0x30:  # CON
                answers.append(stored_ack(each[0]))
                places.append(each[1])
            else:
                one = asked_of(each)
                self._settle(one, _verdict("too_large" if arrival.cut else outcome, one))
        if answers:
            self._counts[coap.CHANGED] += len(answers)
            self._note_sent(self._sock.send_all(answers, places), len(answers))

    def _settle(self, asked: Asked, verdict: Verdict) -> None:
        self._counts[verdict.code] += 1
        answer = self._replies.answer(asked, verdict)
        if verdict.code == coap.UNAVAILABLE:
            self._answered.forget(asked.key)  # it may well be stored when it comes again
        else:
            self._answered.keep(asked.key, answer, self._now())

    def _send(self, data: bytes, place: Place) -> None:
        self._note_sent(self._sock.send(data, place.peer, place.local))

    def _send_request(self, data: bytes, peer: Peer) -> None:
        self._note_sent(self._sock.send(data, peer, ()))

    def _note_sent(self, sent: int, of: int = 1) -> None:
        if sent < of:
            self._counts["unsent"] += of - sent

    def _count(self, answer: str | int) -> None:
        self._counts[answer] += 1

    def _report(self) -> None:
        for each, count in self._counts.items():
            answer = coap.dotted(each) if isinstance(each, int) else each
            self._meter.count("tidegate_coap_requests", count, source=SOURCE, answer=answer)
        self._counts.clear()


def _verdict(outcome: str | None, asked: Asked) -> Verdict:
    """Return the answer to what became of an arrival; a refusal was stored, and is final."""
    if outcome is None:
        return Verdict(coap.CHANGED, "", asked.options) if asked.options else STORED
    if outcome in _NOT_FOUND:
        return Verdict(coap.NOT_FOUND, outcome, asked.options)
    if outcome == "too_large":
        return Verdict(coap.TOO_LARGE, outcome, asked.options)
    return Verdict(coap.BAD_REQUEST, outcome, asked.options)
