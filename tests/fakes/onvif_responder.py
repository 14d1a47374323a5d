"""A device that answers WS-Discovery probes over real UDP, with whatever a test wants it to say."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

SCOPES = (
    "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/Profile/Streaming"
    " onvif://www.onvif.org/name/HIKVISION%20%E5%8D%97%E9%97%A8"
    " onvif://www.onvif.org/hardware/DS-2CD2143G0"
    " onvif://www.onvif.org/location/city/Heze"
)
Answers = Callable[[str, str], Sequence[bytes]]
"""What a device at a host says to the probe with a message id."""


def answer(
    relates_to: str,
    *,
    endpoint: str = "urn:uuid:cea94000-fb96-11b3-8260-686dbc5cb15d",
    types: str = "dn:NetworkVideoTransmitter tds:Device",
    scopes: str = SCOPES,
    addresses: str = "http://10.0.0.7/onvif/device_service",
    matches: int = 1,
) -> bytes:
    """ProbeMatches as devices write them."""
    match = (
        f"<d:ProbeMatch><a:EndpointReference><a:Address>{endpoint}</a:Address>"
        f"</a:EndpointReference><d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes>"
        f"<d:XAddrs>{addresses}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch>"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"'
        ' xmlns:dn="http://www.onvif.org/ver10/network/wsdl"'
        ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl"><e:Header>'
        "<a:MessageID>urn:uuid:4d454930-0000-1000-8000-3a8bd1ed6b46</a:MessageID>"
        f"<a:RelatesTo>{relates_to}</a:RelatesTo>"
        "<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>"
        "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action>"
        '<d:AppSequence InstanceId="1" MessageNumber="1"/></e:Header><e:Body>'
        f"<d:ProbeMatches>{match * matches}</d:ProbeMatches></e:Body></e:Envelope>"
    ).encode()


def camera(host: str, relates_to: str) -> Sequence[bytes]:
    """What an honest camera says."""
    shown = f"[{host}]" if ":" in host else host
    return [answer(relates_to, addresses=f"http://{shown}:8000/onvif/device_service")]


class _Device(asyncio.DatagramProtocol):
    def __init__(self, host: str, answers: Answers) -> None:
        self._host, self._answers = host, answers
        self.probes: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.probes.append(data)
        found = re.search(rb"<a:MessageID>([^<]+)<", data)
        if found is not None:
            for each in self._answers(self._host, found[1].decode()):
                self._transport.sendto(each, addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def responding(
    port: int, answers: Answers = camera, *hosts: str
) -> AsyncIterator[list[_Device]]:
    """Devices that listen on a port of each host."""
    loop, devices, transports = asyncio.get_running_loop(), [], []
    for host in hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        transport, device = await loop.create_datagram_endpoint(
            lambda host=host: _Device(host, answers),  # type: ignore[misc]
            local_addr=(host, port),
            family=family,
        )
        devices.append(device)
        transports.append(transport)
    try:
        yield devices
    finally:
        for transport in transports:
            transport.close()
