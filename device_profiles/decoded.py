"""What decoding one message gives."""

from __future__ import annotations

import msgspec

from device_profiles.codecs.contract import Ask
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


class Unread(msgspec.Struct, frozen=True, gc=False):
    """One device's part of a message about several that cannot be taken in.

    Attributes:
        part: Which of the message's devices, counted from 0 in the order of the message.
        code: A stable code, for example ``bad_device_id``.
        detail: What was expected and found.
    """

    part: int
    code: str
    detail: str = ""


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """One message, decoded.

    Attributes:
        device: The device's id; empty where a message about several devices names none.
        readings: By time, oldest first; may be empty (a message about something else).
        online: What an availability message said, else None.
        flags: Flags of instants of which no value was good, so that no reading carries them.
        more: What the same message says of further devices, in its order. A message none of whose
            devices can be read is refused as a whole instead.
        part: Which of the message's devices this is, counted from 0.
        held: Whether this was a part of a longer message, kept until the rest of it comes. Such a
            message has no readings, and its device may be empty.
        asks: What to send back, because something is missing.
    """

    device: str
    readings: list[Point]
    online: bool | None = None
    flags: tuple[str, ...] = ()
    more: tuple[Decoded | Unread, ...] = ()
    part: int = 0
    held: bool = False
    asks: tuple[Ask, ...] = ()

    @property
    def devices(self) -> tuple[Decoded, ...]:
        """What the message says of each device that can be read; this one first."""
        return (self, *(one for one in self.more if isinstance(one, Decoded)))

    @property
    def unread(self) -> tuple[Unread, ...]:
        """The devices of the message that cannot be read."""
        return tuple(one for one in self.more if isinstance(one, Unread))
