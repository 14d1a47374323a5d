"""A CoAP server (RFC 7252) that takes PUT and POST in, and answers 2.04 after the commit."""

from __future__ import annotations

import asyncio
import random
from typing import NoReturn

import structlog

from edge_agent.arrival import Ingest
from edge_agent.downlink import Downlink, NotSent
from edge_agent.sources.coap_desk import SOURCE, Desk
from edge_agent.sources.settings import CoapSettings
from edge_agent.sources.udp_socket import UdpSocket, peer_of
from gateway_core.clock import Clock
from gateway_core.meter import Meter
from gateway_core.units import Address

log = structlog.get_logger()


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
        self._desks: list[Desk] = []

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

    def _desk(self, sock: UdpSocket, tasks: asyncio.TaskGroup) -> Desk:
        return Desk(
            self._settings, sock, tasks, self._ingest, self._clock, self._meter, self._chance
        )
