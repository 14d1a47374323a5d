"""Which messages were committed although the broker may not have heard of it. Pure.

A QoS 1 message is acknowledged after the commit. When the connection or the agent dies in
between, the broker sends the message again, with the same packet id and the DUP flag (MQTT 5.0
section 4.4). A device with a clock is recognised by its own time; for one without, this memory
is the only way to tell "sent again" from "said again".

What is remembered of a message is its *mark*: packet id, length and CRC32C of topic and payload,
64 bits in all. A mark counts only for a message with DUP set, and a packet id that came again
in the meantime replaces its old mark. So a reading is wrongly taken for known only if the broker
repeats a packet id within `Redelivery.depth` messages, in a session that broke at that point, and
the CRC32C agrees; two payloads of equal length that differ within 32 consecutive bits never share
one. What cannot be told apart: the same packet id, topic and payload said anew and sent again.

Marks are kept as spool state in the transaction that stores their messages, one slot for each
commit. Slots are numbered upwards and the oldest are deleted once `depth` newer marks are held.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import google_crc32c

SLOT_MARKS = 256
"""A slot is written again with what comes next until it holds so many marks."""

_MARK = struct.Struct("<Q")


def fingerprint(packet_id: int, topic: str, payload: bytes) -> int:
    """Return the 64-bit mark of a message; the same in every process."""
    crc: int = google_crc32c.value(topic.encode() + payload)
    return packet_id << 48 | (len(payload) & 0xFFFF) << 32 | crc


@dataclass(slots=True)
class _Slot:
    number: int
    marks: list[int]


class Redelivery:
    """The memory of one broker's session.

    Entering a mark costs next to nothing, since every message has one; looking one up costs a
    walk through all of them, since only a message with DUP set asks.

    Args:
        prefix: Of its keys in the spool's state, for example ``mqtt/site/``.
        depth: Marks to hold at least; stay far below 65,535, where packet ids come round.
        saved: The spool's state under ``prefix``, as the last run left it.
    """

    def __init__(self, prefix: str, depth: int, saved: Mapping[str, bytes]) -> None:
        self._depth = depth
        self._prefix = prefix
        self._slots: deque[_Slot] = deque()
        self._held = 0
        self._next = 0
        self._latest: dict[int, int] | None = None
        numbers = (key.removeprefix(prefix) for key in saved if key.startswith(prefix))
        for number in sorted(int(each) for each in numbers if each.isdigit()):
            value = saved[self._key(number)]
            marks = [mark for (mark,) in _MARK.iter_unpack(value[: len(value) // 8 * 8])]
            self._slots.append(_Slot(number, marks))
            self._held += len(marks)
            self._next = number + 1

    def __len__(self) -> int:
        """Marks held."""
        return self._held

    def recognises(self, mark: int, waiting: Sequence[int] = ()) -> bool:
        """Whether a message that came with DUP set was committed, or is about to be.

        Acknowledgements leave in the order of receipt, so a message that repeats one which is
        still being committed is answered after that commit.

        Args:
            mark: Of the message.
            waiting: Marks received and not entered yet.
        """
        if self._latest is None:
            self._latest = {each >> 48: each for slot in self._slots for each in slot.marks}
        return self._latest.get(mark >> 48) == mark or mark in waiting

    def enter(self, marks: Sequence[int], *, settled: bool) -> dict[str, bytes | None]:
        """Return the state to store with the messages of these marks.

        Args:
            marks: In the order of receipt.
            settled: Whether every commit entered before has happened. Only then may a slot be
                written again: a slot must never claim what another commit has yet to store.
        """
        if not marks:
            return {}
        self._latest = None
        last = self._slots[-1] if self._slots else None
        if settled and last is not None and len(last.marks) + len(marks) <= SLOT_MARKS:
            last.marks.extend(marks)
        else:
            last = _Slot(self._next, list(marks))
            self._slots.append(last)
            self._next += 1
        self._held += len(marks)
        state: dict[str, bytes | None] = {}
        while self._held - len(self._slots[0].marks) >= self._depth:
            oldest = self._slots.popleft()
            state[self._key(oldest.number)] = None
            self._held -= len(oldest.marks)
        state[self._key(last.number)] = struct.pack(f"<{len(last.marks)}Q", *last.marks)
        return state

    def stored(self, state: Mapping[str, bytes | None]) -> None:
        """Do nothing: slots are only written again when all earlier commits have happened."""

    def forget(self) -> dict[str, bytes | None]:
        """Clear the memory, for a session that the broker no longer has; return state to store."""
        state: dict[str, bytes | None] = {self._key(slot.number): None for slot in self._slots}
        self._slots.clear()
        self._held = 0
        self._latest = None
        return state

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012d}"
