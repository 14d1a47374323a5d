"""What decoding one message gives."""

from __future__ import annotations

import msgspec

from gateway_core.model import Value


class Point(msgspec.Struct, frozen=True, gc=False):
    """One instant of one device.

    Attributes:
        time: Nanoseconds since 1970 (UTC); the device's own where it is believable.
        fields: Name to value; never empty.
        tags: Tags that the profile names beyond edge, device and profile.
        flags: ``<field>:<code>`` for each value that was left out.
    """

    time: int
    fields: dict[str, Value]
    tags: dict[str, str] = {}
    flags: tuple[str, ...] = ()


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """One message, decoded.

    Attributes:
        device: The device's id.
        readings: By time, oldest first; may be empty (a message about something else).
        online: What an availability message said, else None.
        flags: Flags of instants of which no value was good, so that no reading carries them.
    """

    device: str
    readings: list[Point]
    online: bool | None = None
    flags: tuple[str, ...] = ()
