"""An ONVIF device with a stream and an event service: subscriptions that end, long polls, properties."""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.inventory import Feed
from simulators.cameras import soap
from tests.fakes.hostile import http, request
from tests.fakes.onvif_answers import INFORMATION, NOBODY

DARK = "tns1:VideoSource/ImageTooDark/ImagingService"
LOSS = "tns1:VideoSource/SignalLoss"
SCENE = "tns1:VideoSource/GlobalSceneChange/AnalyticsService/."
_SPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tt="http://www.onvif.org/ver10/schema"'
    ' xmlns:tev="http://www.onvif.org/ver10/events/wsdl" xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"'
    ' xmlns:wsa="http://www.w3.org/2005/08/addressing" xmlns:trt="http://www.onvif.org/ver10/media/wsdl"'
    ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:tns1="http://www.onvif.org/ver10/topics"'
)
_FAULT = (
    "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>ter:{code}</s:Value></s:Subcode>"
    '</s:Code><s:Reason><s:Text xml:lang="en">no</s:Text></s:Reason></s:Fault>'
)
_SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"


@dataclass(slots=True)
class _PullPoint:
    ends: datetime
    waiting: list[str] = field(default_factory=list)
    filled: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, message: str) -> None:
        self.waiting.append(message)
        self.filled.set()


@dataclass(slots=True)
class Traits:
    """How a device differs from the specification.

    Attributes:
        channels: Video sources.
        lives_s: How long a subscription lives.
        renews: Whether Renew is known.
        term: Which form of a termination time is taken: ``relative``, ``absolute`` or ``none``.
        chokes: Whether a WS-Addressing header is refused.
        wants_parameters: Whether the reference parameters must come back in the header.
        most: Subscriptions at once.
        closes: Whether it hangs up instead of answering that there is nothing.
        initialises: Whether a new subscription is told the properties that there are.
        refuses: Whether there are no pull points at all, whatever GetServices says.
    """

    channels: int = 1
    lives_s: float = 60.0
    renews: bool = True
    term: str = "relative"
    chokes: bool = False
    wants_parameters: bool = False
    most: int = 4
    closes: bool = False
    initialises: bool = True
    refuses: bool = False


class EventCamera:
    """Listens on a free port for RTSP and ONVIF, like a device behind one address translation."""

    def __init__(self, traits: Traits | None = None, host: str = "127.0.0.1") -> None:
        self.traits = traits or Traits()
        self.host = host
        self.port = 0
        self.asked: list[str] = []
        self.pulling = self.most_pulling = 0
        self._points: dict[str, _PullPoint] = {}
        self._properties: dict[tuple[str, str], str] = {}
        self._numbers = itertools.count(1)
        self.changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def subscriptions(self) -> int:
        """How many live."""
        now = datetime.now(UTC)
        return sum(point.ends > now for point in self._points.values())

    def feed(self, channel: int = 1) -> Feed:
        """A feed of one channel."""
        url = f"rtsp://{self.host}:{self.port}/live/{channel}"
        address = RtspAddress(url, self.host, self.port)
        return Feed(f"gate-{channel}", self.host, address, onvif_port=self.port)

    def tell(self, topic: str, source: str = "vs1", *, on: bool, item: str = "State") -> None:
        """Change a property, or make it."""
        change = "Changed" if (topic, source) in self._properties else "Initialized"
        self._properties[topic, source] = message(
            topic, source, f"{on}".lower(), "Initialized", item
        )
        self._put(message(topic, source, f"{on}".lower(), change, item))

    def mention(self, topic: str, source: str, value: str, item: str) -> None:
        """Tell something in passing, as no property."""
        self._put(message(topic, source, value, "", item))

    def delete(self, topic: str, source: str = "vs1") -> None:
        """Take a property away."""
        del self._properties[topic, source]
        self._put(message(topic, source, "true", "Deleted", "State"))

    def reboot(self) -> None:
        """Forget all subscriptions and properties."""
        self._points.clear()
        self._properties.clear()

    async def until(self, count: int, name: str) -> None:
        """Wait until an operation was asked for so many times."""
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: self.asked.count(name) >= count)

    def _put(self, text: str) -> None:
        for point in self._points.values():
            point.put(text)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head, body = await request(reader)
                if b" RTSP/1.0\r\n" in head:
                    writer.write(_rtsp(head))
                    continue
                answer = await self._answer(head, body)
                if not answer:
                    break
                writer.write(answer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other end, or the test, is through
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes) -> bytes:
        name, _ = soap.operation(body)
        self.asked.append(name)
        async with self.changed:
            self.changed.notify_all()
        path = head.split(b" ")[1].decode()
        if name in {"PullMessages", "Renew", "Unsubscribe", "SetSynchronizationPoint"}:
            return await self._manage(name, path, body)
        if name == "CreatePullPointSubscription":
            return self._create(body)
        if name == "GetStreamUri":
            channel = body.partition(b"ProfileToken>p")[2].partition(b"<")[0].decode()
            return _answered(f"<tt:Uri>rtsp://192.168.1.64/live/{channel}</tt:Uri>")
        text = self._tells().get(name)
        return _answered(text) if text else NOBODY

    def _tells(self) -> dict[str, str]:
        at = datetime.now(UTC)
        return {
            "GetDeviceInformation": INFORMATION,
            "GetSystemDateAndTime": f"<tt:UTCDateTime><tt:Time><tt:Hour>{at.hour}</tt:Hour><tt:Minute>"
            f"{at.minute}</tt:Minute><tt:Second>{at.second}</tt:Second></tt:Time><tt:Date><tt:Year>{at.year}"
            f"</tt:Year><tt:Month>{at.month}</tt:Month><tt:Day>{at.day}</tt:Day></tt:Date></tt:UTCDateTime>",
            "GetServices": "<tds:GetServicesResponse>"
            + "".join(
                f"<tds:Service><tds:Namespace>http://www.onvif.org/ver10/{each}/wsdl</tds:Namespace>"
                f"<tds:XAddr>http://192.168.1.64/onvif/{each}_service</tds:XAddr>"
                "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
                for each in ("device", "media", "events")
            )
            + "</tds:GetServicesResponse>",
            "GetProfiles": "<trt:GetProfilesResponse>"
            + "".join(
                f'<trt:Profiles token="p{n}"><tt:VideoSourceConfiguration token="vsc{n}"><tt:SourceToken>'
                f"vs{n}</tt:SourceToken></tt:VideoSourceConfiguration></trt:Profiles>"
                for n in range(1, self.traits.channels + 1)
            )
            + "</trt:GetProfilesResponse>",
        }

    def _create(self, body: bytes) -> bytes:
        traits = self.traits
        found = re.search(rb"TerminationTime>(PT)?", body)
        form = "none" if found is None else "relative" if found[1] else "absolute"
        if traits.refuses or self.subscriptions >= traits.most:
            return _answered(_FAULT.format(code="MaxPullPoints"), 500)
        if form != traits.term:
            return _answered(_FAULT.format(code="InvalidArgVal"), 400)
        number = str(next(self._numbers))
        now = datetime.now(UTC)
        point = self._points[number] = _PullPoint(now + timedelta(seconds=traits.lives_s))
        if traits.initialises:
            for text in self._properties.values():
                point.put(text)
        return _answered(
            "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa:Address>"
            f"http://192.168.1.64/onvif/Subscription?Idx={number}</wsa:Address><wsa:ReferenceParameters>"
            f'<dom0:Key xmlns:dom0="http://www.axis.com/2009/event">k&amp;{number}</dom0:Key>'
            f"</wsa:ReferenceParameters></tev:SubscriptionReference>{_times(point)}"
            "</tev:CreatePullPointSubscriptionResponse>"
        )

    async def _manage(self, name: str, path: str, body: bytes) -> bytes:
        number = path.rpartition("Idx=")[2]
        point = self._points.get(number)
        traits = self.traits
        wrong = traits.wants_parameters and f">k&amp;{number}<".encode() not in body
        if wrong or (traits.chokes and b":Action " in body):
            return _answered(_FAULT.format(code="InvalidArgVal"), 400)
        if (
            point is None
            or point.ends <= datetime.now(UTC)
            or (name == "Renew" and not traits.renews)
        ):
            return _answered(_FAULT.format(code="ResourceUnknownFault"), 400)
        if name == "Unsubscribe":
            del self._points[number]
            return _answered("<wsnt:UnsubscribeResponse/>")
        if name == "Renew":
            point.ends = datetime.now(UTC) + timedelta(seconds=traits.lives_s)
            return _answered(f"<wsnt:RenewResponse>{_times(point)}</wsnt:RenewResponse>")
        if name == "SetSynchronizationPoint":
            return NOBODY
        return await self._pull(point, body)

    async def _pull(self, point: _PullPoint, body: bytes) -> bytes:
        found = re.search(rb"Timeout>PT([0-9]+)S<", body)
        self.pulling += 1
        self.most_pulling = max(self.most_pulling, self.pulling)
        try:
            async with asyncio.timeout(int(found[1]) if found else 1):
                await point.filled.wait()
        except TimeoutError:
            if self.traits.closes:
                return b""
        finally:
            self.pulling -= 1
        told, point.waiting = "".join(point.waiting), []
        point.filled.clear()
        return _answered(
            f"<tev:PullMessagesResponse>{_times(point)}{told}</tev:PullMessagesResponse>"
        )


def message(topic: str, source: str, value: str, change: str, item: str) -> str:
    """One notification, as a device writes it."""
    operation = f' PropertyOperation="{change}"' if change else ""
    return (
        "<wsnt:NotificationMessage><wsnt:Topic"
        ' Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">'
        f'{topic}</wsnt:Topic><wsnt:Message><tt:Message UtcTime="2026-11-23T10:00:00Z"{operation}>'
        f'<tt:Source><tt:SimpleItem Name="VideoSourceToken" Value="{source}"/></tt:Source>'
        f'<tt:Data><tt:SimpleItem Name="{item}" Value="{value}"/></tt:Data></tt:Message></wsnt:Message>'
        "</wsnt:NotificationMessage>"
    )


def _times(point: _PullPoint) -> str:
    now, ends = (f"{at:%Y-%m-%dT%H:%M:%S}Z" for at in (datetime.now(UTC), point.ends))
    return f"<wsnt:CurrentTime>{now}</wsnt:CurrentTime><wsnt:TerminationTime>{ends}</wsnt:TerminationTime>"


def _answered(body: str, status: int = 200) -> bytes:
    text = f'<?xml version="1.0"?><s:Envelope {_SPACES}><s:Body>{body}</s:Body></s:Envelope>'
    return http(status, text.encode())


def _rtsp(head: bytes) -> bytes:
    cseq = head.partition(b"CSeq: ")[2].partition(b"\r\n")[0]
    body = _SDP if head.startswith(b"DESCRIBE") else b""
    return b"RTSP/1.0 200 OK\r\nCSeq: %s\r\nContent-Length: %d\r\n\r\n%s" % (cseq, len(body), body)
