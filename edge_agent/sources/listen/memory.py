"""What was committed of each session although its client may not have heard of it. Pure.

A client sends a message of QoS 1 or 2 again, with DUP set, when its connection ended before the
acknowledgement. It can have at most as many unacknowledged as Receive Maximum allows, so the last
``window`` messages of a session (each has its own) are all that can come again. They are kept as
spool state, in the transaction that stores the messages: one slot for each commit, of which older
ones are folded into newer ones as a binary counter carries. So there are few slots, and a mark is
written some ten times in its life. Only what is known to be stored is folded: a slot must never
claim what another commit has yet to store.

PUBREL ends a mark of QoS 2: its packet id is free for the next message, be it the same words. So
that is stored too, as an entry with the mark's place and no packet id. An
entry and its end fall out of the slots together, when they meet in one; an end alone only when
no other slot is left that could hold what it ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import google_crc32c

Mark = tuple[int, int, int]
"""Session's number, packet id, CRC32C of topic and payload."""

Entries = bytes
"""Marks of one session as they are stored, one after another."""

_ENTRY = struct.Struct("<IIHI")  # session, place among its messages, packet id, CRC32C
_MARK = struct.Struct("<HI")
_SMALL, _SPARE = 8, 16
_WORD = 0xFFFFFFFF
_NONE: Mapping[tuple[int, int], bool] = {}


def fingerprint(topic: str, payload: bytes) -> int:
    """Return the CRC32C of a message; the same in every process."""
    found: int = google_crc32c.value(topic.encode() + payload)
    return found


class Ring:
    """The last messages of one session; six bytes each.

    Args:
        window: How many can come again.

    Attributes:
        window: Likewise; never less than it was.
        count: Messages so far.
    """

    __slots__ = ("_held", "_latest", "count", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.count = 0
        self._held = bytearray()
        self._latest: dict[int, int] | None = None

    def add(self, marks: Sequence[int]) -> None:
        """Hold the next messages: packet id and CRC32C in turn; older ones are let go."""
        count = len(marks) // 2
        self._held += struct.pack("<" + "HI" * count, *marks)
        self.count += count
        if len(self._held) > (self.window + _SPARE) * _MARK.size:
            del self._held[: -self.window * _MARK.size]
        self._latest = None

    def recognises(self, packet_id: int, crc: int) -> bool:
        """Return whether this message is one of the last ``window``."""
        if self._latest is None:
            last = self._held[-self.window * _MARK.size :]
            self._latest = dict(_MARK.iter_unpack(last))
        return self._latest.get(packet_id) == crc

    def release(self, packet_id: int) -> list[int]:
        """Let go of a packet id that its client will use for another message.

        Returns:
            The places that its messages had.
        """
        wanted, places = packet_id.to_bytes(2, "little"), []
        first = self.count - len(self._held) // _MARK.size
        at = self._held.find(wanted)
        while at >= 0:
            if at % _MARK.size == 0:
                _MARK.pack_into(self._held, at, 0, 0)
                places.append(first + at // _MARK.size)
            at = self._held.find(wanted, at + 1)
        self._latest = None
        return places


@dataclass(slots=True)
class _Slot:
    number: int
    entries: bytes
    stored: bool = False


class Memory:
    """The marks of all sessions.

    Args:
        prefix: Of its keys in the spool's state.
        windows: Messages of each session that can come again, as far as it has less than ``most``.
        most: Of the others.
        saved: The spool's state under ``prefix``, as the last run left it.
    """

    def __init__(
        self, prefix: str, windows: Mapping[int, int], most: int, saved: Mapping[str, bytes]
    ) -> None:
        self._prefix = prefix
        self._living_most = 0
        self._slots: list[_Slot] = []
        self._rings: dict[int, Ring] = {}
        self._next = 0
        self._ends = False  # whether any mark was ended by PUBREL: most sites use no QoS 2
        self._recall(saved, windows, most)

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
        session, packet_id, crc = mark
        ring = self._rings.get(session)
        return ring is not None and ring.recognises(packet_id, crc)

    def note(self, session: int, marks: Sequence[int], window: int) -> Entries:
        """Know messages from now on; return what to `enter` with the commit that stores them.

        Args:
            session: Whose.
            marks: Packet id and CRC32C of each, in turn, in the order of receipt.
            window: How many of its messages can come again.
        """
        ring = self._rings.get(session)
        if ring is None:
            ring = self._rings[session] = Ring(0)
        if window > ring.window:
            self._living_most += window - ring.window
            ring.window = window
        place = ring.count
        flat: list[int] = []
        for at in range(0, len(marks), 2):
            flat += (session, place & _WORD, marks[at], marks[at + 1])
            place += 1
        ring.add(marks)
        return struct.pack("<" + "IIHI" * (len(marks) // 2), *flat)

    def release(self, session: int, packet_id: int) -> Entries:
        """Let go of a packet id: PUBREL said that its message will not come again.

        Returns:
            What to `enter` with a commit; nothing where nothing was known.
        """
        ring = self._rings.get(session)
        if ring is None:
            return b""
        ended = [_ENTRY.pack(session, each & _WORD, 0, 0) for each in ring.release(packet_id)]
        self._ends = self._ends or bool(ended)
        return b"".join(ended)

    def forget(self, sessions: Iterable[int]) -> None:
        """Let go of sessions; what their slots hold goes when these are folded."""
        for session in sessions:
            ring = self._rings.pop(session, None)
            self._living_most -= ring.window if ring is not None else 0

    def enter(self, marks: Sequence[Entries], *, settled: bool) -> dict[str, bytes | None]:
        """Return the state to store with the messages of these marks.

        Args:
            marks: As `note` returned them, in order.
            settled: Whether every commit entered before has happened.
        """
        if not marks:
            return {}
        if settled:
            for slot in self._slots:
                slot.stored = True
        entries = b"".join(marks)
        state: dict[str, bytes | None] = {}
        while (last := self._foldable(len(entries))) is not None:
            self._slots.remove(last)
            entries = self._folded(last.entries, entries)
            state[self._key(last.number)] = None
        if entries:
            self._slots.append(_Slot(self._next, entries))
            state[self._key(self._next)] = entries
            self._next += 1
        return state

    def stored(self, state: Mapping[str, bytes | None]) -> None:
        """Note that a commit has happened; ``state`` as `enter` returned it."""
        for slot in self._slots:
            if not slot.stored and self._key(slot.number) in state:
                slot.stored = True

    def _foldable(self, size: int) -> _Slot | None:
        """Return the newest stored slot if it is no larger than what is being written."""
        for slot in reversed(self._slots):
            if slot.stored:
                return slot if len(slot.entries) <= size else None
        return None

    def _folded(self, older: bytes, newer: bytes) -> bytes:
        """Return the entries of two slots that still say something.

        Those of a slot that is small beside what all sessions may keep are hardly any less.
        """
        if len(older) * _SMALL < self._living_most * _ENTRY.size:
            return older + newer
        if not self._ends:
            return self._living(older) + newer
        entries = older + newer
        places = [(each[0], each[1]) for each in _ENTRY.iter_unpack(entries) if not each[2]]
        ended = dict.fromkeys(places, bool(self._slots))  # whether a mark may be elsewhere
        for session, place, packet_id, _ in _ENTRY.iter_unpack(entries):
            if packet_id and (session, place) in ended:
                ended[session, place] = False
        return self._living(entries, ended)

    def _living(self, entries: bytes, ended: Mapping[tuple[int, int], bool] = _NONE) -> bytes:
        """Return the entries whose messages can still come again.

        Args:
            entries: Of one slot or two.
            ended: Places of marks that were ended, and whether that must be kept.
        """
        rings, size = self._rings, _ENTRY.size
        found = []
        for at, (session, place, packet_id, _) in enumerate(_ENTRY.iter_unpack(entries)):
            ring = rings.get(session)
            if ring is None:
                continue
            if (session, place) in ended:
                kept = not packet_id and ended[session, place]
            else:
                kept = place >= ring.count - ring.window
            if kept:
                found.append(entries[at * size : (at + 1) * size])
        return b"".join(found)

    def _recall(self, saved: Mapping[str, bytes], windows: Mapping[int, int], most: int) -> None:
        places: dict[int, dict[int, tuple[int, int]]] = {}
        ended = set()
        for key in sorted(saved):
            number = key.removeprefix(self._prefix)
            if not key.startswith(self._prefix) or not number.isdigit():
                continue
            whole = saved[key][: len(saved[key]) // _ENTRY.size * _ENTRY.size]
            for session, place, packet_id, crc in _ENTRY.iter_unpack(whole):
                places.setdefault(session, {})[place] = packet_id, crc
                if not packet_id:
                    ended.add((session, place))
            self._slots.append(_Slot(int(number), whole, stored=True))
            self._next = max(self._next, int(number) + 1)
        for session, found in places.items():
            ring = self._rings[session] = Ring(windows.get(session, most))
            self._living_most += ring.window
            last = max(found) + 1
            ring.count = max(0, last - ring.window)
            for place in range(ring.count, last):
                gone = place not in found or (session, place) in ended
                ring.add((0, 0) if gone else found[place])
        self._ends = bool(ended)

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012d}"
