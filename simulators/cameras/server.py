"""One connection to a simulated device: reads requests, answers RTSP and HTTP alike."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, field
from email.utils import formatdate
from random import Random
from typing import Literal, cast

from gateway_core.clock import NS, Clock
from simulators.cameras import jpeg, login, soap, stream
from simulators.cameras.camera import Auth, Device
from simulators.cameras.listening import Find
from simulators.cameras.truth import Truth

MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024
SLOW_S = 1.0
NO_ANSWER = frozenset({"silent", "dead", "cut_off"})
Disturbance = Literal["cut", "cut_later", "half", "stall"]
"""A connection that is cut at once, at its first request or amid the answer, or never answered."""
DISTURBANCES: tuple[Disturbance, ...] = ("cut", "cut_later", "half", "stall")
_RESET = struct.pack("ii", 1, 0)
_FIRST = re.compile(r"([A-Z_]+) (\S+) (RTSP/1\.0|HTTP/1\.[01])")
_PATH = re.compile(r"(?:rtsp://[^/]+)?/Streaming/Channels/([0-9]{1,4})01(?:/.*)?")
_PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    461: "Unsupported Transport",
    500: "Internal Server Error",
}


@dataclass(slots=True)
class Surroundings:
    """What all connections of a fleet share.

    Attributes:
        clock: Wall clock.
        truth: Is told when an account is locked.
        disturbed: Share of connections that are disturbed.
        dice: Which ones, and how.
        connections: How many were made.
        disturbances: How many of them were disturbed, and how.
    """

    clock: Clock
    truth: Truth
    disturbed: float
    dice: Random
    connections: int = 0
    disturbances: dict[Disturbance, int] = field(default_factory=dict)

    def disturb(self) -> Disturbance | None:
        """Return how a new connection is disturbed; None for not at all."""
        self.connections += 1
        if not self.disturbed or self.dice.random() >= self.disturbed:
            return None
        how = self.dice.choice(DISTURBANCES)
        self.disturbances[how] = self.disturbances.get(how, 0) + 1
        return how


class Connection(asyncio.Protocol):
    """Speaks for a device for as long as the peer stays connected.

    Args:
        find: Tells the device by the address that the peer connected to.
        surroundings: Of the fleet.
    """

    def __init__(self, find: Find, surroundings: Surroundings) -> None:
        self._find = find
        self._around = surroundings
        self._clock = surroundings.clock
        self._disturbed: Disturbance | None = None
        self._device: Device = _NOBODY
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._playing: asyncio.TimerHandle | None = None
        self._is_session = False
        self._channel = 0
        self._frame = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless nobody lives at that address."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        device = self._find(transport.get_extra_info("sockname")[0])
        self._disturbed = self._around.disturb()
        if device is None or device.condition == "offline" or self._disturbed == "cut":
            self.abort()
            return
        self._device = device
        device.connections.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop playing, whatever the reason."""
        del exc
        if self in self._device.connections:
            self._device.connections.remove(self)
        self._device.sessions -= self._is_session
        self._transport = None
        if self._playing is not None:
            self._playing.cancel()

    def abort(self) -> None:
        """Cut the connection: the peer is told of a reset, not of an orderly end."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        if self._device.condition in NO_ANSWER or self._disturbed == "stall":
            return
        if self._device.condition == "resets" or self._disturbed == "cut_later":
            self.abort()
            return
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1").split("\r\n")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:])
            }
            given = headers.get("content-length", "0")
            length = int(given) if re.fullmatch(r"[0-9]{1,6}", given) else MAX_BODY + 1
            if length > MAX_BODY:
                self.abort()
                return
            if len(self._buffer) < end + 4 + length:
                break
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._later(head[0], headers, body)
        if len(self._buffer) > MAX_HEAD + MAX_BODY:
            self.abort()

    def _later(self, first: str, headers: dict[str, str], body: bytes) -> None:
        if self._device.condition == "slow":
            loop = asyncio.get_running_loop()
            loop.call_later(SLOW_S, self._answer, first, headers, body)
        else:
            self._answer(first, headers, body)

    def _answer(self, first: str, headers: dict[str, str], body: bytes) -> None:
        match = _FIRST.fullmatch(first)
        if match is None:
            self._send("RTSP/1.0", 400, {})
        elif match[3] == "RTSP/1.0":
            self._rtsp(match[1], match[2], headers)
        elif match[1] == "POST":
            self._soap(headers, body)
        else:
            self._snapshot(match[2], headers)

    def _send(self, version: str, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        if self._transport is None:
            return
        lines = [f"{version} {status} {_REASONS[status]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or version != "RTSP/1.0":
            lines.append(f"Content-Length: {len(body)}")
        answer = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        if self._disturbed == "half":
            self._transport.write(answer[: len(answer) // 2])
            self._transport.close()
            return
        self._transport.write(answer)

    def _rtsp(self, method: str, url: str, headers: dict[str, str]) -> None:
        device = self._device
        echo = {"CSeq": headers.get("cseq", "0")}
        if not self._is_session:
            self._is_session = True
            device.sessions += 1
        if method == "OPTIONS":
            self._send("RTSP/1.0", 200, {**echo, "Public": _PUBLIC})
            return
        taken = device.condition == "one_session" and device.sessions > 1
        if device.condition == "busy" or taken:
            self._send("RTSP/1.0", 453, echo)
            return
        if device.auth != "none" and not self._logged_in(method, headers, device.auth):
            challenge = login.challenge(device, device.auth)
            self._send("RTSP/1.0", 401, {**echo, "WWW-Authenticate": challenge})
            return
        path = _PATH.fullmatch(url)
        known = path is not None and 1 <= int(path[1]) <= max(1, len(device.feeds))
        if device.condition == "no_stream" or not known:
            self._send("RTSP/1.0", 404, echo)
            return
        self._session(method, url, headers, echo)

    def _session(
        self, method: str, url: str, headers: dict[str, str], echo: dict[str, str]
    ) -> None:
        session = {**echo, "Session": "4711;timeout=60"}
        transport = headers.get("transport", "")
        match method:
            case "DESCRIBE":
                kind = {"Content-Type": "application/sdp", "Content-Base": f"{url}/"}
                self._send("RTSP/1.0", 200, {**echo, **kind}, stream.describe(self._device))
            case "SETUP" if "TCP" not in transport:
                self._send("RTSP/1.0", 461, echo)
            case "SETUP":
                found = re.search(r"interleaved=([0-9]{1,2})", transport)
                self._channel = int(found[1]) if found else 0
                self._send("RTSP/1.0", 200, {**session, "Transport": transport})
            case "PLAY":
                self._send("RTSP/1.0", 200, {**session, "Range": "npt=0.000-"})
                self._play()
            case "GET_PARAMETER" | "TEARDOWN":
                self._send("RTSP/1.0", 200, session)
                if method == "TEARDOWN" and self._playing is not None:
                    self._playing.cancel()
            case _:
                self._send("RTSP/1.0", 405, echo)

    def _play(self) -> None:
        if self._transport is not None:
            if self._device.condition not in NO_ANSWER:
                packets = stream.packets(self._device, self._frame, self._channel)
                self._transport.write(packets)
            self._frame += 1
            loop = asyncio.get_running_loop()
            self._playing = loop.call_later(1 / stream.FRAMES_A_SECOND, self._play)

    def _logged_in(self, method: str, headers: dict[str, str], auth: Auth) -> bool:
        """Whether a request is logged in; one that does not try counts as no wrong login."""
        given = headers.get("authorization", "")
        return bool(given) and self._lets_in(login.accepts(self._device, auth, method, given))

    def _lets_in(self, right: bool) -> bool:  # noqa: FBT001 - it is the one argument
        device, now = self._device, self._clock()
        before = device.locked_until
        let_in = device.lets_in(now, right=right)
        if device.locked_until != before:
            self._around.truth.event("login_locked", feeds=device.feeds)
        return let_in

    def _http(self, status: int, kind: str, body: bytes, **more: str) -> None:
        now = soap.device_clock(self._device, self._clock()) / NS
        headers = {"Date": formatdate(now, usegmt=True), "Content-Type": kind, **more}
        self._send("HTTP/1.1", status, headers, body)

    def _soap(self, headers: dict[str, str], body: bytes) -> None:
        device = self._device
        kind = "application/soap+xml; charset=utf-8"
        name, media2 = soap.operation(body)
        if name not in soap.OPEN:
            allowed = self._may_ask(headers, body)
            if allowed != "yes":
                denial = soap.fault("Sender", "NotAuthorized", "Sender not Authorized")
                wants = {"WWW-Authenticate": login.challenge(device, "md5")}
                more = wants if allowed == "challenge" else {}
                status = 401 if more else 400
                self._http(status, kind, soap.wrap(device, denial), **more)
                return
        answer = soap.answer(device, name, body, media2=media2, clock=self._clock)
        if answer is None:
            answer = soap.fault("Receiver", "ActionNotSupported", "Optional Action Not Implemented")
            self._http(500, kind, soap.wrap(device, answer))
            return
        self._http(200, kind, soap.wrap(device, answer))

    def _may_ask(self, headers: dict[str, str], body: bytes) -> Literal["yes", "challenge", "no"]:
        device = self._device
        if device.soap_auth == "none":
            return "yes"
        if device.soap_auth in {"digest", "both"}:
            if not self._logged_in("POST", headers, "md5"):
                return "challenge"
            if device.soap_auth == "digest":
                return "yes"
        token = soap.token_accepted(device, body, self._clock())
        return "yes" if token is not None and self._lets_in(token) else "no"

    def _snapshot(self, target: str, headers: dict[str, str]) -> None:
        device = self._device
        if not target.startswith("/snapshot.jpg"):
            self._http(404, "text/plain", b"not found\n")
            return
        asks = device.soap_auth in {"digest", "both"}
        if asks and not self._logged_in("GET", headers, "md5"):
            wants = {"WWW-Authenticate": login.challenge(device, "md5")}
            self._http(401, "text/plain", b"", **wants)
            return
        device.pictures += 1
        picture = jpeg.picture(device.condition, device.pictures % jpeg.VARIANTS)
        self._http(200, "image/jpeg", picture)


_NOBODY = Device(
    host="",
    rtsp_port=0,
    onvif_port=0,
    serial="",
    maker=("", ""),
    auth="none",
    soap_auth="none",
    quirk="soap11",
    codec="H264",
    media2=False,
    username="",
    password="",
    condition="dead",
)
"""Who lives at an address that no device has."""
