"""One client's connection under asyncio: moves bytes between a socket and its conversation."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol, cast

from edge_agent.sources.listen.conversation import ClientLoad, Conversation, House
from edge_agent.sources.listen.packets import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_UNSENT = 256 * 1024
"""Bytes that a client may leave unread before nothing more is read from it."""


class Desk(Protocol):
    """What a visit needs of its listener."""

    house: House

    def arrived(self, visit: Visit) -> bool: ...  # noqa: D102  # False: there is no place
    def load(self) -> ClientLoad: ...  # noqa: D102
    def now(self) -> int: ...  # noqa: D102  # nanoseconds since 1970
    def pressed(self) -> bool: ...  # noqa: D102
    def held(self, visit: Visit) -> None: ...  # noqa: D102  # it waits for pressure to go
    def received(self) -> None: ...  # noqa: D102  # something may be in the load
    def asked(self, visit: Visit) -> None: ...  # noqa: D102  # it sent CONNECT
    def confirmed(self, visit: Visit) -> None: ...  # noqa: D102  # it sent PUBACK
    def broke(self, visit: Visit, why: Broken) -> None: ...  # noqa: D102
    def left(self, visit: Visit) -> None: ...  # noqa: D102


class Visit(asyncio.Protocol):
    """One connection.

    Args:
        desk: Of the listener.
        time: The loop's clock, seconds.

    Attributes:
        talk: What is said.
        address: The peer's.
        heard: When it last said something, by the loop's clock.
        since: When it came.
    """

    def __init__(self, desk: Desk, time: Callable[[], float]) -> None:
        self.talk = Conversation(desk.house, self._end)
        self.address = ""
        self.since = self.heard = 0.0
        self._desk = desk
        self._time = time
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._counted = False
        self._stopped = False
        self._clogged = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a place."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self.since = self.heard = self._time()
        self._transport.set_write_buffer_limits(MOST_UNSENT)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._counted = self._desk.arrived(self)
        if not self._counted:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self.heard = self._time()
        self._rest = self._rest + data if self._rest else data
        self._read()

    def pause_writing(self) -> None:
        """Read no more from a client that does not read."""
        self._clogged = True
        self._pace()

    def resume_writing(self) -> None:
        """Read again."""
        self._clogged = False
        self._pace()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        del exc
        self._stopped = True
        self._rest = b""
        self.talk.left(self._desk.now())
        if self._counted:
            self._desk.left(self)

    def peer_name(self) -> str | None:
        """Return the common name of the client's certificate, or None without one."""
        assert self._transport is not None
        found = self._transport.get_extra_info("peercert")
        for relative in (found or {}).get("subject", ()):
            for name, value in relative:
                if name == "commonName":
                    return str(value)
        return None

    def acknowledge(self, data: bytes, count: int) -> None:
        """Send what answers ``count`` messages, which are stored now."""
        self.talk.unacknowledged -= count
        self._send(data)
        if not self._stopped and self._rest:
            self._pace()
            self._read()

    def flush(self) -> None:
        """Send the replies."""
        replies = self.talk.replies
        if replies:
            data = b"".join(replies) if len(replies) > 1 else replies[0]
            replies.clear()
            self._send(data)

    def resume(self) -> None:
        """Go on after `asked` or `held`."""
        self._pace()
        if not self._stopped:
            self._read()

    def close(self, why: Broken) -> None:
        """End the connection, with the reason where the version has words for it."""
        if self._stopped:
            return
        self._desk.broke(self, why)
        self.talk.goodbye(why)
        self._end(self.talk)

    def _read(self) -> None:
        if self._stopped:
            return
        talk, desk = self.talk, self._desk
        if self._waits():
            self._pace()
            return
        try:
            used = talk.read(memoryview(self._rest), desk.load(), desk.now())
        except Broken as why:
            desk.received()
            self.close(why)
            return
        if used:
            self._rest = self._rest[used:]
        self.flush()
        desk.received()
        if talk.confirmed:
            desk.confirmed(self)
        if talk.asked is not None:
            self._pace()
            desk.asked(self)
        elif self._waits():
            self._pace()

    def _waits(self) -> bool:
        """Whether nothing more is read for now; MQTT 3.1.1 has no other Receive Maximum."""
        talk, desk = self.talk, self._desk
        if desk.pressed():
            desk.held(self)
            return True
        return talk.asked is not None or (
            talk.unacknowledged >= desk.house.settings.receive_maximum
            and talk.codec is not None
            and talk.codec.version != "5"
        )

    def _pace(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._clogged or self._stopped or self._waits():
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _send(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self, talk: Conversation) -> None:
        del talk
        self.flush()
        self._stopped = True
        self._rest = b""
        if self._transport is not None:
            self._transport.close()
