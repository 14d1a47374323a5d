"""Messages of LoRaWAN network servers as they go over MQTT: downlinks to send, uplinks to try.

Formats: ChirpStack 4 (Integrations, MQTT), The Things Stack 3 (Data formats, Schedule downlinks
with MQTT), Milesight gateways (Downlink Data).
"""

from __future__ import annotations

import base64
from typing import Any

SERVERS = ("chirpstack-v4", "ttn-v3", "milesight-gateway")
"""Every ``via`` that is a LoRaWAN network server."""

DOWN_TOPICS = {
    "chirpstack-v4": "application/{app}/device/{device}/command/down",
    "ttn-v3": "v3/{app}/devices/{dev}/down/push",
}
"""Where network servers take downlinks; on a Milesight gateway whoever set it up chose it."""

UPLINK_PORT = 85
"""For messages whose port nobody reads."""


def downlink(
    via: str, device: str, payload: bytes, fport: int, *, confirmed: bool = False
) -> dict[str, Any]:
    """Return the message that asks a network server for a downlink.

    Args:
        via: One of `SERVERS`.
        device: The device's EUI.
        payload: The application payload.
        fport: Its port.
        confirmed: Whether the device shall confirm it (LoRaWAN 1.0.4 section 4.3.1.2).
    """
    data = base64.b64encode(payload).decode()
    if via == "ttn-v3":
        one: dict[str, Any] = {"f_port": fport, "frm_payload": data, "priority": "NORMAL"}
        if confirmed:
            one["confirmed"] = True
        return {"downlinks": [one]}
    key = "devEui" if via == "chirpstack-v4" else "devEUI"
    return {key: device, "confirmed": confirmed, "fPort": fport, "data": data}


def uplink(
    via: str,
    device: str,
    body: bytes | dict[str, Any],
    *,
    app: str = "a1",
    fport: int | None = UPLINK_PORT,
    stamp: str | None = None,
) -> dict[str, Any]:
    """Return the message in which a network server passes an uplink on.

    Args:
        via: One of `SERVERS`.
        device: The device's EUI.
        body: The application payload, or the server's own decoding of it.
        app: The application that the device belongs to.
        fport: Its port; None where it is not known.
        stamp: When it was received, RFC 3339; None for a message without a time.
    """
    data = base64.b64encode(body).decode() if isinstance(body, bytes) else None
    if via == "ttn-v3":
        held = {"decoded_payload": body} if data is None else {"frm_payload": data}
        message = _known(f_port=fport, received_at=stamp) | held
        ids = {"dev_eui": device.upper(), "application_ids": {"application_id": app}}
        return {"end_device_ids": ids, "uplink_message": message}
    held = {"object": body} if data is None else {"data": data}
    message = _known(fPort=fport, time=stamp) | held
    if via == "chirpstack-v4":
        return {"deviceInfo": {"applicationId": app, "devEui": device}, **message}
    return {"applicationID": app, "devEUI": device, **message}


def _known(**found: object) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
