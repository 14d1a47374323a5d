"""Names that say what a member of a message measures: field name, type, unit, range."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from device_profiles.units import UnitFault, conversion

Type = Literal["float", "int"]


@dataclass(frozen=True, slots=True)
class Known:
    """What a well-known name means.

    Attributes:
        field: The field's name.
        type: Its type.
        unit: UCUM.
        range: Least and greatest good value, or None.
        kind: As in a profile; empty for a gauge.
        theme: Where such fields are usually stored; empty where it may be anywhere.
    """

    field: str
    type: Type
    unit: str
    range: tuple[float, float] | None = None
    kind: str = ""
    theme: str = ""


def _env(field: str, unit: str, low: float, high: float) -> Known:
    return Known(field, "float", unit, (low, high), theme="env")


def _power(field: str, unit: str, low: float, high: float) -> Known:
    return Known(field, "float", unit, (low, high), theme="power")


_TABLE: tuple[tuple[str, Known], ...] = (
    ("temperature temp tmp t tc air_temperature", _env("temperature", "Cel", -60, 125)),
    ("humidity hum humi rh h relative_humidity", _env("humidity", "%", 0, 100)),
    ("pressure press baro barometer air_pressure p", _env("pressure", "hPa", 300, 1200)),
    ("co2 eco2", _env("co2", "[ppm]", 0, 40000)),
    ("tvoc voc", _env("tvoc", "[ppb]", 0, 60000)),
    ("pm1 pm1_0 pm01", _env("pm1", "ug/m3", 0, 1000)),
    ("pm25 pm2_5 pm2", _env("pm2_5", "ug/m3", 0, 1000)),
    ("pm10", _env("pm10", "ug/m3", 0, 1000)),
    ("lux light illuminance illum", _env("illuminance", "lx", 0, 200000)),
    ("noise sound spl", _env("noise", "dB[SPL]", 0, 140)),
    ("wind_speed windspeed", _env("wind_speed", "m/s", 0, 100)),
    ("rain rainfall", _env("rainfall", "mm", 0, 2000)),
    ("soil_moisture moisture", _env("moisture", "%", 0, 100)),
    ("voltage volt u", _power("voltage", "V", 0, 1000)),
    ("current amp i", _power("current", "A", -10000, 10000)),
    ("power watt active_power", _power("power", "W", -1e6, 1e6)),
    ("energy kwh total_energy", Known("energy", "float", "kW.h", None, "counter", "power")),
    ("pf power_factor", _power("pf", "1", -1, 1)),
    ("freq frequency hz", _power("frequency", "Hz", 0, 1000)),
    ("flow flow_rate", Known("flow", "float", "m3/h", None, "", "water")),
    ("volume", Known("volume", "float", "m3", None, "counter", "water")),
    ("level water_level", Known("level", "float", "m", None, "", "water")),
    ("distance dist", Known("distance", "float", "m", (0, 1000))),
    ("battery bat batt battery_level", Known("battery", "int", "%", (0, 100), "diagnostic")),
    ("battery_voltage vbat batv", Known("battery_voltage", "float", "V", (0, 60), "diagnostic")),
    ("rssi signal", Known("rssi", "float", "dB[mW]", (-200, 50), "diagnostic")),
    ("snr", Known("snr", "float", "dB", (-50, 50), "diagnostic")),
    ("lat latitude", Known("lat", "float", "deg", (-90, 90))),
    ("lon lng longitude", Known("lon", "float", "deg", (-180, 180))),
    ("count counter people", Known("count", "int", "{count}")),
    ("uptime", Known("uptime", "int", "s", None, "diagnostic")),
    ("seq sequence f_cnt fcnt", Known("seq", "int", "1", None, "diagnostic")),
)
NAMES: dict[str, Known] = {name: known for names, known in _TABLE for name in names.split()}
"""Every spelling of a well-known name."""

WIRE_UNITS: dict[str, str] = {
    "c": "Cel", "degc": "Cel", "celsius": "Cel", "f": "[degF]", "degf": "[degF]", "mv": "mV",
    "v": "V", "ma": "mA", "a": "A", "w": "W", "kw": "kW", "wh": "W.h", "kwh": "kW.h", "hz": "Hz",
    "pa": "Pa", "hpa": "hPa", "kpa": "kPa", "mbar": "mbar", "bar": "bar", "ppm": "[ppm]",
    "ppb": "[ppb]", "lx": "lx", "pct": "%", "percent": "%", "mm": "mm", "cm": "cm", "m": "m",
    "km": "km", "kmh": "km/h", "ms": "ms", "s": "s", "sec": "s", "l": "L", "m3": "m3", "kg": "kg",
    "dbm": "dB[mW]", "db": "dB", "deg": "deg",
}  # fmt: skip
"""Last words of names that say the unit: ``battery_mv``, ``temp_f``."""

TIMES = frozenset(
    ("ts", "time", "timestamp", "t", "datetime", "date_time", "reported_at", "measured_at", "utc")
)
"""Names of a message's time; whether it is one, its values decide."""

IDS = (
    "device_id", "deviceid", "dev_id", "device", "dev_eui", "deveui", "imei", "mac", "sn",
    "serial", "serial_number", "node", "sensor_id", "id",
)  # fmt: skip
"""Names of a device's id, the surest first."""


def plain_name(text: str) -> str:
    """Return a name as fields have it: ``battMv`` is ``batt_mv``, ``PM2.5`` is ``pm2_5``."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:64]
    return name if name[:1].isalpha() else f"f_{name}" if name else "value"


def meaning(name: str) -> tuple[Known | None, str]:
    """Return what a plain name means and the unit that it says its values come in, or nothing."""
    known = NAMES.get(name)
    if known is not None:
        return known, ""
    head, _, last = name.rpartition("_")
    unit = WIRE_UNITS.get(last, "") if head else ""
    known = NAMES.get(head) if unit else None
    if known is not None and not _converts(unit, known.unit):
        if head in ("battery", "batt", "bat") and _converts(unit, "V"):
            return NAMES["battery_voltage"], unit
        known = None
    return known, unit


def _converts(wire: str, unit: str) -> bool:
    try:
        conversion(wire, unit)
    except UnitFault:
        return False
    return True


def theme_of(fields: Iterable[Known]) -> str:
    """Return the measurement that most of these fields are stored under, or nothing."""
    themes = [known.theme for known in fields if known.theme]
    return max(dict.fromkeys(themes), key=themes.count) if themes else ""
