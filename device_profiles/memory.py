"""Memory: what a decoder knows of earlier messages, for the few that cannot read one alone.

A decoder never keeps anything itself. It asks a `Memory` that its caller hands in, and tells it
what to keep; the caller decides where that lies and that it is bounded. No I/O, no clock.

Keys begin with what they are for and a slash (``dedup/``, ``fragments/``): limits are for each of
these.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

Kept = TypeVar("Kept", bound=msgspec.Struct)

MOST_OF_ONE = 10_000


class Recall(Protocol):
    """What can be asked."""

    def get(self, key: str, kind: type[Kept]) -> Kept | None:
        """Return what was put under a key; None where nothing is, or it is of another kind."""

    def parts(self, key: str) -> Mapping[int, bytes]:
        """Return the parts held under a key, by their number."""


class Memory(Recall, Protocol):
    """What a decoder may ask and tell."""

    def put(self, key: str, value: msgspec.Struct | None, keep_ns: int = 0) -> None:
        """Keep a value (which must not change afterwards), or forget the key and what it holds.

        Args:
            key: Where.
            value: What, or None to forget.
            keep_ns: Nanoseconds from now on; 0: as long as there is room.
        """

    def hold(self, key: str, number: int, part: bytes, keep_ns: int) -> None:
        """Hold what this message brought until the rest of it comes.

        If the key is not forgotten within ``keep_ns`` of its latest part, the messages held under
        it count as refused.

        Args:
            key: Names the whole.
            number: Of the part.
            part: Its bytes.
            keep_ns: Nanoseconds.
        """


@dataclass(slots=True)
class Change:
    """What one message changes under one key.

    Attributes:
        value: To put; None with ``forget`` or when there are only parts.
        keep_ns: How long.
        forget: Whether everything under the key goes first.
        parts: To hold.
    """

    value: msgspec.Struct | None = None
    keep_ns: int = 0
    forget: bool = False
    parts: dict[int, bytes] = field(default_factory=dict)


class Attempt:
    """A memory in which one message is tried: what it changes is only noted.

    Args:
        memory: What it is tried on.
        blind: What the keys begin with under which there shall be nothing; empty: no such keys.

    Attributes:
        changes: By key; whoever takes the message takes these.
    """

    __slots__ = ("_blind", "_memory", "changes")

    def __init__(self, memory: Recall, blind: str = "") -> None:
        self._memory = memory
        self._blind = blind
        self.changes: dict[str, Change] = {}

    def only(self, kinds: str) -> Attempt:
        """Return an attempt with those changes alone whose keys begin with ``kinds``."""
        some = Attempt(self._memory, self._blind)
        some.changes = {k: each for k, each in self.changes.items() if k.startswith(kinds)}
        return some

    def get(self, key: str, kind: type[Kept]) -> Kept | None:
        """Return what is under a key, what this message put included."""
        change = self.changes.get(key)
        if change is None or not (change.forget or change.value):
            hidden = self._blind and key.startswith(self._blind)
            return None if hidden else self._memory.get(key, kind)
        return change.value if isinstance(change.value, kind) else None

    def put(self, key: str, value: msgspec.Struct | None, keep_ns: int = 0) -> None:
        """Note a value, or that the key is forgotten."""
        if value is None:
            self.changes[key] = Change(forget=True)
            return
        change = self.changes.setdefault(key, Change())
        change.value, change.keep_ns = value, keep_ns

    def parts(self, key: str) -> Mapping[int, bytes]:
        """Return the parts under a key, what this message holds included."""
        change = self.changes.get(key)
        if change is None:
            return self._memory.parts(key)
        return change.parts if change.forget else {**self._memory.parts(key), **change.parts}

    def hold(self, key: str, number: int, part: bytes, keep_ns: int) -> None:
        """Note a part."""
        change = self.changes.setdefault(key, Change())
        change.parts[number], change.keep_ns = part, keep_ns


@dataclass(slots=True)
class _Entry:
    value: msgspec.Struct | None = None
    parts: dict[int, bytes] = field(default_factory=dict)


class MemoryOfOne:
    """A memory that lives as long as its owner: for test vectors, trials and replays.

    Never more than ``most`` keys; the one that was changed longest ago goes first. Nothing lapses.

    Args:
        most: Keys.
        behind: Is asked for what is not here, and never changed; None: nothing is.
    """

    def __init__(self, most: int = MOST_OF_ONE, behind: Recall | None = None) -> None:
        self._most = most
        self._behind = behind
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def get(self, key: str, kind: type[Kept]) -> Kept | None:
        """As `Recall.get`."""
        entry = self._entries.get(key)
        if entry is None:
            return None if self._behind is None else self._behind.get(key, kind)
        return entry.value if isinstance(entry.value, kind) else None

    def put(self, key: str, value: msgspec.Struct | None, keep_ns: int = 0) -> None:
        """As `Memory.put`."""
        del keep_ns
        if value is None:
            self._entries[key] = _Entry()
        else:
            self._entry(key).value = value
        self._bound()

    def parts(self, key: str) -> Mapping[int, bytes]:
        """As `Recall.parts`."""
        entry = self._entries.get(key)
        if entry is None:
            return {} if self._behind is None else self._behind.parts(key)
        return entry.parts

    def hold(self, key: str, number: int, part: bytes, keep_ns: int) -> None:
        """As `Memory.hold`."""
        del keep_ns
        entry = self._entry(key)
        entry.parts = {**self.parts(key), number: part}
        self._bound()

    def keys(self, kind: str) -> list[str]:
        """Return the keys that begin with ``kind`` and a slash."""
        return [key for key in self._entries if key.startswith(f"{kind}/")]

    def take(self, attempt: Attempt) -> None:
        """Make the changes of a message that was accepted."""
        for key, change in attempt.changes.items():
            if change.forget:
                self.put(key, None)
            if change.value is not None:
                self.put(key, change.value)
            for number, part in change.parts.items():
                self.hold(key, number, part, change.keep_ns)

    def _entry(self, key: str) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            parts = {} if self._behind is None else dict(self._behind.parts(key))
            entry = self._entries[key] = _Entry(None, parts)
        self._entries.move_to_end(key)
        return entry

    def _bound(self) -> None:
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
