"""What network servers say of a LoRaWAN reception, under one set of names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SERVER = "$"
"""Where a profile finds the network server's message: ``$.rxInfo.0.rssi``."""

RADIO = "$lora"
"""Where it finds what every network server says: ``$lora.rssi``."""


def radio_of(via: str, message: dict[str, Any]) -> dict[str, Any]:
    """Return how an uplink was received; what the server does not say is absent.

    Args:
        via: ``chirpstack-v4``, ``ttn-v3`` or ``milesight-gateway``.
        message: The server's message.

    Returns:
        ``f_cnt f_port adr confirmed dr sf bandwidth`` (Hz) ``frequency`` (Hz), of the gateway that
        heard it best ``gateway rssi`` (dBm) ``snr`` (dB), and ``gateways``, how many heard it.
    """
    read = _READERS.get(via)
    found = {} if read is None else read(message)
    return {name: value for name, value in found.items() if value is not None}


def _chirpstack(message: dict[str, Any]) -> dict[str, Any]:
    sent = _object(message.get("txInfo"))
    lora = _object(_object(sent.get("modulation")).get("lora"))
    return {
        # its JSON leaves out what is 0 (proto3)
        "f_cnt": message.get("fCnt", 0),
        "f_port": message.get("fPort"),
        "dr": message.get("dr"),
        "adr": message.get("adr"),
        "confirmed": message.get("confirmed"),
        "sf": lora.get("spreadingFactor"),
        "bandwidth": lora.get("bandwidth"),
        "frequency": sent.get("frequency"),
        **_heard(message.get("rxInfo"), lambda each: each.get("gatewayId"), "snr"),
    }


def _things_stack(message: dict[str, Any]) -> dict[str, Any]:
    uplink = _object(message.get("uplink_message") or message.get("uplink_normalized"))
    settings = _object(uplink.get("settings"))
    lora = _object(_object(settings.get("data_rate")).get("lora"))
    return {
        "f_cnt": uplink.get("f_cnt", 0),
        "f_port": uplink.get("f_port"),
        "dr": settings.get("data_rate_index"),
        "confirmed": uplink.get("confirmed"),
        "sf": lora.get("spreading_factor"),
        "bandwidth": lora.get("bandwidth"),
        "frequency": _whole(settings.get("frequency")),
        **_heard(
            uplink.get("rx_metadata"),
            lambda each: _object(each.get("gateway_ids")).get("gateway_id"),
            "snr",
        ),
    }


def _milesight(message: dict[str, Any]) -> dict[str, Any]:
    sent = _object(message.get("txInfo"))
    rate = _object(sent.get("dataRate"))
    bandwidth = rate.get("bandwidth")
    return {
        "f_cnt": message.get("fCnt"),
        "f_port": message.get("fPort"),
        "adr": sent.get("adr"),
        "sf": rate.get("spreadFactor"),
        "bandwidth": bandwidth * 1000 if type(bandwidth) is int else None,
        "frequency": sent.get("frequency"),
        **_heard(message.get("rxInfo"), lambda each: each.get("mac"), "loRaSNR"),
    }


_READERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "chirpstack-v4": _chirpstack,
    "ttn-v3": _things_stack,
    "milesight-gateway": _milesight,
}


def _heard(found: object, gateway: Callable[[dict[str, Any]], object], snr: str) -> dict[str, Any]:
    receptions = (
        [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    )
    if not receptions:
        return {}
    best = max(receptions, key=_strength)
    return {
        "gateway": gateway(best),
        "rssi": best.get("rssi"),
        "snr": best.get(snr),
        "gateways": len(receptions),
    }


def _whole(found: object) -> int | None:
    """Return a number of 64 bits, which the JSON of proto3 writes as text."""
    text = str(found)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _strength(reception: dict[str, Any]) -> float:
    rssi = reception.get("rssi")
    usable = isinstance(rssi, int | float) and not isinstance(rssi, bool)
    return float(rssi) if usable else float("-inf")  # type: ignore[arg-type]  # usable says so


def _object(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
