"""Units: UCUM is read as it is defined, conversions are exact, and misspellings are named."""

import pytest

from device_profiles.units import UnitFault, conversion, linear, parse_unit, same_unit


@pytest.mark.parametrize(
    ("wire", "unit", "factor", "offset"),
    [
        ("W.h", "kW.h", 0.001, 0.0),
        ("[degF]", "Cel", 5 / 9, -160 / 9),
        ("K", "Cel", 1.0, -273.15),
        ("m/s", "km/h", 3.6, 0.0),
        ("mm[Hg]", "hPa", 1.33322, 0.0),
        ("L/min", "m3/h", 0.06, 0.0),
        ("J", "kW.h", 1 / 3_600_000, 0.0),
        ("KiBy", "By", 1024.0, 0.0),
        ("%", "1", 0.01, 0.0),
        ("10*3/uL", "10*9/L", 1.0, 0.0),
        ("V.A{reactive}", "kVA", 0.001, 0.0),
    ],
)
def test_a_conversion_is_one_factor_and_one_offset(wire, unit, factor, offset):
    found = conversion(wire, unit)
    assert (float(found[0]), float(found[1])) == pytest.approx((factor, offset))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("kWh", "kW.h"),
        ("°C", "Cel"),
        ("ct", "{count}"),
        ("Cels", "Cel"),
        ("dBm", "dB[mW]"),
        ("m//s", "expected a unit"),
        ("(m", "bracket"),
        ("Cel/m", "stands alone"),
        ("2m", "expected a unit"),
        ("", "'1'"),
        ("m" * 65, "1 to 64"),
    ],
)
def test_what_is_not_a_unit_is_refused_with_a_hint(text, hint):
    with pytest.raises(UnitFault, match=hint.translate({91: r"\[", 93: r"\]", 123: r"\{"})):
        parse_unit(text)


def test_things_that_are_not_measured_alike_do_not_convert():
    with pytest.raises(UnitFault, match="do not measure the same"):
        conversion("Cel", "V")
    with pytest.raises(UnitFault, match="do not measure the same"):
        conversion("dB[mW]", "dB[SPL]")


def test_integers_stay_exact_through_a_conversion():
    line = linear(*conversion("[degF]", "Cel"))
    assert (line.num, line.add, line.den) == (5, -160, 9)


def test_the_same_quantity_in_other_words_is_the_same_unit():
    assert same_unit("L", "l")
    assert same_unit("V.A", "W")
    assert not same_unit("K", "Cel")
    assert not same_unit("%", "1")
