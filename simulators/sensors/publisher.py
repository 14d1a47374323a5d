"""An MQTT 5 publisher that sends again what was not acknowledged: the mqtt5 codec lives here."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

import mqtt5

from gateway_core.errors import Unavailable

_CONNECT_S = 10.0
_KEEP_ALIVE_S = 30
_SESSION_S = 3600
_SUBSCRIBE_ID = 65_535
_HEARD = mqtt5.PubAckReasonCode.SUCCESS
_UNHEARD = mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS


@dataclass(slots=True)
class _Pending:
    topic: str
    payload: bytes
    acknowledged: Callable[[], None]
    sent: bool = False


class Publisher:
    """One connection with QoS 1; `run` it under `supervise`, `publish` from anywhere.

    A message that was sent and not acknowledged is sent again after a reconnection, with DUP set
    and the same packet id (MQTT 5, 4.4), until the broker acknowledges it.

    Args:
        url: ``mqtt://host:port`` or ``mqtts://host:port``.
        client_id: Stays the same over reconnections.
        window: Most messages in flight.
        listened: Do not call acknowledged what the broker took for nobody.
        tls: Context for ``mqtts``; None takes the system's certificates.
        filters: What to subscribe to.
        heard: Is given topic and payload of what comes.

    Attributes:
        reached: Set once the broker let this connection in.
        unheard: Messages that the broker took for nobody, where ``listened``.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        *,
        window: int = 200,
        listened: bool = False,
        tls: ssl.SSLContext | None = None,
        filters: Sequence[str] = (),
        heard: Callable[[str, bytes], None] = lambda _topic, _payload: None,
    ) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        secure = parts.scheme == "mqtts"
        self._port = parts.port or (8883 if secure else 1883)
        self._tls = (tls or ssl.create_default_context()) if secure else None
        self._client_id = client_id
        self._listened = listened
        self._filters = tuple(filters)
        self._heard = heard
        self.reached = asyncio.Event()
        self.unheard = 0
        self._slots = asyncio.Semaphore(window)
        self._free = list(range(window, 0, -1))
        self._pending: dict[int, _Pending] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._out: list[bytes] = []
        self._idle = asyncio.Event()
        self._idle.set()

    async def publish(self, topic: str, payload: bytes, acknowledged: Callable[[], None]) -> None:
        """Send one message as soon as there is room; ``acknowledged`` is called at its PUBACK."""
        await self._slots.acquire()
        packet_id = self._free.pop()
        self._pending[packet_id] = _Pending(topic, payload, acknowledged)
        self._idle.clear()
        if self._writer is not None:
            self._deliver(packet_id)

    async def drained(self) -> None:
        """Wait until every message is acknowledged."""
        await self._idle.wait()

    async def run(self) -> NoReturn:
        """Connect, send again what is pending, then take acknowledgements, for ever.

        Raises:
            Unavailable: The broker refused or the connection broke; run again.
        """
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError) as exc:
            raise Unavailable(f"the broker at {self._host}:{self._port}: {exc}") from exc
        try:
            await self._talk(reader, writer)
        except (OSError, EOFError, TimeoutError, ValueError) as exc:
            raise Unavailable(f"the broker at {self._host}:{self._port}: {exc!r}") from exc
        finally:
            self._writer = None
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> NoReturn:
        connect = mqtt5.ConnectPacket(
            self._client_id, keep_alive=_KEEP_ALIVE_S, session_expiry_interval=_SESSION_S
        )
        writer.write(connect.write())
        packets = _Packets(reader)
        async with asyncio.timeout(_CONNECT_S):
            answer = (await packets.next())[0]
        if not isinstance(answer, mqtt5.ConnAckPacket) or (
            answer.reason_code != mqtt5.ConnAckReasonCode.SUCCESS
        ):
            raise Unavailable(f"the broker at {self._host}:{self._port} refused: {answer}")
        self._writer = writer
        self.reached.set()
        self._out.clear()
        if self._filters:
            wanted = [
                mqtt5.TopicFilter(each, max_qos=mqtt5.QoS.AT_LEAST_ONCE) for each in self._filters
            ]
            self._send(mqtt5.SubscribePacket(_SUBSCRIBE_ID, wanted).write())
        for packet_id in self._pending:
            self._deliver(packet_id)
        pinged = False
        while True:
            try:
                async with asyncio.timeout(_KEEP_ALIVE_S / 2):
                    arrived = await packets.next()
            except TimeoutError:
                if pinged:
                    raise
                pinged = True
                self._send(mqtt5.PingReqPacket().write())
                continue
            pinged = False
            for packet in arrived:
                self._take(packet)

    def _take(self, packet: mqtt5.Packet) -> None:
        if isinstance(packet, mqtt5.DisconnectPacket):
            raise Unavailable(f"the broker ended the connection: {packet.reason_code.name}")
        if isinstance(packet, mqtt5.PublishPacket):
            if packet.packet_id is not None:
                self._send(mqtt5.PubAckPacket(packet.packet_id).write())
            self._heard(packet.topic, packet.payload)
            return
        if not isinstance(packet, mqtt5.PubAckPacket):
            return
        pending = self._pending.pop(packet.packet_id, None)
        if pending is None:
            return
        self._free.append(packet.packet_id)
        self._slots.release()
        unheard = packet.reason_code == _UNHEARD
        if unheard and self._listened:
            self.unheard += 1
        elif unheard or packet.reason_code == _HEARD:
            pending.acknowledged()
        if not self._pending:
            self._idle.set()

    def _deliver(self, packet_id: int) -> None:
        pending = self._pending[packet_id]
        packet = mqtt5.PublishPacket(
            pending.topic,
            pending.payload,
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            packet_id=packet_id,
            duplicate=pending.sent,
        )
        pending.sent = True
        self._send(packet.write())

    def _send(self, data: bytes) -> None:
        """Queue bytes; one write a turn of the event loop, however many messages there are."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.write(b"".join(self._out))
        self._out.clear()


class _Packets:
    """Cuts a stream into packets."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._rest = b""

    async def next(self) -> list[mqtt5.Packet]:
        """Return the next packets, at least one.

        Raises:
            EOFError: The connection was closed.
        """
        found: list[mqtt5.Packet] = []
        while not found:
            data = await self._reader.read(1 << 16)
            if not data:
                raise EOFError("connection closed")
            view = memoryview(self._rest + data)
            with contextlib.suppress(IndexError):  # the codec's word for "the rest is not here"
                while True:
                    packet, used = mqtt5.read(view)
                    found.append(packet)
                    view = view[used:]
            self._rest = bytes(view)
        return found
