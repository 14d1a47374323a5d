"""Several devices in one message: where each stands in it, and what the message says of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from device_profiles.decoded import Decoded, Unread
from device_profiles.paths import Getter
from gateway_core.errors import PayloadError

MOST_DEVICES = 10_000
"""Devices that one message may tell of."""


@dataclass(frozen=True, slots=True)
class Devices:
    """Where the devices stand in decoded values.

    Attributes:
        get: Walks to the list or mapping of them; None: the message itself is it.
        source: That path as written.
        key: The capture that a mapping's keys become.
    """

    get: Getter | None
    source: str
    key: str

    def split(self, message: Any) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        """Yield for each device the captures that its key gives, and its own values.

        A list's elements have no key. A device of which there is a list has it as ``items``, one
        of which there is a single number, text or bool has it as ``value``.

        Args:
            message: Decoded values; a message that was a list has it as ``items``.

        Raises:
            PayloadError: ``no_devices`` where there is neither a list nor a mapping;
                ``too_many_points`` for more than 10,000 devices.
        """
        place = message if self.get is None else self.get(message)
        if not isinstance(place, dict | list):
            raise PayloadError("no_devices", f"no list or mapping of devices at {self.source!r}")
        if len(place) > MOST_DEVICES:
            raise PayloadError("too_many_points", f"more than {MOST_DEVICES} devices in a message")
        if isinstance(place, list):
            yield from (({}, _values(each)) for each in place)
        else:
            yield from (({self.key: name}, _values(each)) for name, each in place.items())


def _values(found: Any) -> dict[str, Any]:
    if isinstance(found, dict):
        return found
    return {"items" if isinstance(found, list) else "value": found}


def gathered(parts: Sequence[Decoded | Unread]) -> Decoded:
    """Return one message's parts as one: the first that can be read, then all others.

    Raises:
        PayloadError: None can be read; the first one's reason.
    """
    first = next((part for part in parts if isinstance(part, Decoded)), None)
    if first is None:
        if not parts:
            return Decoded("", [])
        unread = parts[0]
        assert isinstance(unread, Unread)
        raise PayloadError(unread.code, unread.detail)
    if len(parts) == 1:
        return first
    return msgspec.structs.replace(first, more=tuple(part for part in parts if part is not first))
