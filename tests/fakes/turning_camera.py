"""An ONVIF device that turns and remembers positions: what it was asked, and nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Self

from aiohttp import web

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.inventory import Feed

_SPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tt="http://www.onvif.org/ver10/schema"'
    ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl"'
    ' xmlns:trt="http://www.onvif.org/ver10/media/wsdl"'
    ' xmlns:tptz="http://www.onvif.org/ver20/ptz/wsdl"'
)
_TIME = (
    "<tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
    "<tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime><tt:Time><tt:Hour>{0.hour}</tt:Hour>"
    "<tt:Minute>{0.minute}</tt:Minute><tt:Second>{0.second}</tt:Second></tt:Time><tt:Date>"
    "<tt:Year>{0.year}</tt:Year><tt:Month>{0.month}</tt:Month><tt:Day>{0.day}</tt:Day></tt:Date>"
    "</tt:UTCDateTime></tds:SystemDateAndTime>"
)
_FAULT = (
    f'<s:Envelope {_SPACES} xmlns:ter="http://www.onvif.org/ver10/error"><s:Body><s:Fault><s:Code>'
    "<s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:InvalidArgVal</s:Value><s:Subcode><s:Value>"
    "ter:TimeoutNotSupported</s:Value></s:Subcode></s:Subcode></s:Code><s:Reason>"
    '<s:Text xml:lang="en">Timeout not supported</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>'
)
_PROFILES = (
    '<trt:Profiles token="fixed"><tt:Name>Fixed</tt:Name></trt:Profiles>'
    '<trt:Profiles token="turns"><tt:Name>Turns</tt:Name><tt:PTZConfiguration token="c1">'
    "<tt:Name>c1</tt:Name><tt:UseCount>1</tt:UseCount><tt:NodeToken>n1</tt:NodeToken>"
    "</tt:PTZConfiguration></trt:Profiles>"
)


class TurningCamera:
    """Listens on a free port.

    Args:
        presets: Token to name of the positions that it remembers.
        stops: Whether it takes a stop.
        ends: Whether it takes a time after which it stops by itself.

    Attributes:
        asked: Operation and profile, and the preset, of each request to turn.
        timeouts: Times after which it was to stop by itself; empty where there was none.
    """

    def __init__(self, presets: dict[str, str], *, stops: bool = True, ends: bool = True) -> None:
        self._stops = stops
        self._ends = ends
        self.timeouts: list[str] = []
        self.asked: list[tuple[str, ...]] = []
        self._presets = presets
        self._url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self._url = f"http://127.0.0.1:{self.port}/onvif"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def feed(self) -> Feed:
        """Its feed."""
        address = RtspAddress("rtsp://127.0.0.1:554/live", "127.0.0.1", 554)
        return Feed("dome", "127.0.0.1", address, onvif_port=self.port)

    async def _answer(self, request: web.Request) -> web.Response:
        text = await request.text()
        found = re.search(r"Body[^>]*>\s*<(?:\w+:)?(\w+)", text)
        name = found[1] if found else ""
        prefix, body = self._said(name, text)
        if name == "Stop" and not self._stops:
            return web.Response(status=500, text="busy")
        if name == "ContinuousMove":
            self.timeouts.append("".join(re.findall(r"Timeout>([^<]+)<", text)))
            if self.timeouts[-1] and not self._ends:
                return web.Response(status=400, text=_FAULT, content_type="application/soap+xml")
        answer = f"<{prefix}:{name}Response>{body}</{prefix}:{name}Response>"
        envelope = f"<s:Envelope {_SPACES}><s:Body>{answer}</s:Body></s:Envelope>"
        return web.Response(text=envelope, content_type="application/soap+xml")

    def _said(self, name: str, text: str) -> tuple[str, str]:
        if name == "GetSystemDateAndTime":
            return "tds", _TIME.format(datetime.now(UTC))
        if name == "GetCapabilities":
            kinds = ("Device", "Media", "PTZ")
            parts = "".join(f"<tt:{k}><tt:XAddr>{self._url}</tt:XAddr></tt:{k}>" for k in kinds)
            return "tds", f"<tds:Capabilities>{parts}</tds:Capabilities>"
        if name == "GetServices":
            return "tds", ""
        if name == "GetProfiles":
            return "trt", _PROFILES
        tokens = re.findall(r"(?:Profile|Preset)Token>([^<]+)<", text)
        self.asked.append((name, *tokens))
        if name != "GetPresets":
            return "tptz", ""
        return "tptz", "".join(
            f'<tptz:Preset token="{token}"><tt:Name>{known}</tt:Name></tptz:Preset>'
            for token, known in self._presets.items()
        )
