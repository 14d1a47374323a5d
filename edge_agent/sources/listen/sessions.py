"""The sessions of an MQTT listener: who is connected, who may come back, what each may hear. Pure.

A session outlives its connection for as long as its client asked for. Its subscriptions are spool
state; they are stored with the next messages, since before those nothing depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from edge_agent.sources.listen.memory import Mark, Memory
from edge_agent.sources.listen.packets import Connect, Will
from gateway_core.clock import NS

MOST_SUBSCRIPTIONS = 32
FOREVER_S = 0xFFFFFFFF


class Line(Protocol):
    """One live connection."""

    def take_over(self) -> None:
        """End: the client is connected anew."""


class _Saved(msgspec.Struct, array_like=True):
    """A session in the spool's state."""

    client: str
    expiry_s: int
    filters: dict[str, int]


@dataclass(slots=True, eq=False)
class Session:
    """One client's session.

    Attributes:
        number: For the memory of what was committed; never used for another client.
        client: The client id.
        expiry_s: Seconds that it outlives its connection.
        filters: Subscriptions: pattern to QoS.
        line: Its connection, or None.
        ended: When the last connection ended, nanoseconds since 1970.
        will: What to take in when the connection has ended without a word, or None.
        will_at: When, nanoseconds since 1970.
    """

    number: int
    client: str
    expiry_s: int = 0
    filters: dict[str, int] = field(default_factory=dict)
    line: Line | None = None
    ended: int = 0
    will: Will | None = None
    will_at: int = 0

    @property
    def lasting(self) -> bool:
        """Whether it outlives its connection."""
        return self.expiry_s > 0


class Sessions:
    """All sessions of one listener.

    Args:
        prefix: Of their keys in the spool's state.
        window: Messages of a session that can come again: Receive Maximum.
        most: Sessions at a time; the one that ended first makes room.
        saved: The spool's state under ``prefix``.
        now: Nanoseconds since 1970: sessions of the last run count as ended then.
    """

    def __init__(
        self, prefix: str, window: int, most: int, saved: Mapping[str, bytes], now: int
    ) -> None:
        self._prefix = prefix
        self._most = most
        self._memory = Memory(f"{prefix}m/", window, saved)
        self._sessions: dict[str, Session] = {}
        self._changes: dict[str, bytes | None] = {}
        self._last = max(self._memory.numbers, default=0)
        for key, value in saved.items():
            number = key.removeprefix(f"{prefix}s/")
            if key.startswith(f"{prefix}s/") and number.isdigit():
                self._recall(int(number), value, now)
        known = {session.number for session in self._sessions.values()}
        self._memory.forget(set(self._memory.numbers) - known)

    def __len__(self) -> int:
        """Sessions, connected or not."""
        return len(self._sessions)

    def get(self, client: str) -> Session | None:
        """Return a client's session."""
        return self._sessions.get(client)

    def listeners(self) -> list[Session]:
        """Return the sessions that subscribe to something."""
        return [session for session in self._sessions.values() if session.filters]

    def open(self, connect: Connect, client: str, line: Line) -> tuple[Session, bool]:
        """Return the session of a new connection, and whether it was there before.

        An older connection of the client is ended (MQTT 5.0 section 3.1.4).
        """
        session = self._sessions.get(client)
        if session is not None and session.line is not None:
            session.line.take_over()
        present = session is not None and session.lasting and not connect.clean
        if session is None or not present:
            if session is not None:
                self._drop(session)
            self._make_room()
            self._last += 1
            session = self._sessions[client] = Session(self._last, client)
        session.line = line
        session.will = None
        session.expiry_s = connect.expiry_s
        self._keep(session)
        return session, present

    def close(self, session: Session, line: Line, now: int, will: Will | None) -> None:
        """Note that a connection has ended; ``will`` is what its client left behind, or None."""
        if session.line is not line:
            return  # it was taken over
        session.line = None
        session.ended = now
        if will is not None:
            session.will = will
            session.will_at = now + min(will.delay_s, session.expiry_s) * NS
        elif not session.lasting:
            self._drop(session)

    def due(self, now: int) -> list[tuple[Session, Will]]:
        """Return the wills whose time has come, and end the sessions whose time is over."""
        found: list[tuple[Session, Will]] = []
        for session in [each for each in self._sessions.values() if each.line is None]:
            if session.will is not None and now >= session.will_at:
                found.append((session, session.will))
                session.will = None
            over = session.expiry_s != FOREVER_S and now >= session.ended + session.expiry_s * NS
            if over and session.will is None:
                self._drop(session)
        return found

    def subscribe(self, session: Session, pattern: str, qos: int) -> bool:
        """Enter a subscription; False when the session has too many."""
        if pattern not in session.filters and len(session.filters) >= MOST_SUBSCRIPTIONS:
            return False
        session.filters[pattern] = qos
        self._keep(session)
        return True

    def unsubscribe(self, session: Session, pattern: str) -> bool:
        """Take a subscription out; False where there was none."""
        found = session.filters.pop(pattern, None) is not None
        self._keep(session)
        return found

    def recognises(self, session: Session, packet_id: int, crc: int) -> bool:
        """Return whether a message with DUP set was committed, or is about to be."""
        return self._memory.recognises(session.number, packet_id, crc)

    def release(self, session: Session, packet_id: int) -> None:
        """Let go of a packet id after PUBREL."""
        self._memory.release(session.number, packet_id)

    def enter(self, marks: Sequence[Mark], *, settled: bool) -> Mapping[str, bytes | None]:
        """Return the state to store with messages; see `memory.Memory.enter`."""
        changes, self._changes = self._changes, {}
        return {**changes, **self._memory.enter(marks, settled=settled)}

    def stored(self, state: Mapping[str, bytes | None]) -> None:
        """Note that a commit has happened."""
        self._memory.stored(state)

    def _keep(self, session: Session) -> None:
        saved = _Saved(session.client, session.expiry_s, session.filters)
        self._changes[self._key(session)] = (
            msgspec.msgpack.encode(saved) if session.lasting else None
        )

    def _drop(self, session: Session) -> None:
        self._sessions.pop(session.client, None)
        self._memory.forget([session.number])
        self._changes[self._key(session)] = None

    def _make_room(self) -> None:
        if len(self._sessions) >= self._most:
            ended = [each for each in self._sessions.values() if each.line is None]
            if ended:
                self._drop(min(ended, key=lambda each: each.ended))

    def _recall(self, number: int, value: bytes, now: int) -> None:
        try:
            saved = msgspec.msgpack.decode(value, type=_Saved)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # a bad disk: the client begins a new session
        self._last = max(self._last, number)
        session = Session(number, saved.client, saved.expiry_s, saved.filters, ended=now)
        self._sessions[saved.client] = session

    def _key(self, session: Session) -> str:
        return f"{self._prefix}s/{session.number:010d}"
