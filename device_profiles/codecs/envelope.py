"""Envelopes: what network servers put around a device's own payload."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from device_profiles.codecs.contract import Envelope
from device_profiles.codecs.jsontext import parse_json
from gateway_core.errors import PayloadError


def unwrap(via: str, payload: bytes, *, digits: bool = False) -> Envelope:
    """Open the message of a network server.

    Args:
        via: One of `OPENERS`.
        payload: The MQTT payload.
        digits: Whether the device's bytes stand in it as hexadecimal digits, as a Milesight
            gateway can be told to send them, and not in base64.

    Raises:
        PayloadError: ``not_json``, or ``bad_envelope`` when something that must be there is not.
        KeyError: `via` is none of them.
    """
    opener = OPENERS[via]
    message = parse_json(payload)
    if not isinstance(message, dict):
        raise PayloadError("bad_envelope", "expected a JSON object")
    return opener(message, digits)


def _chirpstack(message: dict[str, Any], digits: bool) -> Envelope:  # noqa: FBT001  # as all openers
    """Open an ``event/up`` message of ChirpStack 4 (documentation: Integrations, Event types)."""
    info = _object(message.get("deviceInfo"), "deviceInfo")
    device = _text(info.get("devEui"), "deviceInfo.devEui")
    decoded = message.get("object")
    return Envelope(
        _payload(message.get("data"), decoded, ("data", "object"), digits=digits),
        device.lower(),
        _optional_text(message.get("time")),
        _port(message.get("fPort"), "fPort"),
        _captures(
            app=info.get("applicationId"),
            device_name=info.get("deviceName"),
            device_profile=info.get("deviceProfileName"),
            deduplicationId=message.get("deduplicationId"),
            f_cnt=_counter(message.get("fCnt")),
        ),
        decoded,
        message,
    )


def _things_stack(message: dict[str, Any], digits: bool) -> Envelope:  # noqa: FBT001
    """Open an uplink message of The Things Stack 3 (documentation: Data formats).

    What it publishes to ``…/up/normalized`` differs in two keys.
    """
    ids = _object(message.get("end_device_ids"), "end_device_ids")
    normalized = message.get("uplink_normalized")
    uplink = _object(normalized or message.get("uplink_message"), "uplink_message")
    device = _text(ids.get("dev_eui"), "end_device_ids.dev_eui")
    application = ids.get("application_ids")
    version = uplink.get("version_ids")
    decoded = uplink.get("normalized_payload" if normalized else "decoded_payload")
    keys = ("frm_payload", "decoded_payload")
    return Envelope(
        _payload(uplink.get("frm_payload"), decoded, keys, digits=digits),
        device.lower(),
        _optional_text(uplink.get("received_at")) or _optional_text(message.get("received_at")),
        _port(uplink.get("f_port"), "f_port"),
        _captures(
            app=application.get("application_id") if isinstance(application, dict) else None,
            device_name=ids.get("device_id"),
            device_profile=version.get("model_id") if isinstance(version, dict) else None,
            f_cnt=_counter(uplink.get("f_cnt")),
        ),
        decoded,
        message,
    )


def _milesight(message: dict[str, Any], digits: bool) -> Envelope:  # noqa: FBT001
    """Open what the network server within a Milesight gateway publishes.

    Documentation: Milesight, How to Use Payload Codec on Milesight Gateway. With a codec of its
    own the gateway puts decoded values beside, or in the place of, what stands here.
    """
    device = _text(message.get("devEUI"), "devEUI")
    app = message.get("applicationID")
    decoded = message.get("object")
    return Envelope(
        _payload(message.get("data"), decoded, ("data", "object"), digits=digits),
        device.lower(),
        _optional_text(message.get("time")),
        _port(message.get("fPort"), "fPort"),
        _captures(app=str(app) if type(app) is int else app, device_name=message.get("deviceName")),
        decoded,
        message,
    )


def _zigbee2mqtt(message: dict[str, Any], _digits: bool) -> Envelope:  # noqa: FBT001
    """Open a state message of Zigbee2MQTT: flat JSON; the topic, perhaps ``device``, says whose."""
    device = message.get("device")
    address = device.get("ieeeAddr") if isinstance(device, dict) else None
    name = device.get("friendlyName") if isinstance(device, dict) else None
    return Envelope(
        message,
        address.lower() if isinstance(address, str) else None,
        _optional_text(message.get("last_seen")),
        captures=_captures(device_name=name),
        decoded=message,
        message=message,
    )


OPENERS: dict[str, Callable[[dict[str, Any], bool], Envelope]] = {
    "chirpstack-v4": _chirpstack,
    "ttn-v3": _things_stack,
    "milesight-gateway": _milesight,
    "zigbee2mqtt": _zigbee2mqtt,
}
"""What each ``via`` is opened with."""


def _payload(data: object, decoded: object, keys: tuple[str, str], *, digits: bool) -> object:
    """Return the device's bytes, else the server's decoding."""
    key, decoded_key = keys
    if data is None:
        if not isinstance(decoded, dict):
            raise PayloadError("bad_envelope", f"neither {key} nor {decoded_key}")
        return decoded
    text = _text(data, key, empty=True)
    try:
        return bytes.fromhex(text) if digits else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        form = "hexadecimal" if digits else "base64"
        raise PayloadError("bad_envelope", f"{key} is not {form}") from exc


def _object(found: object, key: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise PayloadError("bad_envelope", f"{key} is missing or not an object")
    return found


def _text(found: object, key: str, *, empty: bool = False) -> str:
    if not isinstance(found, str) or not (found or empty):
        raise PayloadError("bad_envelope", f"{key} is missing or not text")
    return found


def _optional_text(found: object) -> str | None:
    return found if isinstance(found, str) and found else None


def _port(found: object, key: str) -> int | None:
    if found is None:
        return None
    if type(found) is not int or not 0 <= found <= 255:
        raise PayloadError("bad_envelope", f"{key} is not a port")
    return found


def _counter(found: object) -> str | None:
    """Return the frame counter as text; servers leave it out where it is 0."""
    if found is None:
        return "0"
    return str(found) if type(found) is int else None


def _captures(**found: object) -> dict[str, str]:
    return {name: value for name, value in found.items() if isinstance(value, str) and value}
