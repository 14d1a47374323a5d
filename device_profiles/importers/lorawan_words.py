"""What well-known names in LoRaWAN codecs' output mean: unit, type and kind of a measurement.

The codecs name no units. Where a name is not in this table, an imported profile has the unit ``1``
and a remark that a person should look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Meaning(NamedTuple):
    """What a name means.

    Attributes:
        unit: UCUM.
        kind: Of the measurement; empty for the usual one.
        whole: Whether the numbers are whole by nature.
    """

    unit: str
    kind: str = ""
    whole: bool = False


UNITS: dict[str, tuple[str, ...]] = {
    "Cel": ("temperature", "temp", "dew_point", "dewpoint", "temp_c", "tempc"),
    "[degF]": ("temperature_f", "temp_f"),
    "%": ("humidity", "hum", "relative_humidity", "rh", "battery_level", "battery_percent",
        "battery_percentage", "bat_level", "soil_moisture", "vwc", "water_content", "fill_level"),
    "V": ("voltage", "battery_voltage", "bat_v", "batv", "vdd", "vbat", "supply_voltage"),
    "mV": ("battery_mv", "voltage_mv", "vdd_mv"),
    "A": ("current",),
    "W": ("power", "active_power"),
    "V.A": ("apparent_power",),
    "kW.h": ("energy_kwh", "kwh"),
    "W.h": ("energy_wh", "wh"),
    "Hz": ("frequency",),
    "lx": ("light", "lux", "illuminance", "illumination"),
    "[ppm]": ("co2", "co2_ppm", "carbon_dioxide"),
    "[ppb]": ("tvoc_ppb",),
    "ug/m3": ("pm1", "pm1_0", "pm2_5", "pm25", "pm4", "pm10"),
    "hPa": ("pressure", "barometric_pressure", "air_pressure", "atmospheric_pressure"),
    "m/s": ("wind_speed",),
    "deg": ("wind_direction", "latitude", "longitude", "lat", "lon", "lng", "heading", "course"),
    "m": ("altitude", "elevation"),
    "uS/cm": ("conductivity", "soil_conductivity", "ec"),
    "[pH]": ("ph",),
    "dB[mW]": ("rssi",),
    "dB": ("snr",),
    "W/m2": ("solar_radiation", "radiation"),
    "mm": ("rainfall", "precipitation"),
}  # fmt: skip
"""Unit to the names that have it, as the last part of a name: ``air_temperature`` as well."""

COUNTERS = (
    "count", "counter", "counts", "pulses", "pulse_count", "total_count", "counter_a", "counter_b",
    "event_count", "total_counter_in", "total_counter_out",
)  # fmt: skip

CODES = (
    "version", "status", "state", "mode", "type", "code", "id", "index", "port", "channel", "flag",
    "flags", "msg_type", "message_type", "payload_version", "sequence", "seq", "level",
)  # fmt: skip

DIAGNOSTIC = (
    "battery", "bat", "battery_level", "battery_voltage", "battery_percent", "bat_v", "batv", "vdd",
    "rssi", "snr", "vbat", "battery_mv", "firmware_version", "hardware_version", "version",
)  # fmt: skip

_HIGHEST_CELL_V = 5.0
_BATTERIES = ("battery", "bat")


def meaning(name: str, values: Sequence[Any]) -> Meaning | None:
    """Return what the numbers under a name mean, or None where the name says nothing.

    Args:
        name: The measurement's name, words parted by ``_``.
        values: Numbers that were seen.
    """
    kind = "diagnostic" if _ends(name, DIAGNOSTIC) else ""
    whole = all(float(value).is_integer() for value in values)
    if _ends(name, COUNTERS) and whole:
        return Meaning("1", "counter", whole=True)
    if _ends(name, _BATTERIES):
        volts = all(0 < value < _HIGHEST_CELL_V for value in values) and not whole
        return Meaning("V" if volts else "%", kind)
    for unit, names in UNITS.items():
        if _ends(name, names):
            return Meaning(unit, kind)
    if _ends(name, CODES) and whole:
        return Meaning("1", kind, whole=True)
    return None


def _ends(name: str, known: Sequence[str]) -> bool:
    return any(name == one or name.endswith(f"_{one}") for one in known)
