"""Units as people write them in EdgeX profiles, as UCUM."""

from __future__ import annotations

from device_profiles.units import UnitFault, parse_unit

_SPELLINGS = {
    "Cel": ("c", "celsius", "degc", "deg c", "degreescelsius",
        "degrees celsius", "degreec", "°c", "℃", "centigrade"),
    "[degF]": ("f", "degf", "deg f", "fahrenheit",
        "degrees fahrenheit", "degreesfahrenheit", "°f", "℉"),
    "K": ("kelvin",),
    "%": ("percent", "percentage", "pct", "%rh", "rh", "%relative humidity", "%h"),
    "V": ("volt", "volts"),
    "mV": ("millivolt", "millivolts"),
    "A": ("amp", "amps", "ampere", "amperes"),
    "mA": ("milliamp", "milliamps", "milliampere"),
    "W": ("watt", "watts"),
    "kW": ("kilowatt", "kilowatts", "kw"),
    "W.h": ("wh", "watthours", "watt hours"),
    "kW.h": ("kwh", "kilowatthours", "kilowatt hours", "kilowatt-hours"),
    "V.A": ("va",),
    "V.A{reactive}": ("var",),
    "Hz": ("hertz", "hz"),
    "/min": ("rpm", "revolutions per minute"),
    "s": ("sec", "second", "seconds"),
    "ms": ("millisecond", "milliseconds", "msec"),
    "min": ("minute", "minutes"),
    "h": ("hour", "hours"),
    "d": ("day", "days"),
    "m": ("meter", "meters", "metre", "metres"),
    "cm": ("centimeter", "centimeters", "centimetre"),
    "mm": ("millimeter", "millimeters", "millimetre"),
    "km": ("kilometer", "kilometers", "kilometre"),
    "m/s": ("meters per second", "mps"),
    "m/s2": ("m/s^2", "m/s²"),
    "km/h": ("kph", "kmh"),
    "m3": ("m^3", "m³", "cubic meters"),
    "m3/h": ("m³/h", "m^3/h"),
    "L": ("liter", "liters", "litre", "litres"),
    "L/min": ("lpm",),
    "Pa": ("pascal", "pascals"),
    "hPa": ("hectopascal", "mbar"),
    "kPa": ("kilopascal", "kpa"),
    "bar": ("bars",),
    "[psi]": ("psi",),
    "lx": ("lux",),
    "[ppm]": ("ppm",),
    "[ppb]": ("ppb",),
    "ug/m3": ("µg/m3", "µg/m³", "ug/m³", "μg/m³", "ug/m^3"),
    "deg": ("degree", "degrees", "°", "angle"),
    "dB": ("decibel", "decibels", "db"),
    "dB[mW]": ("dbm",),
    "g": ("gram", "grams"),
    "kg": ("kilogram", "kilograms"),
    "[pH]": ("ph",),
    "{count}": ("count", "counts", "pcs", "pieces", "times"),
    "By": ("byte", "bytes"),
    "uS/cm": ("µs/cm", "μs/cm"),
}  # fmt: skip
_KNOWN = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}


def as_ucum(text: str) -> str | None:
    """Return the UCUM unit that a person meant, or None where that is not clear.

    Everyday spellings go first: nobody who writes "C" for a temperature means the coulomb.
    """
    found = _KNOWN.get(text.strip().lower())
    if found is not None and _is_unit(found):
        return found
    return text.strip() if text.strip() and _is_unit(text.strip()) else None


def _is_unit(text: str) -> bool:
    try:
        parse_unit(text)
    except UnitFault:
        return False
    return True
