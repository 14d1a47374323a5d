"""ONVIF calls and snapshots: finds out, once for each device, how it wants to be logged in to.

Four ways exist (none, WS-UsernameToken, HTTP Digest, both). A device is first asked without a
login, which locks nobody out and shows what it wants; the way that worked is remembered, and so are
the SOAP version and the paths that it answers at.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from edge_agent.cameras.address import bracketed
from edge_agent.cameras.challenge import choose
from edge_agent.cameras.exchange import Exchange, OnvifError, Reply, Request
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.names import look_up
from edge_agent.cameras.onvif import DEFAULT_PATHS, Operation, read_http_date
from edge_agent.cameras.onvif_device import Device, Way
from edge_agent.cameras.parse import MAX_BYTES, Document, read_document
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.soap import (
    SoapFault,
    envelope,
    read_fault,
    username_token,
)
from gateway_core.clock import Clock, monotonic
from gateway_core.errors import PayloadError

MAX_SNAPSHOT = 8 * 1024 * 1024
"""Bytes; a 12-megapixel JPEG of a camera is about half of it."""


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

    async def find(self, feed: Feed, device: Device) -> None:
        """Look up where the device is; what another one told us is forgotten.

        Between two calls of this its address does not change, whatever its name says meanwhile.

        Raises:
            OnvifError: ``onvif_unreachable``.
        """
        port = feed.onvif_port or 80
        try:
            found = await look_up(feed.host, port, self._settings.connect_s)
        except (OSError, UnicodeError) as exc:
            raise OnvifError("onvif_unreachable", str(exc) or "no answer of the resolver") from exc
        if device.addresses and not set(found) & set(device.addresses):
            device.paths, device.profiles, device.streams = {}, (), {}
        device.addresses = found

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
        fault, worked = None, False
        while way is not None:
            tried.add(way)
            reply, document = await self._ask(feed, device, operation, way)
            fault = read_fault(document, reply.status) if document is not None else None
            if not _wants_login(reply, fault, known=way == device.way != "none"):
                if way != "none":
                    device.way = way
                    self._logins.accept(feed, "onvif")
                return _answer(operation, reply, document, fault)
            if way != "none" and reply.status == 403:
                break  # it knows us, but not for this: no wrong password
            if way != "none":
                worked = self._logins.refuse(feed, monotonic(), "onvif")
            way = self._next_way(feed, reply, tried)
        if fault is not None and fault.kind == "unclear":
            raise _told(operation, fault)
        raise self._refusal(feed, operation, worked=worked)

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
        reply = await self._send(feed, device, request, feed.credential if logs_in else None)
        if reply.status == 401 and not logs_in and self._may_log_in(feed):
            logs_in = choose(reply.challenges, basic=False) is not None
            if logs_in:
                reply = await self._send(feed, device, request, feed.credential)
        if reply.status == 401:
            worked = logs_in and self._logins.refuse(feed, monotonic(), "onvif")
            raise OnvifError("onvif_limit" if worked else "onvif_auth_failed", "snapshot")
        if reply.status != 200:
            raise OnvifError("onvif_fault", f"snapshot: HTTP {reply.status}")
        return reply.body

    def learn_skew(self, device: Device, device_ns: int | None) -> None:
        """Note a device's clock, read just now; None changes nothing."""
        if device_ns is not None:
            device.skew_ns = device_ns - self._clock()

    def _may_log_in(self, feed: Feed) -> bool:
        permit = self._logins.permit(feed, monotonic(), "onvif")
        return feed.credential is not None and permit == "free"

    def _refusal(self, feed: Feed, operation: Operation, *, worked: bool) -> OnvifError:
        """Say why we were not let in; a login that worked before is not called a wrong one."""
        if feed.credential is None:
            return OnvifError(
                "onvif_auth_failed", f"{operation.name}: wants a login; none is given"
            )
        permit = self._logins.permit(feed, monotonic(), "onvif")
        if worked or permit == "paused":
            detail = f"{operation.name}: refuses a login that worked; its limit or its lock"
            return OnvifError("onvif_limit", detail)
        held = "; no more is tried until the credentials change" if permit == "stopped" else ""
        return OnvifError("onvif_auth_failed", f"{operation.name}: the login is refused{held}")

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
        """Send it; where nobody is at the address that the device gave, at the usual ones."""
        if way != "none" and not self._may_log_in(feed):
            raise self._refusal(feed, operation, worked=False)
        given = operation.path or device.paths.get(operation.service, "")
        paths = [given or DEFAULT_PATHS[operation.service]]
        if not operation.path:
            paths += [DEFAULT_PATHS[operation.service], DEFAULT_PATHS["device"]]
        found = await self._in_either_soap(feed, device, operation, way, paths[0])
        for path in dict.fromkeys(paths[1:]):
            if found[0].status not in {404, 405, 410}:
                break
            if path != paths[0]:
                found = await self._in_either_soap(feed, device, operation, way, path)
                device.paths[operation.service] = path
        return found

    async def _in_either_soap(
        self, feed: Feed, device: Device, operation: Operation, way: Way, path: str
    ) -> tuple[Reply, Document | None]:
        """Send it; to a device that has no word for this SOAP, once more in the other one."""
        asked = device.soap
        reply, document = await self._once(feed, device, operation, way, path)
        if not _speechless(reply, document):
            return reply, document
        device.soap = "1.1" if asked == "1.2" else "1.2"
        second = await self._once(feed, device, operation, way, path)
        if _speechless(*second) or second[1] is None:
            device.soap = asked  # that was not it
            return reply, document
        return second

    async def _once(
        self, feed: Feed, device: Device, operation: Operation, way: Way, path: str
    ) -> tuple[Reply, Document | None]:
        credential = feed.credential if way in {"digest", "both"} else None
        request = self._request(feed, device, operation, way, path)
        reply = await self._send(feed, device, request, credential)
        date = read_http_date(reply.date)
        device.http_skew_ns = None if date is None else date - self._clock()
        try:
            return reply, read_document(reply.body)
        except PayloadError as exc:
            if reply.status != 200 or not reply.body.strip():
                return reply, None
            raise OnvifError("onvif_malformed", f"{operation.name}: {exc}") from exc

    async def _send(
        self, feed: Feed, device: Device, request: Request, credential: Credential | None
    ) -> Reply:
        """Send it to where the device was found, whatever its name means by now."""
        if not device.addresses:
            await self.find(feed, device)
        *first, last = device.addresses
        for address in first:
            try:
                return await self._exchange.send(replace(request, address=address), credential)
            except OnvifError as exc:
                if exc.fault != "onvif_unreachable":
                    raise
                device.addresses = [each for each in device.addresses if each != address]
        return await self._exchange.send(replace(request, address=last), credential)

    def _request(
        self, feed: Feed, device: Device, operation: Operation, way: Way, path: str
    ) -> Request:
        header = operation.header
        if way in {"token", "both"} and feed.credential is not None:
            created = self._clock() + (device.offset_ns or 0)
            header += username_token(feed.credential, created, secrets.token_bytes(16))
        if device.soap == "1.2":
            content_type = f'application/soap+xml; charset=utf-8; action="{operation.action}"'
            headers = {"Content-Type": content_type}
        else:
            content_type = "text/xml; charset=utf-8"
            headers = {"Content-Type": content_type, "SOAPAction": f'"{operation.action}"'}
        return Request(
            method="POST",
            url=f"http://{bracketed(feed.host)}:{feed.onvif_port}{path}",
            limit=MAX_BYTES,
            deadline_s=self._settings.answer_s + operation.waits_s,
            body=envelope(operation.body, header, device.soap),
            headers=headers,
        )


def _wants_login(reply: Reply, fault: SoapFault | None, *, known: bool) -> bool:
    """Whether an answer asks for a login, or for another one.

    Args:
        reply: The answer.
        fault: What was read in it.
        known: The request was logged in to in the way that worked before: then a fault without a
            reason is about something else.
    """
    if fault is None:
        return reply.status in {401, 403}
    return fault.kind == "auth" or (fault.kind == "unclear" and not known)


def _speechless(reply: Reply, document: Document | None) -> bool:
    """Whether a device seems not to know the version of SOAP it was asked in."""
    if document is not None:
        fault = read_fault(document, reply.status)
        return fault is not None and fault.kind == "version"
    if reply.status == 415:
        return True
    return reply.status in {200, 400, 500} and not reply.body.strip()


def _answer(
    operation: Operation, reply: Reply, document: Document | None, fault: SoapFault | None
) -> Document:
    """Return the answer, or say what is there in its place."""
    if fault is not None:
        raise _told(operation, fault)
    if document is not None:
        return document
    busy = reply.status in {429, 503}
    detail = f"{operation.name}: HTTP {reply.status} without an answer"
    raise OnvifError("onvif_limit" if busy else "onvif_malformed", detail)


def _told(operation: Operation, fault: SoapFault) -> OnvifError:
    detail = f"{operation.name}: {'/'.join(fault.codes)} {fault.reason}"
    return OnvifError("onvif_fault", detail, unsupported=fault.kind == "unsupported")
