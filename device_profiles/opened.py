"""Messages without what carried them: the device's own body, and what was known around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from device_profiles.codecs import unwrap


@dataclass(slots=True)  # frozen would cost a microsecond for each message
class Opened:
    """A message without its envelope.

    Attributes:
        body: Bytes, or an object already parsed.
        captures: From the topic and the envelope.
        fport: LoRaWAN port, or None.
        message: The envelope itself, or None.
        seen: What ``where`` sees where the body is bytes: an object, or anything else for none.
    """

    body: object
    captures: Mapping[str, str]
    fport: int | None = None
    message: dict[str, Any] | None = None
    seen: object = None

    @property
    def asked(self) -> dict[str, object]:
        """What ``where`` may ask: ``d``, ``c``, ``fport`` and ``size``."""
        body, found = self.body, self.seen
        if type(found) is not dict:
            found = body if type(body) is dict else {"items": body} if type(body) is list else {}
        size = len(body) if isinstance(body, bytes) else None
        return {"d": found, "c": dict(self.captures), "fport": self.fport, "size": size}


Open = Callable[[bytes, Mapping[str, str], "int | None"], Opened]


def plain_open(
    read: Callable[[bytes, int | None], object], see: Callable[[bytes], object] | None = None
) -> Open:
    """Return the opener of messages without an envelope.

    Args:
        read: Gives the body.
        see: Gives the object that ``where`` sees, where the body is only bytes to it.
    """
    if see is not None:
        return lambda payload, captures, content_format: Opened(
            read(payload, content_format), captures, seen=see(payload)
        )

    def opens(payload: bytes, captures: Mapping[str, str], content_format: int | None) -> Opened:
        return Opened(read(payload, content_format), captures)

    return opens


def envelope_open(via: str, *, decoded: bool, digits: bool = False) -> Open:
    """Return the opener of a network server's messages.

    Args:
        via: Which server's.
        decoded: Whether the profile reads the server's own decoding rather than the bytes.
        digits: Whether the bytes stand in it as hexadecimal digits.
    """
    topic_names_device = via == "zigbee2mqtt"

    def opens(payload: bytes, captures: Mapping[str, str], _format: int | None) -> Opened:
        envelope = unwrap(via, payload, digits=digits)
        known = {**captures, **envelope.captures}
        if envelope.device is not None and not (topic_names_device and "device" in known):
            known["device"] = envelope.device
        if envelope.time is not None:
            known["time"] = envelope.time
        own = decoded and isinstance(envelope.decoded, dict)
        body = envelope.decoded if own else envelope.payload
        return Opened(body, known, envelope.fport, envelope.message, envelope.decoded)

    return opens
