"""Lint of units: a unit that UCUM knows and that is not what the field's name says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_profiles.finding import Findings
from device_profiles.lint_evidence import Evidence
from device_profiles.profile import Profile
from device_profiles.units import Unit, UnitFault, parse_unit

MEANT: Mapping[str, str] = {
    "C": "Cel",
    "F": "[degF]",
    "K": "Cel",
    "H": "h",
    "M": "m",
    "S": "s",
    "G": "[g]",
    "P": "Pa",
    "pa": "Pa",
    "a": "A",
    "t": "Cel",
    "m": "min",
    "ar": "Ar",
}
"""What is usually meant by a unit that UCUM reads as something else: ``C`` is the coulomb."""


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A quantity by its field's usual names.

    Attributes:
        names: A field is it when one of these is one of the words of its name.
        units: The first is what to write; any unit of the same dimension as one of them suits.
    """

    names: frozenset[str]
    units: tuple[str, ...]


def _quantity(names: str, *units: str) -> _Quantity:
    return _Quantity(frozenset(names.split()), units)


QUANTITIES = (
    _quantity("temperature temp", "Cel"),
    _quantity("humidity", "%", "g/m3"),
    _quantity("voltage", "V", "%", "deg"),
    _quantity("current", "A", "%"),
    _quantity("energy", "kW.h", "kvar.h", "VA.h"),
    _quantity("frequency", "Hz", "%"),
    _quantity("pressure", "hPa", "%"),
    _quantity("illuminance lux", "lx"),
    _quantity("co2 voc tvoc", "[ppm]", "ug/m3", "mol/m3"),
    _quantity("pm1 pm2_5 pm25 pm10", "ug/m3", "/m3"),
    _quantity("latitude longitude lat lon", "deg"),
    _quantity("rssi", "dB[mW]", "1", "%"),
)
"""Quantities whose field names leave no doubt."""

_COUNTED = frozenset({"count", "counter", "status", "state", "raw", "level", "index", "id", "rate"})


def lint_units(profile: Profile, _evidence: Evidence, findings: Findings) -> None:
    """Enter units that do not measure what the field's name says."""
    for name, spec in profile.document.data["measurements"].items():
        if spec["type"] not in ("float", "int"):
            continue
        for key in ("wire_unit", "unit"):
            if key in spec and not _suits(name, spec[key]):
                findings.warn(
                    "unit-of-another-quantity", ("measurements", name, key), _words(name, spec, key)
                )


def quantity_of(name: str) -> _Quantity | None:
    """Return what a field of this name surely measures, or None."""
    words = frozenset(name.split("_")) | {name}
    if words & _COUNTED:
        return None
    return next((one for one in QUANTITIES if words & one.names), None)


def _suits(name: str, text: str) -> bool:
    quantity = quantity_of(name)
    unit = _unit(text)
    if quantity is None or unit is None:
        return True
    known = [_unit(one) for one in quantity.units]
    return any(one is not None and one.dimension == unit.dimension for one in known)


def _unit(text: str) -> Unit | None:
    try:
        return parse_unit(text)
    except UnitFault:
        return None  # entered where the profile is compiled


def _words(name: str, spec: Mapping[str, Any], key: str) -> str:
    quantity = quantity_of(name)
    usual = quantity.units[0] if quantity else ""
    meant = MEANT.get(spec[key], usual)
    meant = meant if _suits(name, meant) else usual
    return f"{spec[key]!r} does not measure what the name {name!r} says; did you mean {meant!r}?"
