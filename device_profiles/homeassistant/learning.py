"""The decoder of discovery topics: announcements are kept, and change what is listened to."""

from __future__ import annotations

import msgspec

from device_profiles.codecs import Context, Held, Message
from device_profiles.homeassistant.announcement import parse_announcement
from gateway_core.errors import PayloadError

KIND = "homeassistant"
"""What memory keys of announcements begin with; also the ``via`` and the decode step."""

ENTITY_NAMES = frozenset({"entity", "unit"})
"""Captures that an announced state has beside ``device``."""

TOPICS = (
    "homeassistant/{component}/{object}/config",
    "homeassistant/{component}/{node}/{object}/config",
)


class Announcement(msgspec.Struct, frozen=True, array_like=True):
    """One discovery message as it came."""

    payload: bytes


def learn(payload: object, context: Context) -> Message:
    """Keep an announcement.

    Raises:
        PayloadError: `Held`, because it is kept; or it is not one, see `parse_announcement`.
    """
    known = context.captures
    middle = [known[key] for key in ("component", "node", "object") if key in known]
    topic = "/".join(["homeassistant", *middle, "config"])
    raw = payload if isinstance(payload, bytes) else b""
    if context.memory is None:
        raise PayloadError("not_applicable", "an announcement by itself has no values")
    entities = parse_announcement(topic, raw)
    key, said = f"{KIND}/{topic}", Announcement(raw)
    if not entities:
        context.memory.put(key, None)
    elif context.memory.get(key, Announcement) != said:  # retained ones come again and again
        context.memory.put(key, said)
    raise Held("announced", f"{len(entities)} entities")
