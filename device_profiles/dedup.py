"""Duplicates: the same message of a device that came by another way, or once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from device_profiles.codecs import Message, Packet
from device_profiles.memory import Memory
from device_profiles.paths import Getter
from gateway_core.errors import PayloadError

MOST = 64
"""Messages of one device that are remembered."""

WITHIN_NS = 3_600_000_000_000
"""How long, by the times of receipt, in either direction: a replay comes late."""


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """What one device said lately.

    Attributes:
        marks: A digest of the values of the ``dedup`` paths and the time of receipt
            (nanoseconds), in the order in which they came.
    """

    marks: tuple[tuple[bytes, int], ...] = ()


class Dedup:
    """Recognises what a device has already said.

    Args:
        paths: What tells one message of a device from another: each as written, and what walks
            to it in the decoded values.
    """

    def __init__(self, paths: Sequence[tuple[str, Getter]]) -> None:
        self._paths = tuple(paths)

    def check(
        self,
        owner: str,
        found: dict[str, Any] | list[Packet] | Message,
        captures: Mapping[str, str],
        received: int,
        memory: Memory,
    ) -> None:
        """Note a message, or refuse it.

        Args:
            owner: Profile and device.
            found: The decoded values.
            captures: From topic and envelope; they go before decoded values.
            received: Nanoseconds since 1970.
            memory: Of earlier messages.

        Raises:
            PayloadError: ``duplicate``.
        """
        packets = [*found.named, *found.numbered] if isinstance(found, Message) else found
        values = packets if isinstance(packets, dict) else packets[0].values if packets else {}
        parts = [captures.get(name, get(values)) for name, get in self._paths]
        if all(part is None for part in parts):
            return  # nothing tells it from another
        mark = blake2b(repr(parts).encode("utf-8", "replace"), digest_size=12).digest()
        key = f"dedup/{owner}"
        seen = memory.get(key, Seen) or Seen()
        for other, at in seen.marks:
            if other == mark and abs(received - at) <= WITHIN_NS:
                names = ", ".join(name for name, _ in self._paths)
                raise PayloadError("duplicate", f"the device has said this already ({names})")
        marks = (*seen.marks[1 - MOST :], (mark, received))
        memory.put(key, Seen(marks), WITHIN_NS)
