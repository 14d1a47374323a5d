"""The sessions of an MQTT listener: who is connected, who may come back, what each may hear. Pure.

A session outlives its connection for as long as its client asked for. Its subscriptions are spool
state; they are stored with the next messages, or within a second.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from edge_agent.sources.listen.memory import Entries, Mark, Memory
from edge_agent.sources.listen.packets import Connect, Will
from edge_agent.sources.listen.policy import matches
from gateway_core.clock import NS

MOST_SUBSCRIPTIONS = 32
MOST_MARKS = 2**20
"""Messages that all sessions together may send before the first is acknowledged: what they cost is
memory and disk, some forty bytes each. Many sessions get a Receive Maximum of their share."""
LEAST_WINDOW = 16
FOREVER_S = 0xFFFFFFFF


class Line(Protocol):
    """One live connection."""

    def take_over(self) -> Will | None:
        """End, because the client is connected anew; return the Will that was left behind."""


class _Saved(msgspec.Struct, array_like=True):
    """A session in the spool's state."""

    key: str
    expiry_s: int
    filters: dict[str, int]
    window: int = 0


@dataclass(slots=True, eq=False)
class Session:
    """One client's session.

    Attributes:
        number: For the memory of what was committed; never used for another client.
        key: Whose it is; see `session_key`.
        expiry_s: Seconds that it outlives its connection.
        filters: Subscriptions: pattern to QoS.
        line: Its connection, or None.
        ended: When the last connection ended, nanoseconds since 1970.
        will: What to take in when the connection has ended without a word, or None.
        due: When something is to be done about it while nobody is connected: likewise.
        kept: Whether the spool's state has it, or will have it.
        window: Messages that its client may send before the first is acknowledged.
    """

    number: int
    key: str
    expiry_s: int = 0
    filters: dict[str, int] = field(default_factory=dict)
    line: Line | None = None
    ended: int = 0
    will: Will | None = None
    due: int = 0
    kept: bool = False
    window: int = 0

    @property
    def lasting(self) -> bool:
        """Whether it outlives its connection."""
        return self.expiry_s > 0


def session_key(client: str, identity: str | None) -> str:
    """Return whose session it is: nobody gets another's by choosing the same client id."""
    return client if identity is None else f"{identity}\n{client}"


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
        self._window = window
        self._sessions: dict[str, Session] = {}
        self._absent: dict[str, Session] = {}  # in the order in which their connections ended
        self._hearers: dict[str, dict[int, Session]] = {}
        self._changes: dict[str, bytes | None] = {}
        self._dates: list[tuple[int, int, Session]] = []
        self._said: list[Will] = []
        self._last = 0
        for key, value in saved.items():
            number = key.removeprefix(f"{prefix}s/")
            if key.startswith(f"{prefix}s/") and number.isdigit():
                self._recall(int(number), value, now)
        windows = {each.number: each.window for each in self._sessions.values()}
        self._memory = Memory(f"{prefix}m/", windows, window, saved)
        self._last = max(self._last, *self._memory.numbers, 0)
        self._memory.forget(set(self._memory.numbers) - windows.keys())

    def __len__(self) -> int:
        """Sessions, connected or not."""
        return len(self._sessions)

    @property
    def changed(self) -> bool:
        """Whether something is to be stored."""
        return bool(self._changes)

    def hearer(self, topic: str) -> Session | None:
        """Return a session that is connected and subscribes to a topic."""
        exact = self._hearers.get(topic, {})
        for session in exact.values():
            if session.line is not None:
                return session
        for pattern, sessions in self._hearers.items():
            if pattern[-1:] in "+#" or "+/" in pattern:
                found = next((each for each in sessions.values() if each.line), None)
                if found is not None and matches(pattern, topic):
                    return found
        return None

    def open(self, connect: Connect, key: str, line: Line) -> tuple[Session, bool]:
        """Return the session of a new connection, and whether it was there before.

        An older connection of the client is ended (MQTT 5.0 section 3.1.4); its Will is due unless
        it was to wait and the session goes on (section 3.1.3.2.2).
        """
        session = self._sessions.get(key)
        will, waits = None, False
        if session is not None:
            will, waits = session.will, True
            if session.line is not None:
                will = session.line.take_over()
                waits = will is not None and will.delay_s > 0
        present = session is not None and session.lasting and not connect.clean
        if will is not None and not (present and waits):
            self._said.append(will)
        if session is None or not present:
            if session is not None:
                self._drop(session)
            self._make_room()
            self._last += 1
            session = self._sessions[key] = Session(self._last, key)
        self._absent.pop(key, None)
        session.line = line
        session.will = None
        session.expiry_s = connect.expiry_s
        share = max(LEAST_WINDOW, MOST_MARKS // len(self._sessions))
        granted = min(self._window, share) if session.lasting else self._window
        session.window = max(session.window, granted)  # more may be under way from before
        self._keep(session)
        return session, present

    def expire(self, session: Session, seconds: int) -> None:
        """Let a session outlive its connection for so long."""
        session.expiry_s = seconds
        self._keep(session)

    def close(self, session: Session, line: Line, now: int, will: Will | None) -> None:
        """Note that a connection has ended; ``will`` is what its client left behind, or None."""
        if session.line is not line:
            return  # it was taken over
        session.line = None
        session.ended = now
        wait_s = min(will.delay_s, session.expiry_s) if will is not None else 0
        if will is not None and not wait_s:
            self._said.append(will)
        if not session.lasting:
            self._drop(session)
            return
        self._absent[session.key] = session
        session.will = will if wait_s else None
        self._enter_date(session, now + (wait_s or session.expiry_s) * NS)

    def due(self, now: int) -> list[Will]:
        """Return the wills whose time has come, and end the sessions whose time is over."""
        found, self._said = self._said, []
        while self._dates and self._dates[0][0] <= now:
            date, _, session = heapq.heappop(self._dates)
            if session.due != date or self._absent.get(session.key) is not session:
                continue  # it came back since
            if session.will is not None:
                found.append(session.will)
                session.will = None
            over = session.ended + session.expiry_s * NS
            if over <= now:
                self._drop(session)
            else:
                self._enter_date(session, over)
        return found

    def subscribe(self, session: Session, pattern: str, qos: int) -> bool:
        """Enter a subscription; False when the session has too many."""
        if pattern not in session.filters and len(session.filters) >= MOST_SUBSCRIPTIONS:
            return False
        session.filters[pattern] = qos
        self._hearers.setdefault(pattern, {})[session.number] = session
        self._keep(session)
        return True

    def unsubscribe(self, session: Session, pattern: str) -> bool:
        """Take a subscription out; False where there was none."""
        found = session.filters.pop(pattern, None) is not None
        if found:
            self._unhear(session, pattern)
            self._keep(session)
        return found

    def recognises(self, mark: Mark) -> bool:
        """Return whether a message with DUP set was committed, or is about to be."""
        return self._memory.recognises(mark)

    def note(self, session: Session, marks: Sequence[int]) -> Entries:
        """Know messages from now on; see `memory.Memory.note`."""
        return self._memory.note(session.number, marks, session.window)

    def release(self, session: Session, packet_id: int) -> Entries:
        """Let go of a packet id after PUBREL; see `memory.Memory.release`."""
        return self._memory.release(session.number, packet_id)

    def enter(self, marks: Sequence[Entries], *, settled: bool) -> Mapping[str, bytes | None]:
        """Return the state to store with messages; see `memory.Memory.enter`."""
        changes, self._changes = self._changes, {}
        return {**changes, **self._memory.enter(marks, settled=settled)}

    def stored(self, state: Mapping[str, bytes | None]) -> None:
        """Note that a commit has happened."""
        self._memory.stored(state)

    def _keep(self, session: Session) -> None:
        if session.lasting:
            saved = _Saved(session.key, session.expiry_s, session.filters, session.window)
            self._changes[self._name(session)] = msgspec.msgpack.encode(saved)
        elif session.kept:
            self._changes[self._name(session)] = None
        session.kept = session.lasting

    def _drop(self, session: Session) -> None:
        self._sessions.pop(session.key, None)
        self._absent.pop(session.key, None)
        self._memory.forget([session.number])
        for pattern in session.filters:
            self._unhear(session, pattern)
        if session.kept:
            self._changes[self._name(session)] = None

    def _unhear(self, session: Session, pattern: str) -> None:
        sessions = self._hearers.get(pattern, {})
        sessions.pop(session.number, None)
        if not sessions:
            self._hearers.pop(pattern, None)

    def _make_room(self) -> None:
        if len(self._sessions) >= self._most and self._absent:
            first = next(iter(self._absent.values()))
            if first.will is not None:
                self._said.append(first.will)
            self._drop(first)

    def _enter_date(self, session: Session, date: int) -> None:
        session.due = date
        if len(self._dates) > 2 * len(self._sessions) + 64:  # most are of sessions that went on
            self._dates = [each for each in self._dates if each[2].due == each[0]]
            heapq.heapify(self._dates)
        heapq.heappush(self._dates, (date, session.number, session))

    def _recall(self, number: int, value: bytes, now: int) -> None:
        try:
            saved = msgspec.msgpack.decode(value, type=_Saved)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # a bad disk: the client begins a new session
        self._last = max(self._last, number)
        session = Session(number, saved.key, saved.expiry_s, saved.filters, ended=now, kept=True)
        session.window = saved.window or self._window
        self._sessions[saved.key] = self._absent[saved.key] = session
        for pattern in session.filters:
            self._hearers.setdefault(pattern, {})[number] = session
        self._enter_date(session, now + session.expiry_s * NS)

    def _name(self, session: Session) -> str:
        return f"{self._prefix}s/{session.number:010d}"
