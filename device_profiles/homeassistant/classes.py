"""Device classes of Home Assistant: which field they are stored as, and in which unit."""

from __future__ import annotations

from dataclasses import dataclass

from device_profiles.units import Linear, UnitFault, conversion, linear

UNITS = {
    "°C": "Cel", "°F": "[degF]", "K": "K", "%": "%", "hPa": "hPa", "mbar": "mbar", "Pa": "Pa",
    "kPa": "kPa", "bar": "bar", "psi": "[psi]", "W": "W", "kW": "kW", "MW": "MW", "VA": "VA",
    "kVA": "kVA", "var": "var", "kvar": "kvar", "V": "V", "mV": "mV", "A": "A", "mA": "mA",
    "Wh": "W.h", "kWh": "kW.h", "MWh": "MW.h", "J": "J", "MJ": "MJ", "GJ": "GJ", "Hz": "Hz",
    "kHz": "kHz", "lx": "lx", "dB": "dB", "dBm": "dB[mW]", "ppm": "[ppm]", "ppb": "[ppb]",
    "µg/m³": "ug/m3", "μg/m³": "ug/m3", "mg/m³": "mg/m3", "mm": "mm", "cm": "cm", "m": "m",
    "km": "km", "m/s": "m/s", "km/h": "km/h", "mm/h": "mm/h", "mm/d": "mm/d", "m³": "m3", "L": "L",
    "m³/h": "m3/h", "L/min": "L/min", "g": "g", "kg": "kg", "s": "s", "min": "min", "h": "h",
    "d": "d", "ms": "ms", "W/m²": "W/m2", "μS/cm": "uS/cm", "µS/cm": "uS/cm", "mS/cm": "mS/cm",
    "°": "deg", "B": "By", "kB": "kBy", "MB": "MBy", "GB": "GBy",
}  # fmt: skip
"""Units as Home Assistant writes them, in UCUM."""

FIELDS = {
    "apparent_power": "VA", "aqi": "1", "atmospheric_pressure": "hPa", "battery": "%",
    "carbon_dioxide": "[ppm]", "carbon_monoxide": "[ppm]", "conductivity": "uS/cm", "current": "A",
    "data_size": "By", "distance": "m", "duration": "s", "energy": "kW.h", "energy_storage": "kW.h",
    "frequency": "Hz", "gas": "m3", "humidity": "%", "illuminance": "lx", "irradiance": "W/m2",
    "moisture": "%", "nitrogen_dioxide": "ug/m3", "nitrogen_monoxide": "ug/m3", "ozone": "ug/m3",
    "ph": "1", "pm1": "ug/m3", "pm25": "ug/m3", "pm10": "ug/m3", "power": "W", "power_factor": "%",
    "precipitation": "mm", "precipitation_intensity": "mm/h", "pressure": "hPa",
    "reactive_power": "var", "signal_strength": "dB[mW]", "sound_pressure": "dB", "speed": "m/s",
    "sulphur_dioxide": "ug/m3", "temperature": "Cel", "volatile_organic_compounds": "ug/m3",
    "volatile_organic_compounds_parts": "[ppb]", "voltage": "V", "volume": "m3",
    "volume_flow_rate": "m3/h", "volume_storage": "m3", "water": "m3", "weight": "kg",
    "wind_direction": "deg", "wind_speed": "m/s",
}  # fmt: skip
"""Device classes of sensors whose state is a number, and the unit in which they are stored."""

DETECTED = (
    "battery", "battery_charging", "carbon_monoxide", "cold", "connectivity", "door", "garage_door",
    "gas", "heat", "light", "lock", "moisture", "motion", "moving", "occupancy", "opening", "plug",
    "power", "presence", "problem", "running", "safety", "smoke", "sound", "tamper", "update",
    "vibration", "window",
)  # fmt: skip
"""Device classes of binary sensors; each is stored as ``<class>_on``."""

NUMBER, TEXT, SWITCH = "value", "state", "on"
"""Fields of entities without a class: a number in the unit of the tag ``unit``, text, a bool."""

_BY_UNIT = {
    "°C": "temperature", "°F": "temperature", "W": "power", "kW": "power", "kWh": "energy",
    "Wh": "energy", "V": "voltage", "mV": "voltage", "A": "current", "mA": "current",
    "Hz": "frequency", "lx": "illuminance", "hPa": "pressure", "dBm": "signal_strength",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stored:
    """How an entity's state is stored.

    Attributes:
        field: The field.
        factor: Turns the announced unit into the field's; None for text, bools and unknown units.
        unit: The announced unit where the field has none of its own; else empty.
    """

    field: str
    factor: Linear | None = None
    unit: str = ""


def sensor_stored(device_class: str, unit: str, *, numeric: bool) -> Stored:
    """Return how a sensor is stored.

    Args:
        device_class: Or empty.
        unit: As announced, or empty.
        numeric: Whether something else says that the state is a number (``state_class``).

    Raises:
        UnitFault: The unit is not one of the class.
    """
    name = device_class or _BY_UNIT.get(unit, "")
    if name not in FIELDS:
        if unit or numeric:
            return Stored(NUMBER, None, unit)
        return Stored(TEXT)
    wanted = FIELDS[name]
    if wanted == "1" or (not unit and wanted == "%"):
        return Stored(name, linear(*conversion("1", "1")))
    if unit not in UNITS:
        raise UnitFault(f"the unit {unit!r} of a {name} is not known")
    return Stored(name, linear(*conversion(UNITS[unit], wanted)))


def binary_stored(device_class: str) -> Stored:
    """Return how a binary sensor is stored."""
    return Stored(f"{device_class}_on" if device_class in DETECTED else SWITCH)
