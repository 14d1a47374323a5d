"""The UCUM units that `units` knows: dimension, exact factor to the coherent unit, offset."""

from __future__ import annotations

import math
from fractions import Fraction

Dimension = tuple[tuple[str, int], ...]
Atom = tuple[Dimension, Fraction, Fraction]

PREFIXES: dict[str, Fraction] = {
    **{
        name: Fraction(10) ** exp
        for name, exp in {
            "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
            "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18,
        }.items()
    },
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40),
}  # fmt: skip
"""Prefix to factor; also the binary ones of IEC 80000-13."""


def _atom(bases: str, factor: str | int | Fraction = 1, offset: str | int = 0) -> Atom:
    """Read bases such as ``g m2 s-3`` (gram, metre, second)."""
    dimension = []
    for word in bases.split():
        name = word.rstrip("-0123456789")
        dimension.append((name, int(word[len(name) :] or 1)))
    return tuple(sorted(dimension)), Fraction(factor), Fraction(offset)


_PI = Fraction(math.pi)

_METRIC: dict[str, Atom] = {
    "m": _atom("m"), "s": _atom("s"), "g": _atom("g"), "rad": _atom("rad"), "K": _atom("K"),
    "C": _atom("C"), "cd": _atom("cd"), "mol": _atom("mol"), "eq": _atom("mol"),
    "osm": _atom("mol"), "sr": _atom("rad2"), "bit": _atom("bit"), "By": _atom("bit", 8),
    "Bd": _atom("s-1"), "Hz": _atom("s-1"), "N": _atom("g m s-2", 1000),
    "Pa": _atom("g m-1 s-2", 1000), "J": _atom("g m2 s-2", 1000), "W": _atom("g m2 s-3", 1000),
    "A": _atom("C s-1"), "V": _atom("C-1 g m2 s-2", 1000), "F": _atom("C2 g-1 m-2 s2", "1/1000"),
    "Ohm": _atom("C-2 g m2 s-1", 1000), "S": _atom("C2 g-1 m-2 s", "1/1000"),
    "Wb": _atom("C-1 g m2 s-1", 1000), "T": _atom("C-1 g s-1", 1000),
    "H": _atom("C-2 g m2", 1000), "lm": _atom("cd rad2"), "lx": _atom("cd m-2 rad2"),
    "Bq": _atom("s-1"), "Gy": _atom("m2 s-2"), "Sv": _atom("m2 s-2"), "kat": _atom("mol s-1"),
    "U": _atom("mol s-1", "1/60000000"), "l": _atom("m3", "1/1000"), "L": _atom("m3", "1/1000"),
    "ar": _atom("m2", 100), "t": _atom("g", 1_000_000), "bar": _atom("g m-1 s-2", 100_000_000),
    "cal": _atom("g m2 s-2", 4184), "cal_th": _atom("g m2 s-2", 4184),
    "eV": _atom("g m2 s-2", Fraction("1.602176634e-16")), "pc": _atom("m", 30856780000000000),
    "m[Hg]": _atom("g m-1 s-2", 133322000), "m[H2O]": _atom("g m-1 s-2", 9806650),
    "B": _atom("bel"), "Np": _atom("neper"), "B[SPL]": _atom("bel_spl"), "B[V]": _atom("bel_v"),
    "B[mV]": _atom("bel_mv"), "B[uV]": _atom("bel_uv"), "B[W]": _atom("bel_w"),
    "B[kW]": _atom("bel_kw"), "B[mW]": _atom("bel_mw"),
    "var": _atom("g m2 s-3", 1000), "VA": _atom("g m2 s-3", 1000),
    "G": _atom("C-1 g s-1", "1/10"), "Ci": _atom("s-1", 37_000_000_000),
    "P": _atom("g m-1 s-1", 100),
    "St": _atom("m2 s-1", "1/10000"), "dyn": _atom("g m s-2", "1/100"), "R": _atom("C g-1",
    "2.58e-7"),
    "erg": _atom("g m2 s-2", "1/10000"), "Gal": _atom("m s-2", "1/100"), "RAD": _atom("m2 s-2",
    "1/100"),
    "REM": _atom("m2 s-2", "1/100"), "gf": _atom("g m s-2", "9.80665"), "Cel": _atom("K", 1,
    "273.15"),
}  # fmt: skip

METRIC = frozenset(_METRIC)
"""Units that take a prefix. `B[mW]`, `var` and `VA` are additions to UCUM that metering needs."""

ATOMS: dict[str, Atom] = {
    **_METRIC,
    "%": _atom("", "1/100"), "[ppth]": _atom("", "1/1000"), "[ppm]": _atom("", "1/1000000"),
    "[ppb]": _atom("", "1/1000000000"), "[pptr]": _atom("", "1/1000000000000"),
    "[pH]": _atom("ph"), "[pi]": _atom("", _PI),
    "min": _atom("s", 60), "h": _atom("s", 3600), "d": _atom("s", 86400), "wk": _atom("s", 604800),
    "mo": _atom("s", 2629800), "a": _atom("s", 31557600),
    "deg": _atom("rad", _PI / 180), "'": _atom("rad", _PI / 10800),
    "''": _atom("rad", _PI / 648000),
    "gon": _atom("rad", _PI / 200), "circ": _atom("rad", 2 * _PI),
    "har": _atom("m2", 10000), "[g]": _atom("m s-2", "9.80665"),
    "[c]": _atom("m s-1", 299792458), "att": _atom("g m-1 s-2", 98066500),
    "atm": _atom("g m-1 s-2", 101325000),
    "[psi]": _atom("g m-1 s-2", Fraction("6894757.293168361")),
    "[in_i]": _atom("m", "0.0254"), "[ft_i]": _atom("m", "0.3048"), "[yd_i]": _atom("m", "0.9144"),
    "[mi_i]": _atom("m", "1609.344"), "[nmi_i]": _atom("m", 1852),
    "[sft_i]": _atom("m2", "0.09290304"), "[acr_us]": _atom("m2", "4046.872609874252"),
    "[lbf_av]": _atom("g m s-2", "4448.2216152605"), "[kn_i]": _atom("m s-1", "1852/3600"),
    "[lb_av]": _atom("g", "453.59237"), "[oz_av]": _atom("g", "28.349523125"),
    "[gal_us]": _atom("m3", "0.003785411784"), "[cft_i]": _atom("m3", "0.028316846592"),
    "[HP]": _atom("g m2 s-3", Fraction("745699.87158227022")),
    "[Btu]": _atom("g m2 s-2", Fraction("1055055.85262")),
    "[degF]": _atom("K", "5/9", "45967/180"), "[NTU]": _atom("ntu"), "[CFU]": _atom("cfu"),
    "[IU]": _atom("iu"), "[iU]": _atom("iu"), "[arb'U]": _atom("arb"), "[pt_us]": _atom("m3",
    "0.000473176473"),
    "[qt_us]": _atom("m3", "0.000946352946"), "[degR]": _atom("K", "5/9"),
    "[in_i'Hg]": _atom("g m-1 s-2", "3386380"),
}  # fmt: skip
"""Every unit by its case-sensitive code."""

MISSPELT: dict[str, str] = {
    "°C": "Cel", "degC": "Cel", "celsius": "Cel", "Celsius": "Cel", "℃": "Cel", "°F": "[degF]",
    "degF": "[degF]", "°": "deg", "kWh": "kW.h", "Wh": "W.h", "MWh": "MW.h", "kvarh": "kvar.h",
    "Ah": "A.h", "mAh": "mA.h", "ppm": "[ppm]", "ppb": "[ppb]", "pH": "[pH]", "dBm": "dB[mW]",
    "dBA": "dB[SPL]", "lux": "lx", "rpm": "/min", "RPM": "/min", "ct": "{count}", "cnt": "{count}",
    "count": "{count}", "pcs": "{count}", "sec": "s", "hour": "h", "hours": "h", "day": "d",
    "days": "d", "kmh": "km/h", "kph": "km/h", "mph": "[mi_i]/h", "m³": "m3", "m²": "m2",
    "m3/hr": "m3/h", "psi": "[psi]", "mmHg": "mm[Hg]", "NTU": "[NTU]", "Byte": "By", "byte": "By",
    "bytes": "By", "bps": "bit/s", "µg/m3": "ug/m3", "μg/m3": "ug/m3", "µS/cm": "uS/cm",
    "Ω": "Ohm", "ohm": "Ohm", "percent": "%", "": "1", "kn": "[kn_i]", "inch": "[in_i]",
}  # fmt: skip
"""What people write instead of UCUM; ``ct`` would be read as a hundredth of a tonne."""
