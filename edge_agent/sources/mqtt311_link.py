"""One connection to an MQTT 3.1.1 broker, through paho-mqtt driven by the event loop.

The one file that imports `paho`. Its own thread is not used: paho is told when the socket can
be read or written, so that reading can stop while keep-alives go on.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Any, cast

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.arrival import Arrival
from edge_agent.downlink import Downlink, NotSent, Undeliverable
from edge_agent.sources.commit_line import CommitLine
from edge_agent.sources.credentials import read_password, tls_context, unreachable
from edge_agent.sources.outgoing import Outgoing, check_topic
from edge_agent.sources.redelivery import Redelivery, fingerprint
from edge_agent.sources.settings import MqttSettings
from edge_agent.sources.terms import Terms, connect_refused
from gateway_core.clock import Clock
from gateway_core.errors import Unavailable
from gateway_core.lifeline import watched

ANSWER_S = 10.0
FILTERS_A_PACKET = 100
READS_A_WAKE = 200


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # inherited
        """Shake hands, or close."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class Link311:
    """As `Link5`, for brokers that speak MQTT 3.1.1 only.

    There is no Receive Maximum and no Maximum Packet Size in this version: how much is in flight
    and how long a packet may be are the broker's settings (docs/how-to/mosquitto.md).
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
        self._line = line
        self._redelivery = redelivery
        self._clock = clock
        self._answers: asyncio.Queue[Terms | list[int] | Unavailable] = asyncio.Queue(64)
        self._outgoing = Outgoing()
        self._loop = asyncio.get_running_loop()
        self._sock: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._messages = 0
        self._pressed = self._halted = self._ended = False
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=settings.session_expiry == 0,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )

    async def connect(self) -> Terms:
        """Open the connection and the session; raises as `Link5.connect`."""
        client, address = self._client, self._settings.address
        password = read_password(self._settings)
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, cast("Any", password))  # bytes will do
        context = await asyncio.to_thread(tls_context, self._settings)
        if context is not None:
            context.sslsocket_class = _ClosingSocket
            client.tls_set_context(context)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_publish = self._on_publish
        keep_alive = round(self._settings.keep_alive)
        try:
            await asyncio.to_thread(client.connect, address.host, address.port, keep_alive)
        except OSError as exc:
            raise unreachable(exc, address) from exc
        self._attach()
        self._line.on_acknowledged = self._acknowledge
        self._line.on_pressure = self._press
        answer = await self._answer("CONNECT")
        if not isinstance(answer, Terms):
            raise Unavailable("the broker did not begin with CONNACK")
        return answer

    async def subscribe(self, filters: Sequence[str]) -> list[int]:
        """Subscribe; return a reason code for each filter, 128 for a refusal."""
        codes: list[int] = []
        for start in range(0, len(filters), FILTERS_A_PACKET):
            some = filters[start : start + FILTERS_A_PACKET]
            wanted: list[tuple[str, int]] = [(each, self._settings.qos) for each in some]
            self._client.subscribe(wanted)
            answer = await self._answer("SUBSCRIBE")
            codes += answer if isinstance(answer, list) else []
        return codes

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Give up subscriptions that the session still has."""
        self._client.unsubscribe(list(filters))
        await self._answer("UNSUBSCRIBE")

    async def publish(self, downlink: Downlink) -> None:
        """Send a message of QoS 1 and return after its PUBACK; raises as `Publisher.publish`."""
        check_topic(downlink.address)

        def send() -> int:
            if self._sock is None:
                raise NotSent("not connected to the broker")
            try:
                return self._client.publish(downlink.address, downlink.payload, qos=1).mid
            except ValueError as exc:
                raise Undeliverable("too_large", str(exc)) from exc

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
        if self._timer is not None:
            self._timer.cancel()
        self._client.disconnect()
        self._client.loop_write()
        self._detach()

    # ---- called by the event loop ----

    def _readable(self) -> None:
        for _ in range(READS_A_WAKE):
            before = self._messages
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
            if self._messages == before and not self._more_decrypted():
                break
        else:
            self._loop.call_soon(self._read_on)
        self._line.go()

    def _read_on(self) -> None:
        if self._sock is not None and not self._pressed and not self._halted:
            self._readable()

    def _more_decrypted(self) -> bool:
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def _misc(self) -> None:
        self._client.loop_misc()
        if self._sock is not None:
            self._timer = self._loop.call_later(1.0, self._misc)

    def _attach(self) -> None:
        sock = cast("socket.socket | None", self._client.socket())
        if sock is None:
            return
        self._sock = sock
        watched(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.on_socket_close = lambda *_args: self._detach()
        self._client.on_socket_register_write = self._want_write
        self._client.on_socket_unregister_write = self._written
        if self._client.want_write():
            self._loop.add_writer(sock, self._client.loop_write)
        self._pace()
        self._misc()
        self._loop.call_soon(self._read_on)

    def _detach(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock = None

    def _want_write(self, _client: object, _userdata: object, sock: Any) -> None:
        self._loop.add_writer(sock, self._client.loop_write)

    def _written(self, _client: object, _userdata: object, sock: Any) -> None:
        self._loop.remove_writer(sock)

    # ---- called by paho ----

    def _on_connect(
        self, _client: object, _userdata: object, flags: Any, code: ReasonCode, _props: object
    ) -> None:
        if code.is_failure:
            self._end_with(connect_refused(code.value, None))
        else:
            self._put(Terms(session_present=bool(flags.session_present)))

    def _on_disconnect(
        self, _client: object, _userdata: object, _flags: object, code: ReasonCode, _props: object
    ) -> None:
        self._end_with(Unavailable(f"the connection was lost: {code}"))

    def _on_subscribe(
        self, _client: object, _userdata: object, _mid: int, codes: list[ReasonCode], _p: object
    ) -> None:
        self._put([code.value for code in codes])

    def _on_unsubscribe(self, *_args: object) -> None:
        self._put([])

    def _on_publish(
        self, _client: object, _userdata: object, mid: int, code: ReasonCode, _props: object
    ) -> None:
        self._outgoing.confirmed(mid, code.value)

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self._messages += 1
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "\ufffd"  # no profile names it: it is refused, kept raw and acknowledged
        payload = bytes(message.payload)
        load = self._line.open
        load.size += len(payload) + len(topic)
        if message.qos:
            mark = fingerprint(message.mid, topic, payload)
            load.words.append(message.mid)
            if message.dup and self._redelivery.recognises(mark, load.marks):
                load.again += 1
                return
            load.marks.append(mark)
        load.arrivals.append(Arrival(self._settings.source, topic, payload, self._clock()))

    # ---- inside ----

    async def _answer(self, to: str) -> Terms | list[int]:
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._answers.get()
        except TimeoutError as exc:
            raise Unavailable(f"the broker did not answer {to} within {ANSWER_S:.0f} s") from exc
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    def _put(self, answer: Terms | list[int]) -> None:
        if not self._answers.full():
            self._answers.put_nowait(answer)

    def _end_with(self, why: Unavailable) -> None:
        if not self._ended:
            self._ended = True
            self._outgoing.end(why)
            if self._answers.full():
                self._answers.get_nowait()
            self._answers.put_nowait(why)

    def _acknowledge(self, words: list[int]) -> None:
        if self._sock is not None:
            for packet_id in words:
                self._client.ack(packet_id, 1)

    def _press(self, pressed: bool) -> None:  # noqa: FBT001  # a callback's only argument
        self._pressed = pressed
        self._pace()
        if not pressed:
            self._loop.call_soon(self._read_on)

    def _pace(self) -> None:
        if self._sock is None:
            return
        if self._pressed or self._halted:
            self._loop.remove_reader(self._sock)
        else:
            self._loop.add_reader(self._sock, self._readable)
