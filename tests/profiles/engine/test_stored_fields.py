"""A field keeps its type and unit, and whoever stores it otherwise is told what to write."""

import pytest

from device_profiles.fields import Field, FieldRegistry, field_conflict, fields_of
from tests.fakes.profile_text import room

KNOWN = Field("env", "temperature", "float", "Cel", "acme/a")


@pytest.mark.parametrize(
    ("kind", "unit", "said"),
    [
        ("float", "[degF]", 'write unit: "Cel", wire_unit: "[degF]", or take another name'),
        ("int", "Cel", "write type: float, or take another name"),
        ("int", "K", 'write type: float, unit: "Cel", wire_unit: "K", or take another name'),
        ("float", "%", "% cannot become Cel: take another name"),
        ("string", "", "store it as float, or under another name"),
    ],
)
def test_a_field_that_is_stored_otherwise_is_a_clash_with_advice(kind, unit, said):
    mine = Field("env", "temperature", kind, unit, "acme/b")
    theirs = FieldRegistry([KNOWN]).clash(mine)
    assert theirs == KNOWN
    words = field_conflict(mine, theirs)
    assert words.startswith(
        f"env.temperature is {kind} {unit or '(no unit)'} here and float Cel in acme/a"
    )
    assert words.endswith(said)


def test_the_same_unit_in_other_words_is_no_clash():
    registry = FieldRegistry([Field("power", "energy", "float", "kW.h", "acme/a")])
    assert registry.clash(Field("power", "energy", "float", "kW.h", "acme/b")) is None
    assert registry.clash(Field("power", "other", "int", "1", "acme/b")) is None
    assert registry.clash(Field("gas", "energy", "int", "1", "acme/b")) is None


def test_the_first_that_stores_a_field_counts():
    registry = FieldRegistry([KNOWN, Field("env", "temperature", "int", "K", "acme/c")])
    assert registry.find("env", "temperature") == KNOWN
    assert list(registry) == [KNOWN]


def test_an_enum_is_stored_as_text():
    found = {field.name: (field.type, field.unit) for field in fields_of(room())}
    assert found["mode"] == ("string", "")
    assert found["energy"] == ("float", "kW.h")
