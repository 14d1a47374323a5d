"""Whether the unit that a SenML pack names is the one that the profile expects."""

from __future__ import annotations

from functools import lru_cache

from device_profiles.units import same_unit

# RFC 8428 section 12.1 and RFC 8798 section 2, where the name differs from UCUM
_UCUM = {
    "kg": "kg", "l": "L", "l/s": "L/s", "lat": "deg", "lon": "deg", "dB": "dB", "dBW": "dB[W]",
    "dBm": "dB[mW]", "Bspl": "B[SPL]", "count": "{count}", "/": "1", "%RH": "%", "%EL": "%",
    "EL": "s", "1/s": "/s", "1/min": "/min", "beat/min": "/min", "beats": "{count}",
    "VA": "VA", "VAs": "VA.s", "var": "var", "vars": "var.s", "J/m": "J/m", "kg/m3": "kg/m3",
    "ms": "ms", "min": "min", "h": "h", "MHz": "MHz", "kW": "kW", "kVA": "kVA", "kvar": "kvar",
    "Ah": "A.h", "Wh": "W.h", "kWh": "kW.h", "varh": "var.h", "kvarh": "kvar.h", "kVAh": "kVA.h",
    "Wh/km": "W.h/km", "KiB": "KiBy", "GB": "GBy", "Mbit/s": "Mbit/s", "B": "By", "B/s": "By/s",
    "MB": "MBy", "pH": "[pH]", "ppm": "[ppm]", "ppb": "[ppb]", "/100": "%", "/1000": "[ppth]",
    "hPa": "hPa", "mm": "mm", "cm": "cm", "km": "km", "km/h": "km/h", "NTU": "[NTU]",
}  # fmt: skip


@lru_cache(maxsize=4096)
def agrees(sent: str, expected: str) -> bool:
    """Return whether a number in ``sent`` (SenML name) is a number in ``expected`` (UCUM)."""
    return sent == expected or same_unit(_UCUM.get(sent, sent), expected)
