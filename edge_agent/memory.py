"""What the decoders of this edge remember, kept in the spool's state.

A change is stored in the transaction that stores what the message said, so after a crash the
memory is as old as the last acknowledgement: never younger (a reading would be taken for known),
never older (parts of a message would be gone).

Invariants:

* of each kind (what a key begins with) there are never more keys than `MOST` says, and of all
  together never more than `MOST_BYTES`; what goes for room is counted;
* a message that is held leaves as part of a whole or as a refusal, raw.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from device_profiles.memory import Attempt, Change, Kept, MemoryOfOne
from edge_agent.arrival import Arrival
from edge_agent.draft import Draft
from gateway_core.clock import Clock
from gateway_core.meter import Meter
from gateway_core.model import Refusal
from gateway_core.stored import check, sealed

log = structlog.get_logger()

MEMORY_KEY = "memory/"
HELD_KEY = "held/"
MOST = {"dedup": 100_000, "fragments": 1_000, "homeassistant": 5_000}
MOST_OF_OTHERS = 20_000
MOST_BYTES = 64 * 2**20
REPLAYED = ("fragments/",)
"""Kinds that a replay changes as well: a part that it reads is no longer a refusal."""
INCOMPLETE = "fragments_missing"


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    at: int
    keep_ns: int
    value: bytes
    crc: int = 0


class _Held(msgspec.Struct, frozen=True, array_like=True):
    at: int
    keep_ns: int
    part: bytes
    refusal: Refusal
    crc: int = 0


@dataclass(slots=True)
class _Entry:
    """One key; ``raw`` is its value as stored, until somebody asks for it."""

    at: int
    keep_ns: int
    value: msgspec.Struct | None = None
    raw: bytes = b""
    parts: dict[int, bytes] = field(default_factory=dict)
    held: dict[int, Refusal] = field(default_factory=dict)
    size: int = 0


class SpoolMemory:
    """The memory of one edge's decoders.

    Args:
        clock: The edge's clock, for what lapses.
        meter: Counts what went for room.
    """

    def __init__(self, clock: Clock, meter: Meter) -> None:
        self._clock = clock
        self._meter = meter
        self._kinds: dict[str, OrderedDict[str, _Entry]] = {}  # by last change, oldest first
        self._bytes: Counter[str] = Counter()  # by kind
        self._changes: Counter[str] = Counter()
        self._trial = MemoryOfOne(behind=self)

    def recall(self, state: Mapping[str, bytes]) -> None:
        """Take up what the spool kept under ``memory/`` and ``held/``."""
        found: list[tuple[str, _Stored | _Held]] = []
        for key, raw in state.items():
            kind: type[_Stored | _Held] = _Stored if key.startswith(MEMORY_KEY) else _Held
            try:
                one = msgspec.msgpack.decode(raw, type=kind)
                check(raw, one.crc)
                found.append((key, one))
            except ValueError as exc:  # msgspec's errors are ValueErrors
                log.warning("memory_unread", key=key, why=str(exc))
        for name, each in sorted(found, key=lambda item: item[1].at):
            if isinstance(each, _Stored):
                key = name.removeprefix(MEMORY_KEY)
                entry = self._entry(key, each.at, each.keep_ns)
                entry.raw = each.value
                self._grow(key, entry, len(each.value))
            else:
                key, _, number = name.removeprefix(HELD_KEY).rpartition("/")
                entry = self._entry(key, each.at, each.keep_ns)
                entry.parts[int(number)], entry.held[int(number)] = each.part, each.refusal
                self._grow(key, entry, len(each.part) + len(each.refusal.payload))

    def get(self, key: str, kind: type[Kept]) -> Kept | None:
        """As `device_profiles.memory.Recall.get`."""
        entry = self._find(key)
        if entry is None:
            return None
        if entry.value is None and entry.raw:
            try:
                entry.value = msgspec.msgpack.decode(entry.raw, type=kind)
            except msgspec.MsgspecError as exc:
                log.warning("memory_unread", key=key, why=str(exc))
            entry.raw = b""
        return entry.value if isinstance(entry.value, kind) else None

    def parts(self, key: str) -> Mapping[int, bytes]:
        """As `device_profiles.memory.Recall.parts`."""
        entry = self._find(key)
        return {} if entry is None else entry.parts

    def keys(self, kind: str) -> list[str]:
        """Return all keys of a kind, by their last change, oldest first."""
        return list(self._kinds.get(kind, ()))

    def version(self, kind: str) -> int:
        """Return a number that is another after each change to keys of a kind."""
        return self._changes[kind]

    def attempt(self, *, live: bool, blind: str = "") -> Attempt:
        """Return a memory to try a message in; a replay has one beside that of what is live.

        Args:
            live: False for a replay.
            blind: What the keys begin with that the attempt shall not see; empty: it sees all.
        """
        return Attempt(self if live else self._trial, blind)

    def begin_replay(self) -> None:
        """Forget what the last replay learned: the next one sees what is known now."""
        self._trial = MemoryOfOne(behind=self)

    def take(self, attempt: Attempt, arrival: Arrival, draft: Draft, *, live: bool) -> None:
        """Make the changes of a message that was accepted.

        Args:
            attempt: In which it was tried.
            arrival: The message.
            draft: Takes the changed state, and refusals of what was held for too long.
            live: False for a replay, which changes nothing of the live memory but whole messages.
        """
        if not attempt.changes:
            return
        if not live:
            self._trial.take(attempt)
        for key, change in attempt.changes.items():
            if live or key.startswith(REPLAYED):
                draft.bound = True
                self._change(key, change, arrival, draft)
        self._make_room(draft)

    def tick(self, now: int, draft: Draft) -> None:
        """Forget what has lapsed, and refuse what was held in vain."""
        for entries in self._kinds.values():
            while entries:
                key, entry = next(iter(entries.items()))
                if not entry.keep_ns or now - entry.at <= entry.keep_ns:
                    break
                self._drop(key, draft, "the rest did not come in time")

    def _change(self, key: str, change: Change, arrival: Arrival, draft: Draft) -> None:
        now = self._clock()
        self._changes[_kind(key)] += 1
        if change.forget:
            self._drop(key, draft, "")
        if change.value is not None:
            entry = self._entry(key, now, change.keep_ns)
            raw = msgspec.msgpack.encode(change.value)
            self._grow(key, entry, len(raw) - entry.size)
            entry.value, entry.raw = change.value, b""
            stored = _Stored(now, change.keep_ns, raw)
            draft.kept[MEMORY_KEY + key] = sealed(msgspec.msgpack.encode(stored))
        for number, part in change.parts.items():
            entry = self._entry(key, now, change.keep_ns)
            former = entry.held.get(number)
            if former is not None:
                if former.payload != arrival.payload:  # another message with the same number
                    draft.refused.append(_missed(former, "another message took its place"))
                self._grow(key, entry, -len(entry.parts[number]) - len(former.payload))
            refusal = Refusal(
                arrival.source,
                arrival.address,
                arrival.payload,
                INCOMPLETE,
                "",
                arrival.received,
                arrival.content_format,
            )
            entry.parts[number], entry.held[number] = part, refusal
            self._grow(key, entry, len(part) + len(refusal.payload))
            held = _Held(now, change.keep_ns, part, refusal)
            draft.kept[f"{HELD_KEY}{key}/{number}"] = sealed(msgspec.msgpack.encode(held))

    def _find(self, key: str) -> _Entry | None:
        entries = self._kinds.get(_kind(key))
        return None if entries is None else entries.get(key)

    def _entry(self, key: str, at: int, keep_ns: int) -> _Entry:
        entries = self._kinds.setdefault(_kind(key), OrderedDict())
        entry = entries.get(key)
        if entry is None:
            entry = entries[key] = _Entry(at, keep_ns)
        entry.at, entry.keep_ns = at, keep_ns
        entries.move_to_end(key)
        return entry

    def _grow(self, key: str, entry: _Entry, size: int) -> None:
        entry.size += size
        self._bytes[_kind(key)] += size

    def _drop(self, key: str, draft: Draft, why: str) -> None:
        """Forget a key; what is held under it is refused where there is a reason ``why``."""
        entries = self._kinds.get(_kind(key), OrderedDict())
        entry = entries.pop(key, None)
        if entry is None:
            return
        self._bytes[_kind(key)] -= entry.size
        self._changes[_kind(key)] += 1
        draft.bound = True
        if entry.value is not None or entry.raw:
            draft.kept[MEMORY_KEY + key] = None
        for number, refusal in entry.held.items():
            draft.kept[f"{HELD_KEY}{key}/{number}"] = None
            if why:
                draft.refused.append(_missed(refusal, why))

    def _make_room(self, draft: Draft) -> None:
        for kind, entries in self._kinds.items():
            most = MOST.get(kind, MOST_OF_OTHERS)
            while len(entries) > most:
                self._evict(kind, next(iter(entries)), draft)
        while self._bytes.total() > MOST_BYTES:
            kind = self._bytes.most_common(1)[0][0]
            self._evict(kind, next(iter(self._kinds[kind])), draft)

    def _evict(self, kind: str, key: str, draft: Draft) -> None:
        self._meter.count("tidegate_memory_evicted", kind=kind)
        self._drop(key, draft, "the memory is full")


def _kind(key: str) -> str:
    return key.partition("/")[0]


def _missed(refusal: Refusal, why: str) -> Refusal:
    changes: dict[str, Any] = {"detail": why}
    return msgspec.structs.replace(refusal, **changes)
