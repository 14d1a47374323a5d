"""ONVIF calls and snapshots: finds out, once for each device, how it wants to be logged in to.

Four ways exist (none, WS-UsernameToken, HTTP Digest, both). A device is first asked without a
login, which locks nobody out and shows what it wants; the way that worked is remembered.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.cameras.address import bracketed
from edge_agent.cameras.challenge import choose
from edge_agent.cameras.exchange import Exchange, OnvifError, Reply, Request
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif import DEFAULT_PATHS, Operation, Profile, Service, read_http_date
from edge_agent.cameras.parse import MAX_BYTES, Document, read_document
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.soap import SoapVersion, envelope, read_fault, username_token
from gateway_core.clock import Clock, monotonic
from gateway_core.errors import PayloadError

MAX_SNAPSHOT = 8 * 1024 * 1024
"""Bytes; a 12-megapixel JPEG of a camera is about half of it."""

Way = Literal["none", "token", "digest", "both"]


@dataclass(slots=True)
class Device:
    """What has been learned about one ONVIF device; kept between checks.

    Attributes:
        way: How it wants to be logged in to.
        soap: Which SOAP it answers.
        skew_ns: Its clock minus ours; None until it is known.
        paths: Path of each service.
        identity: Manufacturer, model, firmware and serial number; empty until known.
        media: Which media service its profiles come from.
        profiles: As last read.
        streams: Profile token to the path and query of its stream.
    """

    way: Way = "none"
    soap: SoapVersion = "1.2"
    skew_ns: int | None = None
    paths: dict[Service, str] = field(default_factory=dict)
    identity: str = ""
    media: Service = "media"
    profiles: tuple[Profile, ...] = ()
    streams: dict[str, str] = field(default_factory=dict)


class OnvifClient:
    """Asks devices; one client serves all of them.

    Args:
        exchange: HTTP.
        logins: The guard, shared with the RTSP checks: it is the same account.
        clock: Wall clock.
        settings: For the deadlines.
    """

    def __init__(
        self, exchange: Exchange, logins: Logins, clock: Clock, settings: PatrolSettings
    ) -> None:
        self._exchange = exchange
        self._logins = logins
        self._clock = clock
        self._settings = settings

    async def call(
        self, feed: Feed, device: Device, operation: Operation, *, anonymous: bool = False
    ) -> Document:
        """Ask one thing, logging in as far as the device wants it, and return its answer.

        Args:
            feed: Whose host, port and credential.
            device: What is known about it; brought up to date.
            operation: What to ask.
            anonymous: First try without a login, even where one is known to work.

        Raises:
            OnvifError: The device does not answer, refuses, or does not make sense.
        """
        tried: set[Way] = set()
        way: Way | None = "none" if anonymous else device.way
        while way is not None:
            tried.add(way)
            reply, document = await self._ask(feed, device, operation, way)
            fault = read_fault(document, reply.status) if document is not None else None
            if reply.status != 401 and (fault is None or fault.kind != "auth"):
                if way != "none":
                    device.way = way
                    self._logins.accept(feed)
                if fault is not None:
                    detail = f"{operation.name}: {'/'.join(fault.codes)} {fault.reason}"
                    raise OnvifError("onvif_fault", detail, unsupported=fault.kind == "unsupported")
                if document is None:
                    raise OnvifError("onvif_malformed", f"{operation.name}: HTTP {reply.status}")
                return document
            if device.skew_ns is None:
                self.learn_skew(device, read_http_date(reply.date))
            if way != "none":
                self._logins.refuse(feed, monotonic())
            way = self._next_way(feed, reply, tried)
        raise OnvifError("onvif_auth_failed", operation.name)

    async def snapshot(self, feed: Feed, device: Device, url: str) -> bytes:
        """Fetch a still picture.

        Args:
            feed: Whose; ``url`` must point to its host.
            device: What is known about it.
            url: From `onvif.repair_http`.

        Returns:
            The body as it came, at most `MAX_SNAPSHOT` bytes.

        Raises:
            OnvifError: There is no picture to be had.
        """
        request = Request("GET", url, MAX_SNAPSHOT, self._settings.snapshot_s)
        logs_in = device.way in {"digest", "both"} and self._may_log_in(feed)
        reply = await self._exchange.send(request, feed.credential if logs_in else None)
        if reply.status == 401 and not logs_in and self._may_log_in(feed):
            logs_in = choose(reply.challenges, basic=False) is not None
            reply = await self._exchange.send(request, feed.credential) if logs_in else reply
        if reply.status == 401:
            if logs_in:
                self._logins.refuse(feed, monotonic())
            raise OnvifError("onvif_auth_failed", "snapshot")
        if reply.status != 200:
            raise OnvifError("onvif_fault", f"snapshot: HTTP {reply.status}")
        return reply.body

    def learn_skew(self, device: Device, device_ns: int | None) -> None:
        """Note a device's clock, read just now; None changes nothing."""
        if device_ns is not None:
            device.skew_ns = device_ns - self._clock()

    def _may_log_in(self, feed: Feed) -> bool:
        return feed.credential is not None and self._logins.permit(feed, monotonic()) == "free"

    def _next_way(self, feed: Feed, reply: Reply, tried: set[Way]) -> Way | None:
        if not self._may_log_in(feed):
            return None
        order: tuple[Way, ...] = ("token",)  # also where only Basic is offered
        if choose(reply.challenges, basic=False) is not None:
            order = ("digest", "both", "token")
        elif "digest" in tried and reply.status != 401:
            order = ("both",)  # HTTP let us in, SOAP did not
        return next((way for way in order if way not in tried), None)

    async def _ask(
        self, feed: Feed, device: Device, operation: Operation, way: Way
    ) -> tuple[Reply, Document | None]:
        """Send it; to a device that has no word for SOAP 1.2, once more as SOAP 1.1."""
        credential = feed.credential if way in {"digest", "both"} else None
        if way != "none" and not self._may_log_in(feed):
            raise OnvifError("onvif_auth_failed", "the login is held after refusals")
        reply = await self._exchange.send(self._request(feed, device, operation, way), credential)
        dumb = reply.status == 415 or (reply.status == 200 and not reply.body.strip())
        if dumb and device.soap == "1.2":
            device.soap = "1.1"
            request = self._request(feed, device, operation, way)
            reply = await self._exchange.send(request, credential)
        try:
            return reply, read_document(reply.body)
        except PayloadError as exc:
            if reply.status != 200:
                return reply, None
            raise OnvifError("onvif_malformed", f"{operation.name}: {exc}") from exc

    def _request(self, feed: Feed, device: Device, operation: Operation, way: Way) -> Request:
        security = ""
        if way in {"token", "both"} and feed.credential is not None:
            created = self._clock() + (device.skew_ns or 0)
            security = username_token(feed.credential, created, secrets.token_bytes(16))
        if device.soap == "1.2":
            content_type = f'application/soap+xml; charset=utf-8; action="{operation.action}"'
            headers = {"Content-Type": content_type}
        else:
            content_type = "text/xml; charset=utf-8"
            headers = {"Content-Type": content_type, "SOAPAction": f'"{operation.action}"'}
        path = device.paths.get(operation.service) or DEFAULT_PATHS[operation.service]
        return Request(
            method="POST",
            url=f"http://{bracketed(feed.host)}:{feed.onvif_port}{path}",
            limit=MAX_BYTES,
            deadline_s=self._settings.answer_s,
            body=envelope(operation.body, security, device.soap),
            headers=headers,
        )
