"""What a codec is given, what it gives back, and how a wrong specification is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from device_profiles.memory import Memory
from gateway_core.errors import PayloadError

Values = dict[str, Any]
"""Decoded values by name: number, bool, text, nested ``Values``, or a list of those."""


@dataclass(slots=True)  # frozen would cost a microsecond for each message
class Context:
    """What is known about a message beside its bytes.

    Attributes:
        captures: ``{named}`` parts of the topic or path, and what the envelope added.
        received: When the edge took it in, nanoseconds since 1970 (UTC).
        content_format: CoAP Content-Format, or None.
        fport: LoRaWAN port, or None.
        memory: Of earlier messages; None where there is none.
        owner: The profile whose decoder this is: what it keeps is its own.
    """

    captures: Mapping[str, str] = field(default_factory=dict)
    received: int = 0
    content_format: int | None = None
    fport: int | None = None
    memory: Memory | None = None
    owner: str = ""


class Held(PayloadError):
    """A part of a longer message: it is in the memory, and read when the rest of it has come."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The values of one message that share a device and an instant.

    Attributes:
        device: What the message calls the device (SenML: the name's part before the value's own
            name); None when it names none.
        time_ns: Nanoseconds since 1970 (UTC), relative times already added to the receive time;
            None means "now", as a record without time says.
        values: Own name to value. A SenML record's sum is ``<name>#sum``.
        units: Own name to the unit as sent (SenML names: ``Cel``, ``%RH``, ``m/s``); then a
            measurement's ``from`` is such a name. None: ``from`` is a path into ``values``.
        captures: Names that the message adds to those of topic or path; theirs go first.
        refused: Why this part of the message cannot be read, while others of it can; else None.
        history: Whether this was recorded earlier and sent late: then it may be of any age.
    """

    device: str | None
    time_ns: int | None
    values: Values
    units: dict[str, str] | None = None
    captures: Mapping[str, str] = field(default_factory=dict)
    refused: PayloadError | None = None
    history: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What a decoder would have the edge send back, because something is missing.

    Attributes:
        topic: MQTT topic.
        payload: The bytes.
    """

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a session: what it says and what it means for who is there.

    Attributes:
        named: Values that the message names itself.
        numbered: Values for whose names earlier messages were needed.
        unread: Code and detail where the name of a value is not known; None where all are.
        online: Whether the sender says that it comes or goes; None where neither.
        flags: Quality flags of the message as a whole.
        also: Captures of each further device, and whether it is there.
        asks: What to send back.
        sender: False where the message has no sender of its own, only values and devices.
    """

    named: list[Packet]
    numbered: list[Packet]
    unread: tuple[str, str] | None = None
    online: bool | None = None
    flags: tuple[str, ...] = ()
    also: tuple[tuple[Mapping[str, str], bool], ...] = ()
    asks: tuple[Ask, ...] = ()
    sender: bool = True


@dataclass(frozen=True, slots=True)
class Envelope:
    """A network server's message, unwrapped.

    Attributes:
        payload: The device's own bytes, or the decoded object when no bytes were sent.
        device: The server's name for the device (an EUI in lower case), or None.
        time: When the server says it was received, RFC 3339 text, or None.
        fport: LoRaWAN port, or None.
        captures: Further names: ``app``, ``device_name``, ``device_profile`` where known.
        decoded: The server's own decoding, whether bytes were sent as well or not.
        message: The server's message, whole.
    """

    payload: bytes | object
    device: str | None = None
    time: str | None = None
    fport: int | None = None
    captures: dict[str, str] = field(default_factory=dict)
    decoded: object = None
    message: dict[str, Any] = field(default_factory=dict)


Decode = Callable[[object, Context], "Values | list[Packet] | Message"]
"""Decodes one message (bytes, or an object already parsed); raises `PayloadError`, nothing else."""


class SpecError(Exception):
    """A codec's specification is wrong.

    Attributes:
        path: Where, counted from the ``decode`` list, for example ``(0, "struct", "fields", 2)``.
        message: What was expected and what was found.
    """

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(f"{'.'.join(map(str, path))}: {message}")
        self.path = path
        self.message = message
