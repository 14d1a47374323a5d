"""Run a fleet of sensors at a declared rate, and write down all that was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn, Protocol
from zlib import crc32

from gateway_core.clock import Clock, monotonic, wall_ns
from gateway_core.errors import GatewayError, Unavailable
from gateway_core.model import Value
from gateway_core.supervise import Patience, supervise
from simulators.sensors.coap import CoapSender
from simulators.sensors.fleet import Fleet, Message
from simulators.sensors.obedience import Obedience
from simulators.sensors.publisher import Publisher
from simulators.sensors.truth import Acknowledged, TruthFile

_PATIENCE = Patience(first=0.2, longest=5.0)
_COAP_AT_ONCE = 64
_ANSWERS = 256


class PayloadEncoder(Protocol):
    """Turns values into what the device would send; `device_profiles.encode` makes them."""

    def payload(
        self, device: str, values: Mapping[str, Value], time_ns: int | None
    ) -> tuple[str, bytes, int | None]:
        """Return topic or path, payload, and CoAP Content-Format."""


@dataclass(frozen=True, slots=True)
class SensorOptions:
    """What a run does.

    Args:
        mqtt: Broker's URL; None for CoAP alone.
        coap: CoAP server's URL; None for MQTT alone.
        coap_share: Which part of the messages goes over CoAP, 0 to 1, where both are given.
        rate: Messages a second, over all devices.
        count: Messages in all; None for no end but ``seconds``.
        seconds: How long; None for no end but ``count``.
        connections: MQTT connections that the devices share.
        window: Most unacknowledged messages of each connection.
        clockless: Send no time of the device's own.
        listened: A PUBACK that says that nobody subscribes is no promise: such a message is
            counted as ``unheard`` and not as acknowledged.
        truth: Where to write what was acknowledged; None to keep only the counts.
        reach_s: How long the first connection to the broker may take; None: for ever.
    """

    mqtt: str | None = None
    coap: str | None = None
    coap_share: float = 0.2
    rate: float = 100.0
    count: int | None = None
    seconds: float | None = None
    connections: int = 1
    window: int = 200
    clockless: bool = False
    listened: bool = False
    truth: Path | None = None
    reach_s: float | None = None


@dataclass(frozen=True, slots=True)
class SensorReport:
    """What a run did.

    Args:
        sent: Messages handed to a connection.
        acknowledged: Messages whose PUBACK or 2.04 came.
        refused: Messages that CoAP answered with an error, by code.
        unheard: Messages that no subscriber of the broker got; 0 unless ``listened``.
        seconds: How long it took.
    """

    sent: int
    acknowledged: int
    refused: Mapping[str, int]
    unheard: int
    seconds: float


class Simulation:
    """One run; `sent` and `acknowledged` may be watched meanwhile."""

    def __init__(
        self,
        fleet: Fleet,
        encoders: Mapping[str, PayloadEncoder],
        options: SensorOptions,
        clock: Clock = wall_ns,
        watch: Callable[[Acknowledged], None] | None = None,
        obedience: Obedience | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            fleet: The devices.
            encoders: ``mqtt`` and ``coap`` to what encodes for it.
            options: What to do.
            clock: The devices' clock.
            watch: Is told of each acknowledgement as it comes.
            obedience: What the devices do when they are told; None: they do not listen.

        Raises:
            GatewayError: Neither a broker nor a CoAP server was given.
        """
        if options.mqtt is None and options.coap is None:
            raise GatewayError("give a broker with --mqtt, a CoAP server with --coap, or both")
        self._fleet = fleet
        self._encoders = encoders
        self._options = options
        self._clock = clock
        self._watch = watch
        self._obedience = obedience
        self._answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_ANSWERS)
        self._stop = asyncio.Event()
        self.sent = 0
        self.unheard = 0
        self.acknowledged = 0
        self.refused: dict[str, int] = {}

    def stop(self) -> None:
        """End the run after what is under way was acknowledged."""
        self._stop.set()

    async def run(self) -> SensorReport:
        """Send at the declared rate, wait for every acknowledgement, return the counts.

        Raises:
            Unavailable: The broker let nobody in within ``reach_s``.
        """
        o = self._options
        began = monotonic()
        with TruthFile(o.truth) if o.truth else contextlib.nullcontext() as truth:
            async with asyncio.TaskGroup() as tasks:
                publishers = self._publishers()
                ear = self._ear()
                connections = [
                    tasks.create_task(supervise(f"publisher-{n}", each.run, _PATIENCE))
                    for n, each in enumerate([*publishers, *ear])
                ]
                connections += [tasks.create_task(self._answer(each)) for each in ear]
                await self._reach(publishers)
                await self._send(publishers, truth)
                for publisher in publishers:
                    await publisher.drained()
                self.unheard = sum(each.unheard for each in publishers)
                for connection in connections:
                    connection.cancel()
        return SensorReport(
            self.sent, self.acknowledged, dict(self.refused), self.unheard, monotonic() - began
        )

    async def _reach(self, publishers: Sequence[Publisher]) -> None:
        try:
            async with asyncio.timeout(self._options.reach_s):
                for publisher in publishers:
                    await publisher.reached.wait()
        except TimeoutError as exc:
            url, patience = self._options.mqtt, self._options.reach_s
            message = f"{url} let nobody in for {patience:g} s; the lines above say why"
            raise Unavailable(message) from exc

    def _publishers(self) -> list[Publisher]:
        o = self._options
        if o.mqtt is None:
            return []
        names = [f"sim-sensors-{os.getpid()}-{n}" for n in range(o.connections)]
        return [Publisher(o.mqtt, name, window=o.window, listened=o.listened) for name in names]

    def _ear(self) -> list[Publisher]:
        """Return the connection through which the devices listen, if they do."""
        url, obedience = self._options.mqtt, self._obedience
        if url is None or obedience is None or not obedience.filters:
            return []

        def heard(topic: str, payload: bytes) -> None:
            answer = obedience.hear(topic, payload)
            if answer is not None and not self._answers.full():
                self._answers.put_nowait(answer)

        name = f"sim-sensors-{os.getpid()}-{id(self):x}-ear"
        return [Publisher(url, name, filters=obedience.filters, heard=heard)]

    async def _answer(self, ear: Publisher) -> NoReturn:
        while True:
            topic, payload = await self._answers.get()
            await ear.publish(topic, payload, lambda: None)

    async def _send(self, publishers: Sequence[Publisher], truth: TruthFile | None) -> None:
        o = self._options
        async with _Coap(o.coap) as coap, asyncio.TaskGroup() as requests:
            began = monotonic()
            room = asyncio.Semaphore(_COAP_AT_ONCE)
            for index, message in enumerate(islice(self._fleet.messages(), o.count)):
                if not await self._paced(began, index):
                    break
                over_coap = coap is not None and (not publishers or self._goes_coap(message))
                note = self._note(truth, message)
                if over_coap and coap is not None:
                    await room.acquire()
                    requests.create_task(self._put(coap, message, note, room))
                else:
                    publisher = publishers[crc32(message.device.encode()) % len(publishers)]
                    topic, payload, _ = self._encode("mqtt", message)
                    await publisher.publish(topic, payload, note)
                self.sent += 1

    async def _paced(self, began: float, index: int) -> bool:
        """Wait until it is message ``index``'s turn; False when the run is over."""
        o = self._options
        elapsed = monotonic() - began
        if self._stop.is_set() or (o.seconds is not None and elapsed >= o.seconds):
            return False
        early = index / o.rate - elapsed
        if early > 0.002:  # below that, sleeping costs more than it gives
            try:
                async with asyncio.timeout(early):
                    await self._stop.wait()
            except TimeoutError:
                return True
            return False
        return True

    def _goes_coap(self, message: Message) -> bool:
        """Decide by device, so that one device always speaks one protocol."""
        return crc32(b"coap" + message.device.encode()) / 2**32 < self._options.coap_share

    def _encode(self, via: str, message: Message) -> tuple[str, bytes, int | None]:
        time = None if self._options.clockless else self._clock()
        values = message.values
        if self._obedience is not None:
            values = self._obedience.values(message.device, values)
        return self._encoders[via].payload(message.device, values, time)

    def _note(self, truth: TruthFile | None, message: Message) -> Callable[[], None]:
        sent = self._clock()

        def acknowledged() -> None:
            self.acknowledged += 1
            now = self._clock()
            if truth is not None:
                truth.acknowledged(message.device, message.seq, sent, now)
            if self._watch is not None:
                self._watch(Acknowledged(message.device, message.seq, sent, now))

        return acknowledged

    async def _put(
        self, coap: CoapSender, message: Message, note: Callable[[], None], room: asyncio.Semaphore
    ) -> None:
        path, payload, content_format = self._encode("coap", message)
        try:
            code = await coap.put(message.device, path, payload, content_format)
        except Unavailable:
            code = "no answer"
        finally:
            room.release()
        if code.startswith("2."):
            note()
        else:
            self.refused[code] = self.refused.get(code, 0) + 1


class _Coap:
    """A `CoapSender`, or None where no CoAP server was given."""

    def __init__(self, url: str | None) -> None:
        self._sender = CoapSender(url) if url else None

    async def __aenter__(self) -> CoapSender | None:
        if self._sender is not None:
            await self._sender.__aenter__()
        return self._sender

    async def __aexit__(self, *exc: object) -> None:
        if self._sender is not None:
            await self._sender.__aexit__(None, None, None)
