"""From one message of a session to what it says of its sender and of the devices behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from device_profiles.codecs import Message, Packet
from device_profiles.decoded import Decoded, Unread
from device_profiles.devices import gathered
from device_profiles.identity import Identity
from gateway_core.errors import PayloadError

NAMED, NUMBERED, FURTHER = 0, 1, 2
"""Parts of such a message: what it names itself, what needs earlier messages, further devices."""

ReadPackets = Callable[[list[Packet], Mapping[str, str], int], Decoded]


def read_message(
    found: Message,
    captures: Mapping[str, str],
    received: int,
    identity: Identity,
    read: ReadPackets,
) -> Decoded:
    """Return what one message says.

    Args:
        found: What the codec gave.
        captures: From topic and envelope.
        received: Nanoseconds since 1970.
        identity: Makes device ids.
        read: Makes points of packets about one device.

    Raises:
        PayloadError: ``bad_device_id``.
    """
    parts: list[Decoded | Unread] = []
    if found.named:
        parts.append(read(found.named, captures, received))
    if found.numbered:
        numbered = read(found.numbered, captures, received)
        parts.append(msgspec.structs.replace(numbered, part=NUMBERED))
    if found.unread is not None:
        parts.append(Unread(NUMBERED, *found.unread))
    if found.sender and not found.named and (found.online is not None or not found.numbered):
        parts.insert(0, Decoded(identity.make(captures, {}), []))
    parts += _further(found, identity)
    first = parts[0]
    if isinstance(first, Unread):
        return gathered(parts)
    flags = first.flags
    if first.readings or found.online is not None:
        flags = (*flags, *found.flags)
    return msgspec.structs.replace(
        first,
        online=found.online if found.sender else first.online,
        flags=flags,
        more=(*first.more, *parts[1:]),
        asks=found.asks,
    )


def _further(found: Message, identity: Identity) -> list[Decoded | Unread]:
    further: list[Decoded | Unread] = []
    for part, (captures, online) in enumerate(found.also, start=FURTHER):
        try:
            device = identity.make(captures, {})
        except PayloadError as exc:
            further.append(Unread(part, exc.code, exc.detail))
        else:
            further.append(Decoded(device, [], online, part=part))
    return further
