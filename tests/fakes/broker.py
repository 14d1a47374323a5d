"""Brokers for tests: a real mosquitto started on free ports, and one made of bytes."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import mqtt5

from tests.fakes.ports import free_port

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


class Mosquitto:
    """A real mosquitto with persistence, in a folder of its own.

    Args:
        folder: For its configuration, log and database.
        extra: Lines for its configuration, after the listener's.
        host: To listen on.
    """

    def __init__(
        self,
        folder: Path,
        extra: str = "allow_anonymous true",
        host: str = "127.0.0.1",
        *,
        queue: int = 1_000_000,
    ) -> None:
        self.host = host
        self.port = free_port(host)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"per_listener_settings false\nlistener {self.port} {host}\n{extra}\n"
            f"user {getpass.getuser()}\npersistence true\npersistence_location {folder}/\n"
            f"max_queued_messages {queue}\nlog_dest file {folder}/mosquitto.log\nlog_type all\n",
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As in the edge's configuration."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt://{host}:{self.port}"

    async def start(self) -> None:
        """Start it and return when it answers."""
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection(self.host, self.port)
                except OSError:
                    assert self._process.poll() is None, self.log()
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    async def stop(self) -> None:
        """End it in an orderly way: it saves its sessions."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, 10)
            self._process = None

    def pause(self) -> None:
        """Stop it without closing its connections."""
        assert self._process is not None
        self._process.send_signal(19)

    def unpause(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(18)

    def log(self) -> str:
        """What it logged."""
        path = self.folder / "mosquitto.log"
        return path.read_text() if path.exists() else ""

    async def publish(
        self, topic: str, *payloads: str, qos: int = 1, options: tuple[str, ...] = ()
    ) -> None:
        """Publish one message for each payload with mosquitto_pub; returns after the PUBACKs."""
        process = await asyncio.create_subprocess_exec(
            *("mosquitto_pub", "-h", self.host, "-p", str(self.port), "-t", topic),
            *("-q", str(qos), "-l", "-V", "mqttv5", *options),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _, errors = await process.communicate("".join(f"{each}\n" for each in payloads).encode())
        assert process.returncode == 0, errors.decode()


class ByteBroker:
    """One end of an MQTT connection, byte by byte, for what a real broker would not do.

    Every connection is answered by CONNACK and, for SUBSCRIBE, SUBACK; everything else is up to
    the test, which finds what came in `packets`.
    """

    def __init__(self, connack: bytes | None = None, suback: bytes | None = None) -> None:
        self.connack = connack or mqtt5.ConnAckPacket().write()
        self.suback = suback
        self.answers_pings = True
        self.port = 0
        self.packets: list[mqtt5.Packet] = []
        self.connections = 0
        self._waiting = 0
        self.on_subscribe: Callable[[], None] = lambda: None
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """As in the edge's configuration."""
        return f"mqtt://127.0.0.1:{self.port}"

    def send(self, data: bytes) -> None:
        """Send bytes on the latest connection."""
        self._writers[-1].write(data)

    def stalled(self) -> bool:
        """Whether the other end takes no more: much is left to send, and it does not shrink."""
        waiting = self._writers[-1].transport.get_write_buffer_size()
        before, self._waiting = self._waiting, waiting
        return waiting > 20_000_000 and waiting == before

    def drop(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def of(self, kind: type[object]) -> list[object]:
        """Packets of one kind that came."""
        return [each for each in self.packets if isinstance(each, kind)]

    async def when(self, holds: Callable[[], bool], within_s: float = 10.0) -> None:
        """Return when ``holds`` after some packet or connection."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(holds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.connections += 1
        data = b""
        try:
            while chunk := await reader.read(65_536):
                data += chunk
                while data:
                    try:
                        packet, used = mqtt5.read(memoryview(data))
                    except IndexError:
                        break
                    data = data[used:]
                    self._answer(packet, writer)
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionError:
            pass
        finally:
            writer.close()
            async with self._changed:
                self._changed.notify_all()

    def _answer(self, packet: mqtt5.Packet, writer: asyncio.StreamWriter) -> None:
        self.packets.append(packet)
        if isinstance(packet, mqtt5.ConnectPacket):
            writer.write(self.connack)
        elif isinstance(packet, mqtt5.SubscribePacket):
            codes = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * len(packet.topic_filters)
            writer.write(self.suback or mqtt5.SubAckPacket(packet.packet_id, codes).write())
            self.on_subscribe()
        elif isinstance(packet, mqtt5.PingReqPacket) and self.answers_pings:
            writer.write(mqtt5.PingRespPacket().write())
