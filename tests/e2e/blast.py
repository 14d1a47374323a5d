"""A publisher that costs next to nothing: packets are encoded before, acknowledgements counted."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import mqtt5

IDS = 65_535


def env(device: str, **values: Any) -> tuple[str, bytes]:
    """Topic and payload of the plain environment sensor."""
    return f"tg/{device}/up", json.dumps(values, separators=(",", ":")).encode()


def fleet(
    devices: int, messages: int, *, start_s: float | None = None
) -> Iterator[tuple[str, bytes]]:
    """`messages` of `devices`, one device after the other; `seq` counts all of them from 1.

    With `start_s` each message has a time of its own, a second after the device's one before.
    """
    for n in range(messages):
        clock = {} if start_s is None else {"ts": start_s + n // devices}
        yield env(
            f"sim-env-{n % devices:05d}",
            **clock,
            temperature=20 + n % 100 / 10,
            humidity=40 + n % 50 / 10,
            battery=90,
            seq=n + 1,
        )


def encoded(messages: Iterable[tuple[str, bytes]], *, qos: int = 1) -> list[bytes]:
    """PUBLISH packets, with packet ids in turn."""
    return [
        mqtt5.PublishPacket(
            topic, payload, qos=mqtt5.QoS(qos), packet_id=n % IDS + 1 if qos else None
        ).write()
        for n, (topic, payload) in enumerate(messages)
    ]


class Blaster:
    """One MQTT 5 connection with QoS 1; a context manager. Everything sent gets acknowledged."""

    def __init__(
        self, host: str, port: int, *, window: int = 2000, client: str = "sim-blast"
    ) -> None:
        self._window = window
        self.acknowledged = 0
        self._sent = 0
        self._rest = b""
        self._socket = socket.create_connection((host, port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(mqtt5.ConnectPacket(client, clean_start=True, keep_alive=0).write())
        answer, _ = mqtt5.read(memoryview(self._socket.recv(4096)))
        assert isinstance(answer, mqtt5.ConnAckPacket), answer
        assert answer.reason_code == mqtt5.ConnAckReasonCode.SUCCESS, answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, packets: list[bytes], chunk: int = 500) -> None:
        """Send packets of `encoded`, never more than the window unacknowledged; wait for the end."""
        for at in range(0, len(packets), chunk):
            part = packets[at : at + chunk]
            while self._sent + len(part) - self.acknowledged > self._window:
                self._read()
            self._socket.sendall(b"".join(part))
            self._sent += len(part)
        while self.acknowledged < self._sent:
            self._read()

    def _read(self) -> None:
        data = self._socket.recv(1 << 16)
        assert data, "the broker closed the connection"
        data = self._rest + data
        at = 0
        while at + 2 <= len(data) and at + 2 + data[at + 1] <= len(data):
            assert data[at] == 0x40, f"not a PUBACK: {data[at : at + 8]!r}"
            at += 2 + data[at + 1]
            self.acknowledged += 1
        self._rest = data[at:]


def publish(
    host: str, port: int, messages: Iterable[tuple[str, bytes]], *, window: int = 2000
) -> int:
    """Publish with QoS 1; return how many were acknowledged."""
    with Blaster(host, port, window=window) as blaster:
        blaster.send(encoded(messages))
        return blaster.acknowledged
