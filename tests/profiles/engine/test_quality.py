"""Quality: a bad value is left out with a flag that says why; nothing is guessed."""

import pytest

from device_profiles.quality import Flagged, compile_finish

FLOAT = {"type": "float", "unit": "1"}
INT = {"type": "int", "unit": "1"}
MAPPED = {"type": "enum", "values": ["off", "on"], "map": {"0": "off", "1": "on", "2": "odd"}}


@pytest.mark.parametrize(
    ("spec", "value", "stored"),
    [
        (FLOAT, 21, 21.0),
        (FLOAT, 2**63, 9.223372036854775808e18),
        (FLOAT | {"scale": 0.1}, 308, 30.8),
        (FLOAT | {"scale": 0.1}, 3, 0.3),
        (FLOAT | {"scale": 0.01, "offset": -40}, 6512, 25.12),
        (FLOAT | {"unit": "Cel", "wire_unit": "[degF]", "scale": 0.1}, 770, 25.0),
        (FLOAT | {"range": [0, 1]}, 1, 1.0),
        (INT, 22.0, 22),
        (INT, 2**63 - 1, 2**63 - 1),
        (INT | {"scale": 1000}, 2**53 + 1, (2**53 + 1) * 1000),
        (INT | {"scale": 0.4}, 201, 80),
        ({"type": "bool"}, False, False),
        ({"type": "bool", "bit": 3}, 8, True),
        ({"type": "bool", "map": {"on": True, "off": False}}, "off", False),
        (MAPPED, 1, "on"),
        (MAPPED, 1.0, "on"),
        (MAPPED, "0", "off"),
        ({"type": "string"}, "x" * 1024, "x" * 1024),
        (FLOAT | {"invalid": [32767]}, 32767.0, None),
    ],
)
def test_a_good_value_is_stored_in_its_type(spec, value, stored):
    found = compile_finish(spec)(value)
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    ("spec", "value", "code"),
    [
        (FLOAT, True, "not_number"),
        (FLOAT, "21.5", "not_number"),
        (FLOAT, float("nan"), "not_number"),
        (FLOAT, float("inf"), "range"),
        (FLOAT, 2**64, "range"),
        (FLOAT, [1], "not_number"),
        (FLOAT | {"range": [0, 1]}, 1.01, "range"),
        (FLOAT | {"range": [0, 1], "scale": 10}, 1, "range"),
        (INT, 22.5, "not_number"),
        (INT, False, "not_number"),
        (INT, 2**63, "range"),
        (INT | {"scale": 1000}, 2**60, "range"),
        ({"type": "bool"}, 1, "not_bool"),
        ({"type": "bool"}, "on", "not_bool"),
        ({"type": "bool", "bit": 3}, 8.0, "not_bool"),
        (MAPPED, True, "unmapped"),
        (MAPPED, 7, "unmapped"),
        (MAPPED, 10**100, "unmapped"),
        (MAPPED, {"a": 1}, "unmapped"),
        (MAPPED, 2, "not_in_enum"),
        ({"type": "enum", "values": ["a"]}, 1, "not_in_enum"),
        ({"type": "string"}, 5, "not_string"),
        ({"type": "string"}, "x" * 1025, "too_long"),
        ({"type": "string", "values": ["good", "bad"]}, "ugly", "not_in_enum"),
    ],
)
def test_a_bad_value_is_flagged(spec, value, code):
    with pytest.raises(Flagged) as found:
        compile_finish(spec)(value)
    assert found.value.code == code
