"""One connection to an MQTT 5 broker, under asyncio."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import cast

import structlog

from edge_agent.downlink import Downlink, NotSent
from edge_agent.sources import mqtt5_session
from edge_agent.sources.commit_line import CommitLine
from edge_agent.sources.credentials import read_password, tls_context, unreachable
from edge_agent.sources.mqtt5_session import Answer, Granted, Session5
from edge_agent.sources.outgoing import AT_ONCE, Outgoing, check_terms, check_topic
from edge_agent.sources.redelivery import Redelivery
from edge_agent.sources.settings import MqttSettings
from edge_agent.sources.terms import Terms
from gateway_core.clock import Clock
from gateway_core.errors import Unavailable
from gateway_core.lifeline import watched

log = structlog.get_logger()

ANSWER_S = 10.0
READ = 128 * 1024
"""Bytes taken from the socket at a time, about a thousand messages: all else waits for them. Some
brokers send far more than was asked for (mosquitto 2.0.11: 34,000 where 4,000 were)."""

# A broker writes each message on its own. Reading each on its own costs nine times the CPU of
# reading what came in two milliseconds, so after a read that followed another closely the link
# looks away for a moment. A message that comes alone is read at once.
CLOSE_S = 0.005
NAP_S = 0.002

_FIRST_ID, _IDS = 0x8000, 0x7FFF  # of what is published; SUBSCRIBE and UNSUBSCRIBE begin at 1


class Link5(asyncio.BufferedProtocol):
    """Connects, keeps the connection alive, and moves bytes between socket and session.

    Args:
        settings: Of the broker.
        client_id: The same for every connection.
        line: Gets what was received; its `on_acknowledged` and `on_pressure` are set here.
        redelivery: The memory of the session.
        clock: For the time of receipt.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        line: CommitLine[int, int],
        redelivery: Redelivery,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._line = line
        self._clock = clock
        self._session = Session5(settings.source, redelivery, settings.max_packet)
        self._answers: asyncio.Queue[Answer | Unavailable] = asyncio.Queue(64)
        self._outgoing = Outgoing()
        self._terms: Terms | None = None
        self._published = _FIRST_ID
        self._gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(settings.max_packet + READ))
        self._end = 0
        self._keep_alive = settings.keep_alive
        self._timer: asyncio.TimerHandle | None = None
        self._heard = self._sent = 0.0
        self._napping = self._pressed = self._halted = self._ended = False

    async def connect(self) -> Terms:
        """Open the connection and the session.

        Raises:
            Unavailable: It cannot be reached, or will not have us (`Refused`).
        """
        host, port = self._settings.address
        password = read_password(self._settings)
        context = await asyncio.to_thread(tls_context, self._settings)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._loop.create_connection(
                    lambda: self,
                    host,
                    port,
                    ssl=context,
                    server_hostname=host if context else None,
                )
        except OSError as exc:
            raise unreachable(exc, self._settings.address) from exc
        self._line.on_acknowledged = self._acknowledge
        self._line.on_pressure = self._press
        self._send(mqtt5_session.connect(self._settings, self._client_id, password))
        answer = await self._answer("CONNECT")
        if not isinstance(answer, Terms):
            raise Unavailable("the broker did not begin with CONNACK")
        self._keep_alive = answer.keep_alive or self._keep_alive
        self._outgoing = Outgoing(min(AT_ONCE, answer.receive_maximum or AT_ONCE))
        self._terms = answer
        self._watch()
        return answer

    async def subscribe(self, filters: Sequence[str]) -> list[int]:
        """Subscribe; return a reason code for each filter, 128 and more for a refusal."""
        packets = mqtt5_session.subscribe(filters, self._settings.qos)
        for packet in packets:
            self._send(packet)
        codes: list[int] = []
        while len(codes) < len(filters):
            answer = await self._answer("SUBSCRIBE")
            if isinstance(answer, Granted):
                codes += answer.codes
        return codes

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Give up subscriptions that the session still has."""
        self._send(mqtt5_session.unsubscribe(filters))
        await self._answer("UNSUBSCRIBE")

    async def publish(self, downlink: Downlink) -> None:
        """Send a message of QoS 1 and return after its PUBACK; raises as `Publisher.publish`."""
        if self._terms is None or self._ended:
            raise NotSent("not connected to the broker")
        check_topic(downlink.address)
        self._published = _FIRST_ID + (self._published + 1) % _IDS
        packet_id = self._published
        packet = mqtt5_session.publish(downlink, packet_id)
        check_terms(self._terms, len(packet))

        def send() -> int:
            self._send(packet)
            return packet_id

        await self._outgoing.deliver(send, downlink.expiry_s)

    async def lost(self) -> Unavailable:
        """Return why the connection ended, once it has."""
        while True:
            answer = await self._answers.get()
            if isinstance(answer, Unavailable):
                return answer

    def halt(self) -> None:
        """Read no more."""
        self._halted = True
        self._pace()

    async def close(self) -> None:
        """Say goodbye if there is still someone to say it to, and close."""
        if self._transport is None:
            return
        if not self._ended:
            self._send(mqtt5_session.GOODBYE)
        self._transport.close()
        self._end_with(Unavailable("the connection was closed here"))
        try:
            async with asyncio.timeout(1.0):
                await self._gone.wait()
        except TimeoutError:
            self._abort()

    # ---- called by the event loop ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the socket up."""
        self._transport = cast("asyncio.Transport", transport)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            watched(sock)
        self._heard = self._sent = self._loop.time()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the free end of the buffer."""
        del sizehint
        return self._buffer[self._end : self._end + READ]

    def buffer_updated(self, nbytes: int) -> None:
        """Read what came into the open load and let it be committed."""
        self._end += nbytes
        now = self._loop.time()
        if nbytes < READ and now - self._heard < CLOSE_S and not self._napping:
            self._napping = True
            self._pace()
            self._loop.call_later(NAP_S, self._wake)
        self._heard = now
        if self._ended:
            self._end = 0
            return
        buffer, session = self._buffer, self._session
        try:
            used = session.read(buffer[: self._end], self._line.open, self._clock())
        except Unavailable as why:
            self._flush()
            self._end_with(why)
            if self._transport is not None:
                self._transport.close()
            return
        rest = self._end - used
        if used and rest:
            buffer[:rest] = buffer[used : self._end]
        self._end = rest
        self._flush()
        self._line.go()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why."""
        self._gone.set()
        if self._timer is not None:
            self._timer.cancel()
        self._end_with(Unavailable(f"the connection was lost: {exc or 'closed by the broker'}"))

    # ---- inside ----

    async def _answer(self, to: str) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._answers.get()
        except TimeoutError as exc:
            raise Unavailable(f"the broker did not answer {to} within {ANSWER_S:.0f} s") from exc
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    def _flush(self) -> None:
        session = self._session
        if session.replies:
            self._send(b"".join(session.replies))
            session.replies.clear()
        for packet_id, code in session.confirmed:
            self._outgoing.confirmed(packet_id, code)
        session.confirmed.clear()
        for answer in session.answers:
            if not self._answers.full():
                self._answers.put_nowait(answer)
        session.answers.clear()

    def _end_with(self, why: Unavailable) -> None:
        if not self._ended:
            self._ended = True
            self._outgoing.end(why)
            if self._answers.full():
                self._answers.get_nowait()
            self._answers.put_nowait(why)

    def _acknowledge(self, words: list[int]) -> None:
        self._send(mqtt5_session.acknowledge(words))

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            self._sent = self._loop.time()

    def _press(self, pressed: bool) -> None:  # noqa: FBT001  # a callback's only argument
        self._pressed = pressed
        self._heard = self._loop.time()
        self._pace()

    def _wake(self) -> None:
        self._napping = False
        self._pace()

    def _pace(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._pressed or self._napping or self._halted:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _watch(self) -> None:
        """Send PINGREQ in silence; give up after one and a half times the keep alive."""
        now, limit = self._loop.time(), self._keep_alive
        if self._gone.is_set():
            return
        if now - self._heard > 1.5 * limit and not self._pressed:
            self._end_with(Unavailable(f"no sign of life from the broker for {1.5 * limit:g} s"))
            self._abort()
            return
        if now - self._sent > limit / 2 or now - self._heard > limit / 2:
            self._send(mqtt5_session.PINGREQ)
        self._timer = self._loop.call_later(limit / 4, self._watch)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
