"""Availability messages: whether the device, or its last will, says that it is there."""

from __future__ import annotations

from typing import Any

from device_profiles.codecs import parse_json
from gateway_core.errors import PayloadError

_WORDS = {
    "online": True,
    "true": True,
    "1": True,
    "offline": False,
    "false": False,
    "0": False,
}
_KEYS = ("state", "value", "online")
_LONGEST = 4_096


def parse_online(payload: bytes) -> bool:
    """Return what ``online``, ``false``, ``1``, ``{"state": "offline"}`` and the like say.

    Raises:
        PayloadError: ``bad_availability``; nothing is guessed.
    """
    if len(payload) <= _LONGEST:
        word = _WORDS.get(payload.strip().lower().decode("utf-8", "replace"))
        if word is not None:
            return word
        found = _said(payload)
        if found is not None:
            return found
    raise PayloadError("bad_availability", 'expected online, offline, true, false or {"state": …}')


def _said(payload: bytes) -> bool | None:
    try:
        message: Any = parse_json(payload)
    except PayloadError:
        return None
    if isinstance(message, dict):
        message = next((message[key] for key in _KEYS if key in message), None)
    if isinstance(message, bool):
        return message
    if isinstance(message, str):
        return _WORDS.get(message.strip().lower())
    return message == 1 if message in (0, 1) else None
