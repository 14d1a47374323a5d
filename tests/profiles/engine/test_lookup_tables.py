"""Tables turn wire values into stored ones exactly: curves by interpolation, maps by ranges."""

import pytest

from device_profiles.quality import Flagged, compile_finish
from gateway_core.errors import ConfigError
from tests.fakes.profile_text import room, route_of

POINTS = [[0, 20.0], [100, 25.5], [300, 10.1]]
TABLE = {"type": "float", "unit": "Cel", "lookup": {"points": POINTS}}


def flag(finish, value):
    with pytest.raises(Flagged) as found:
        finish(value)
    return found.value.code


@pytest.mark.parametrize(
    ("raw", "value"),
    [(0, 20.0), (10, 20.55), (50, 22.75), (100, 25.5), (200, 17.8), (300, 10.1), (0.5, 20.0275)],
)
def test_between_two_points_the_value_is_on_the_straight_line(raw, value):
    assert compile_finish(TABLE)(raw) == value


def test_outside_the_table_there_is_no_value_unless_the_ends_count():
    assert flag(compile_finish(TABLE), -1) == "range"
    assert flag(compile_finish(TABLE), 300.5) == "range"
    clamped = compile_finish({**TABLE, "lookup": {"points": POINTS, "outside": "clamp"}})
    assert [clamped(-1), clamped(1e9)] == [20.0, 10.1]


def test_points_may_fall_as_those_of_a_thermistor_do():
    points = [[32650, 0], [10000, 25], [3603, 50]]
    finish = compile_finish({"type": "float", "unit": "Cel", "lookup": {"points": points}})
    assert [finish(32650), finish(10000), finish(21325), finish(3603)] == [0.0, 25.0, 12.5, 50.0]


def test_scale_and_unit_apply_to_what_the_table_gives():
    finish = compile_finish({**TABLE, "unit": "Cel", "wire_unit": "[degF]", "scale": 10})
    assert finish(0) == pytest.approx((200 - 32) / 1.8, abs=1e-12)


def test_an_int_is_the_nearest_whole_number():
    finish = compile_finish({"type": "int", "unit": "L", "lookup": {"points": [[0, 0], [4, 10]]}})
    assert [finish(1), finish(2), finish(3)] == [3, 5, 8]


def test_what_is_no_number_is_flagged():
    assert flag(compile_finish(TABLE), "50") == "not_number"
    assert flag(compile_finish(TABLE), True) == "not_number"


def test_a_range_of_a_map_holds_both_its_ends():
    table = {"..-1": "cold", "0..9": "low", "10..": "high", "x": "text"}
    finish = compile_finish({"type": "string", "map": table})
    assert [finish(v) for v in (-1, -7.5, 0, 9, 4.5, 10, 1e9, "x")] == [
        "cold", "cold", "low", "low", "low", "high", "high", "text",
    ]  # fmt: skip
    assert flag(finish, 9.5) == "unmapped"
    assert flag(finish, "4") == "unmapped"
    assert flag(finish, True) == "unmapped"


def test_a_key_of_its_own_goes_before_a_range():
    finish = compile_finish({"type": "string", "map": {"0..9": "low", "5": "five"}})
    assert [finish(5), finish(6)] == ["five", "low"]


@pytest.mark.parametrize(
    ("new", "place"),
    [
        ("lookup: {points: [[0, 1], [2, 3], [1, 4]]}, range: [-40, 85]", "lookup.points.2"),
        ("lookup: {points: [[0, 1], [0, 3]]}, range: [-40, 85]", "lookup.points.1"),
        ('map: {"0..5": 1, "5..9": 2}', "map.5..9"),
        ('map: {"9..0": 1}', "map.9..0"),
    ],
)
def test_a_table_that_contradicts_itself_is_a_fault_with_its_place(new, place):
    with pytest.raises(ConfigError) as found:
        room("range: [-40, 85]", new)
    assert f"measurements.temperature.{place}: " in str(found.value.faults[0])


def test_a_table_is_a_stage_of_a_profile():
    profile = room("range: [-40, 85]", "lookup: {points: [[0, -10], [1000, 40]]}")
    decoded = route_of(profile).decode(b'{"temperature": 500}', 1)
    assert decoded.readings[0].fields == {"temperature": 15.0}
