"""What was committed of each session although its client may not have heard of it. Pure.

A client sends a message of QoS 1 or 2 again, with DUP set, when its connection ended before the
acknowledgement. It can have at most as many unacknowledged as Receive Maximum allows, so the last
``window`` messages of a session are all that can come again. They are kept as spool state, in the
transaction that stores the messages: one slot for each commit, of which older ones are folded into
newer ones as a binary counter carries. So there are few slots, and a mark is written some ten
times in its life. Only what is known to be stored is folded: a slot must never claim what another
commit has yet to store.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import google_crc32c

Mark = tuple[int, int, int]
"""Session's number, packet id, CRC32C of topic and payload."""

_ENTRY = struct.Struct("<IIHI")  # session, place among its messages, packet id, CRC32C
_MARK = struct.Struct("<HI")


def fingerprint(topic: str, payload: bytes) -> int:
    """Return the CRC32C of a message; the same in every process."""
    found: int = google_crc32c.value(topic.encode() + payload)
    return found


class Ring:
    """The last messages of one session; six bytes each."""

    __slots__ = ("_held", "_latest", "_newest", "count")

    def __init__(self) -> None:
        self.count = 0
        self._newest = 0
        self._held = bytearray()
        self._latest: dict[int, int] | None = None

    def put(self, place: int, packet_id: int, crc: int, window: int) -> None:
        """Hold a message at its place; the one ``window`` before it is let go."""
        at = place % window * _MARK.size
        if at >= len(self._held):
            self._held.extend(bytes(at + _MARK.size - len(self._held)))
        _MARK.pack_into(self._held, at, packet_id, crc)
        if place >= self.count:
            self.count, self._newest = place + 1, at + _MARK.size
        self._latest = None

    def recognises(self, packet_id: int, crc: int) -> bool:
        """Return whether this message is held."""
        if self._latest is None:
            in_order = self._held[self._newest :] + self._held[: self._newest]
            self._latest = dict(_MARK.iter_unpack(in_order))
        return self._latest.get(packet_id) == crc

    def release(self, packet_id: int) -> None:
        """Let go of a packet id that its client will use for another message."""
        wanted = packet_id.to_bytes(2, "little")
        at = self._held.find(wanted)
        while at >= 0:
            if at % _MARK.size == 0:
                _MARK.pack_into(self._held, at, 0, 0)
            at = self._held.find(wanted, at + 1)
        self._latest = None


@dataclass(slots=True)
class _Slot:
    number: int
    entries: bytes
    stored: bool = False


class Memory:
    """The marks of all sessions.

    Args:
        prefix: Of its keys in the spool's state.
        window: Messages of a session that can come again.
        saved: The spool's state under ``prefix``, as the last run left it.
    """

    def __init__(self, prefix: str, window: int, saved: Mapping[str, bytes]) -> None:
        self._prefix = prefix
        self._window = window
        self._slots: list[_Slot] = []
        self._rings: dict[int, Ring] = {}
        self._noted: set[Mark] = set()
        self._next = 0
        for key in sorted(saved):
            number = key.removeprefix(prefix)
            if key.startswith(prefix) and number.isdigit():
                self._recall(int(number), saved[key])

    @property
    def numbers(self) -> list[int]:
        """The sessions that are remembered."""
        return list(self._rings)

    @property
    def held(self) -> int:
        """Marks in all slots."""
        return sum(len(slot.entries) for slot in self._slots) // _ENTRY.size

    def recognises(self, mark: Mark) -> bool:
        """Return whether a message that came with DUP set was committed, or is about to be."""
        ring = self._rings.get(mark[0])
        return mark in self._noted or (ring is not None and ring.recognises(*mark[1:]))

    def note(self, mark: Mark) -> None:
        """Know a message that the next `enter` will enter."""
        self._noted.add(mark)

    def release(self, session: int, packet_id: int) -> None:
        """Let go of a packet id: PUBREL said that its message will not come again."""
        ring = self._rings.get(session)
        if ring is not None:
            ring.release(packet_id)

    def forget(self, sessions: Iterable[int]) -> None:
        """Let go of sessions; what their slots hold goes when these are folded."""
        for session in sessions:
            self._rings.pop(session, None)

    def enter(self, marks: Sequence[Mark], *, settled: bool) -> dict[str, bytes | None]:
        """Return the state to store with the messages of these marks.

        Args:
            marks: In the order of receipt.
            settled: Whether every commit entered before has happened.
        """
        self._noted.clear()
        if not marks:
            return {}
        if settled:
            for slot in self._slots:
                slot.stored = True
        entries = b"".join([self._placed(*mark) for mark in marks])
        state: dict[str, bytes | None] = {}
        while (last := self._foldable(len(entries))) is not None:
            self._slots.remove(last)
            entries = self._living(last.entries) + entries
            state[self._key(last.number)] = None
        self._slots.append(_Slot(self._next, entries))
        state[self._key(self._next)] = entries
        self._next += 1
        return state

    def stored(self, state: Mapping[str, bytes | None]) -> None:
        """Note that a commit has happened; ``state`` as `enter` returned it."""
        for slot in self._slots:
            if not slot.stored and self._key(slot.number) in state:
                slot.stored = True

    def _placed(self, session: int, packet_id: int, crc: int) -> bytes:
        ring = self._rings.get(session)
        if ring is None:
            ring = self._rings[session] = Ring()
        place = ring.count
        ring.put(place, packet_id, crc, self._window)
        return _ENTRY.pack(session, place & 0xFFFFFFFF, packet_id, crc)

    def _foldable(self, size: int) -> _Slot | None:
        """Return the newest stored slot if it is no larger than what is being written."""
        for slot in reversed(self._slots):
            if slot.stored:
                return slot if len(slot.entries) <= size else None
        return None

    def _living(self, entries: bytes) -> bytes:
        """Return the entries whose messages can still come again."""
        rings, size, found = self._rings, _ENTRY.size, []
        for at, (session, place, _, _) in enumerate(_ENTRY.iter_unpack(entries)):
            ring = rings.get(session)
            if ring is not None and place >= ring.count - self._window:
                found.append(entries[at * size : (at + 1) * size])
        return b"".join(found)

    def _recall(self, number: int, value: bytes) -> None:
        whole = value[: len(value) // _ENTRY.size * _ENTRY.size]
        for session, place, packet_id, crc in _ENTRY.iter_unpack(whole):
            ring = self._rings.setdefault(session, Ring())
            if place >= ring.count - self._window:
                ring.put(place, packet_id, crc, self._window)
        self._slots.append(_Slot(number, whole, stored=True))
        self._next = max(self._next, number + 1)

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012d}"
