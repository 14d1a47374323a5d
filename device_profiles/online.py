"""Availability messages: whether devices, or their last wills, say that they are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_profiles.codecs import parse_json
from device_profiles.decoded import Decoded, Unread
from device_profiles.devices import Devices, gathered
from device_profiles.identity import Identity
from device_profiles.paths import Getter
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


@dataclass(frozen=True, slots=True)
class Presence:
    """How the availability messages of one address are read.

    Attributes:
        says: What each of them says whatever is in it (``gateway/connect``), or None.
        get: Walks to what one says of a device; None: it says it itself, or under ``state``,
            ``value`` or ``online``.
        devices: Where several devices stand in one, or None.
    """

    says: bool | None = None
    get: Getter | None = None
    devices: Devices | None = None

    def read(self, payload: bytes, captures: Mapping[str, str], identity: Identity) -> Decoded:
        """Return what a message says.

        Args:
            payload: As it came.
            captures: From the topic.
            identity: Makes the device ids: from the topic where it can, else from the message.

        Raises:
            PayloadError: ``bad_availability``, ``bad_device_id``, or what JSON that cannot be
                read is refused with.
        """
        if all(name in captures for name in identity.names):
            return Decoded(identity.make(captures, None), [], self._one(payload))
        message = parse_json(payload)
        if self.devices is None:
            return Decoded(identity.make(captures, message), [], self._of(message))
        found = {"items": message} if isinstance(message, list) else message
        parts: list[Decoded | Unread] = []
        for part, (keys, values) in enumerate(self.devices.split(found)):
            try:
                device = identity.make({**captures, **keys}, values, found)
                parts.append(Decoded(device, [], self._of(values), (), (), part))
            except PayloadError as exc:
                parts.append(Unread(part, exc.code, exc.detail))
        return gathered(parts)

    def _one(self, payload: bytes) -> bool:
        if self.says is not None:
            return self.says
        return parse_online(payload) if self.get is None else self._of(parse_json(payload))

    def _of(self, values: Any) -> bool:
        if self.says is not None:
            return self.says
        found = _said(values if self.get is None else self.get(values))
        if found is None:
            raise _unclear()
        return found


def parse_online(payload: bytes) -> bool:
    """Return what ``online``, ``false``, ``1``, ``{"state": "offline"}`` and the like say.

    Raises:
        PayloadError: ``bad_availability``; nothing is guessed.
    """
    if len(payload) <= _LONGEST:
        word = _WORDS.get(payload.strip().lower().decode("utf-8", "replace"))
        if word is not None:
            return word
        try:
            found = _said(parse_json(payload))
        except PayloadError:
            found = None
        if found is not None:
            return found
    raise _unclear()


def _said(message: Any) -> bool | None:
    if isinstance(message, dict):
        message = next((message[key] for key in _KEYS if key in message), None)
    if isinstance(message, bool):
        return message
    if isinstance(message, str):
        return _WORDS.get(message.strip().lower())
    return message == 1 if message in (0, 1) else None


def _unclear() -> PayloadError:
    return PayloadError("bad_availability", 'expected online, offline, true, false or {"state": …}')
