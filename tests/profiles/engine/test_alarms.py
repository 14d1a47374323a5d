"""Alarms: hysteresis, duration, latch, rate of change; late data and restarts change nothing."""

import pytest

from device_profiles.alarms import AlarmMemory, AlarmRules
from gateway_core.errors import PayloadError
from tests.fakes.profile_text import room

S = 1_000_000_000
HOT = "hot: {severity: major, raise: temperature > 60.0, clear: temperature < 55.0}"


def rules(spec: str = HOT) -> AlarmRules:
    return AlarmRules(room(HOT, spec))


def play(engine: AlarmRules, *readings: tuple[int, dict[str, object]]) -> list[list[str]]:
    memory, out = None, []
    for second, fields in readings:
        memory, changes = engine.step(memory, fields, second * S)
        out.append([f"{change} {rule}" for rule, change in changes])
    return out


def test_an_alarm_stays_raised_between_its_two_thresholds():
    found = play(
        rules(),
        (1, {"temperature": 61.0}),
        (2, {"temperature": 57.0}),
        (3, {"temperature": 61.0}),
        (4, {"temperature": 54.0}),
        (5, {"temperature": 57.0}),
    )
    assert found == [["raised hot"], [], [], ["cleared hot"], []]


def test_without_clear_an_alarm_ends_when_its_condition_does():
    found = play(
        rules("hot: {severity: major, raise: temperature > 60.0}"),
        (1, {"temperature": 61.0}),
        (2, {"temperature": 60.0}),
    )
    assert found == [["raised hot"], ["cleared hot"]]


def test_a_rule_is_looked_at_only_when_one_of_its_inputs_arrives():
    engine = rules()
    assert engine.concerns({"temperature": 1.0})
    assert not engine.concerns({"humidity": 1.0})
    assert play(engine, (1, {"humidity": 99.0})) == [[]]


def test_last_known_values_complete_a_partial_message():
    engine = rules("hot: {severity: major, raise: open && temperature > 60.0}")
    found = play(engine, (1, {"open": True}), (2, {"temperature": 61.0}))
    assert found == [[], ["raised hot"]]


def test_an_input_that_was_never_seen_is_not_false():
    engine = rules('hot: {severity: major, raise: "!open && temperature > 60.0"}')
    assert play(engine, (1, {"temperature": 61.0})) == [[]]


def test_a_duration_counts_from_the_first_message_and_restarts_when_broken():
    engine = rules("hot: {severity: major, raise: temperature > 60.0, for: 30s}")
    found = play(
        engine,
        (0, {"temperature": 61.0}),
        (29, {"temperature": 59.0}),
        (30, {"temperature": 61.0}),
        (59, {"temperature": 61.0}),
        (60, {"temperature": 61.0}),
    )
    assert found == [[], [], [], [], ["raised hot"]]


def test_the_clock_alone_raises_a_condition_that_has_held_for_long_enough():
    engine = rules("hot: {severity: major, raise: temperature > 60.0, for: 30s}")
    memory, _ = engine.step(None, {"temperature": 61.0}, 5 * S, received=100 * S)
    assert engine.due(memory) == 130 * S
    assert engine.tick(memory, 129 * S) == []
    assert engine.tick(memory, 130 * S) == [("hot", "raised")]
    assert engine.due(memory) is None
    assert engine.tick(memory, 200 * S) == []


def test_a_device_whose_clock_is_wrong_does_not_raise_early():
    engine = rules("hot: {severity: major, raise: temperature > 60.0, for: 30s}")
    memory, _ = engine.step(None, {"temperature": 61.0}, 5 * S, received=3600 * S)
    assert engine.tick(memory, 3601 * S) == []


def test_late_data_changes_nothing():
    engine = rules()
    memory, _ = engine.step(None, {"temperature": 20.0}, 100 * S, received=100 * S)
    memory, changes = engine.step(memory, {"temperature": 90.0}, 50 * S, received=101 * S)
    assert changes == []
    assert memory.values["temperature"] == 20.0


def test_a_time_that_was_ahead_of_the_clock_does_not_silence_a_rule():
    engine = rules()
    memory, _ = engine.step(None, {"temperature": 20.0}, 500 * S, received=100 * S)
    _, changes = engine.step(memory, {"temperature": 90.0}, 110 * S, received=110 * S)
    assert changes == [("hot", "raised")]


def test_a_rate_of_change_is_per_second_between_the_last_two_readings():
    engine = rules(
        "hot: {severity: major, raise: rate_temperature > 0.5, clear: rate_temperature < 0.1}"
    )
    found = play(
        engine,
        (0, {"temperature": 20.0}),
        (10, {"temperature": 24.0}),
        (20, {"temperature": 30.0}),
        (20, {"temperature": 90.0}),
        (30, {"temperature": 90.0}),
    )
    assert found == [[], [], ["raised hot"], [], ["cleared hot"]]


def test_a_rate_of_whole_numbers_is_a_float():
    engine = rules("hot: {severity: major, raise: rate_count >= 2.0}")
    assert play(engine, (0, {"count": 1}), (2, {"count": 5})) == [[], ["raised hot"]]


def test_a_latched_alarm_stays_until_it_is_released_and_its_cause_is_gone():
    engine = rules(HOT.replace("}", ", latch: true}"))
    memory, _ = engine.step(None, {"temperature": 61.0}, 1 * S)
    memory, changes = engine.step(memory, {"temperature": 20.0}, 2 * S)
    assert changes == []
    memory, _ = engine.step(memory, {"temperature": 58.0}, 3 * S)
    assert engine.release(memory, "hot") == []
    memory, changes = engine.step(memory, {"temperature": 50.0}, 4 * S)
    assert changes == [("hot", "cleared")]
    assert engine.release(memory, "hot") == []


def test_memory_survives_as_bytes():
    engine = rules(
        "hot: {severity: major, raise: temperature > 60.0, clear: temperature < 55.0, for: 30s}"
    )
    memory, _ = engine.step(None, {"temperature": 61.0, "count": 3}, 0)
    again = AlarmMemory.decode(memory.encode())
    assert again == memory
    again, changes = engine.step(again, {"temperature": 61.0}, 30 * S)
    assert changes == [("hot", "raised")]
    assert AlarmMemory.decode(again.encode()).raised == ["hot"]


def test_damaged_memory_is_refused():
    with pytest.raises(PayloadError, match="bad_alarm_memory"):
        AlarmMemory.decode(b"\xc1")


def test_each_device_begins_with_a_clean_state():
    engine = rules()
    engine.step(None, {"temperature": 61.0}, 1 * S)
    _, changes = engine.step(None, {"temperature": 61.0}, 2 * S)
    assert changes == [("hot", "raised")]


def test_silence_comes_from_the_availability_of_the_profile():
    profile = room("alarms:", "availability: {expect_every: 1m, offline_after: 5m}\nalarms:")
    assert profile.availability.deadline(1000 * S) == 1300 * S
    assert room().availability.deadline(1000 * S) is None
