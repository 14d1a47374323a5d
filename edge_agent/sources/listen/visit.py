"""One client's connection under asyncio: moves bytes between a socket and its conversation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

from edge_agent.sources.listen.conversation import Conversation
from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.inbox import ClientLoad
from edge_agent.sources.listen.packets import QUOTA_EXCEEDED, Broken

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_UNSENT = 256 * 1024
"""Bytes that a client may leave unread before nothing more is read from it."""

SMALL = 4096
"""Bytes of a packet that has not come whole yet which every client may have here at any time."""


class Desk(Protocol):
    """What a visit needs of its listener."""

    house: House

    def place(self, address: str) -> bool: ...  # noqa: D102  # False: there is none
    def give_back(self, address: str) -> None: ...  # noqa: D102
    def arrived(self, visit: Visit) -> None: ...  # noqa: D102
    def load(self) -> ClientLoad: ...  # noqa: D102
    def now(self) -> int: ...  # noqa: D102  # nanoseconds since 1970
    def pressed(self) -> bool: ...  # noqa: D102
    def held(self, visit: Visit) -> None: ...  # noqa: D102  # it waits for pressure to go
    def received(self) -> None: ...  # noqa: D102  # something may be in the load
    def asked(self, visit: Visit) -> None: ...  # noqa: D102  # it sent CONNECT
    def confirmed(self, visit: Visit) -> None: ...  # noqa: D102  # it sent PUBACK
    def keeps(self, change: int) -> bool: ...  # noqa: D102  # unread bytes; False: too many in all
    def broke(self, visit: Visit, why: Broken) -> None: ...  # noqa: D102
    def left(self, visit: Visit) -> None: ...  # noqa: D102


class Visit(asyncio.Protocol):
    """One connection.

    Args:
        desk: Of the listener.
        time: The loop's clock, seconds.
        placed: Whether it was given a place already.

    Attributes:
        talk: What is said.
        address: The peer's; empty before it came.
        heard: When it last said something, by the loop's clock.
        since: When it came.
        ended: When it was told to end; 0 before.
        login: The name that it logged in with, or empty.
    """

    def __init__(self, desk: Desk, time: Callable[[], float], *, placed: bool = False) -> None:
        self.talk = Conversation(desk.house, self._end)
        self.address = ""
        self.login = ""
        self.since = self.heard = self.ended = 0.0
        self._desk = desk
        self._time = time
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._kept = 0
        self._paused = False
        self._placed = placed
        self._stopped = False
        self._clogged = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a place."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else "?"
        self.since = self.heard = self._time()
        self._transport.set_write_buffer_limits(MOST_UNSENT)
        self._placed = self._placed or self._desk.place(self.address)
        if self._placed:
            self._desk.arrived(self)
        else:
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
        self._keep(b"")
        self.talk.left(self._desk.now())
        if self._placed:
            self._desk.left(self)
        self._transport = None  # it knows this visit: both would wait for the garbage collector

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
        self.talk.acknowledged(count)
        self._send(data)
        if self._paused or self._rest:
            self.resume()

    def flush(self) -> None:
        """Send the replies."""
        replies = self.talk.replies
        if replies:
            data = b"".join(replies) if len(replies) > 1 else replies[0]
            replies.clear()
            self._send(data)

    def resume(self) -> None:
        """Go on after a pause."""
        self._pace()
        if self._rest:
            self._read()

    def silence(self, now: float) -> float:
        """Return for how many seconds it said nothing although it was listened to."""
        return 0.0 if self._paused and not self._clogged else now - self.heard

    def abort(self) -> None:
        """End the connection at once, whatever its client has not read."""
        if self._transport is not None:
            self._transport.abort()

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
            self._keep(self._rest)
            self._pace()
            return
        try:
            used = talk.read(self._rest, desk.load(), desk.now())
        except Broken as why:
            desk.received()
            self.close(why)
            return
        self.flush()
        desk.received()
        if talk.confirmed:
            desk.confirmed(self)
        self._keep(self._rest[used:])
        if self.ended:
            return
        if talk.asked is not None:
            self._pace()
            desk.asked(self)
        elif self._waits():
            self._pace()

    def _waits(self) -> bool:
        """Whether nothing more is read for now; a CONNECT is, it needs no disk."""
        talk, desk = self.talk, self._desk
        if talk.client and desk.pressed() and not talk.refuses:
            desk.held(self)
            return True
        return talk.asked is not None or talk.full

    def _pace(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        pause = self._clogged or self._stopped or self._waits()
        if pause and not self._paused:
            self._transport.pause_reading()
        elif self._paused and not pause:
            self.heard = self._time()
            self._transport.resume_reading()
        self._paused = pause

    def _keep(self, rest: bytes) -> None:
        """Hold what is not read yet, unless all clients together have too much of it here."""
        self._rest = rest
        change, self._kept = len(rest) - self._kept, len(rest)
        if change and not self._desk.keeps(change) and change > 0 and self._kept > SMALL:
            self.close(Broken(QUOTA_EXCEEDED, "too much that is not whole yet"))

    def _send(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self, talk: Conversation) -> None:
        del talk
        self.flush()
        self._stopped = True
        self.ended = self._time()
        self._keep(b"")
        if self._transport is not None:
            self._transport.close()
