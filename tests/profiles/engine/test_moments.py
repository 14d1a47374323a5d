"""Time: a device's own time is taken exactly where it is believable, else the receive time."""

import pytest

from device_profiles.moments import Believed, TimeFault, compile_read, parse_zone
from device_profiles.profile import load_profile
from tests.fakes.profile_text import PLAIN, changed, room, route_of

NOW = 1_700_000_000_000_000_000
S = 1_000_000_000


@pytest.mark.parametrize(
    ("form", "zone", "value", "nanoseconds"),
    [
        ("unix", None, 1631186545.04, 1631186545040000000),
        ("unix", None, 1700000000, NOW),
        ("unix_ms", None, 1700000000123, 1700000000123000000),
        ("rfc3339", None, "2025-04-08T09:15:18Z", 1744103718000000000),
        ("rfc3339", None, "2025-04-08T17:15:18.123456789+08:00", 1744103718123456789),
        ("rfc3339", "8:00", "2025-04-08 17:15:18", 1744103718000000000),
        ("rfc3339", "Asia/Shanghai", "2025-04-08T17:15:18", 1744103718000000000),
        ("rfc3339", None, "2016-12-31T23:59:60Z", 1483228800000000000),
        ("bcd_yymmddhhmmss", "8:00", "211108194050", 1636371650000000000),
        (None, None, 1700000000.5, 1700000000500000000),
        (None, None, 1700000000500, 1700000000500000000),
        (None, None, "2025-04-08T09:15:18Z", 1744103718000000000),
    ],
)
def test_a_time_is_read_to_the_nanosecond_that_was_sent(form, zone, value, nanoseconds):
    assert compile_read(form, parse_zone(zone) if zone else None)(value) == nanoseconds


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("unix", True), ("unix", "1700000000"), ("unix", float("nan")), ("unix", float("inf")), ("unix", 1e300),
        ("unix_ms", None), ("rfc3339", 1700000000), ("rfc3339", "2025-04-08"), ("rfc3339", "2025-13-08T09:15:18Z"),
        ("rfc3339", "2025-04-08T09:15:18"), ("rfc3339", "2025-04-08T09:15:18+99:00"), ("rfc3339", "x" * 100_000),
        ("bcd_yymmddhhmmss", "211308194050"), ("bcd_yymmddhhmmss", "21110819405"), ("bcd_yymmddhhmmss", 211108194050),
    ],
)  # fmt: skip
def test_what_is_not_a_time_of_that_form_is_none(form, value):
    assert compile_read(form, None)(value) is None


@pytest.mark.parametrize(
    ("time", "taken"),
    [
        (NOW - 86400 * S, NOW - 86400 * S),
        (NOW - 86401 * S, NOW),
        (NOW + 300 * S, NOW + 300 * S),
        (NOW + 301 * S, NOW),
        (0, NOW),
        (946_684_800 * S, NOW),
        (-5, NOW),
        (2**70, NOW),
        (None, NOW),
    ],
)
def test_an_unbelievable_time_gives_way_to_the_receive_time(time, taken):
    assert Believed({"max_age": "1d", "max_ahead": "5m"})(time, NOW) == taken


def test_without_limits_a_time_may_be_old_but_at_most_a_day_ahead():
    believed = Believed({})
    assert believed(NOW - 2 * 365 * 86400 * S, NOW) == NOW - 2 * 365 * 86400 * S
    assert believed(NOW + 2 * 86400 * S, NOW) == NOW


def test_an_unknown_zone_is_refused():
    for text in ("8", "25:00", "Mars/Olympus", "../../etc/passwd", ""):
        with pytest.raises(TimeFault):
            parse_zone(text)


def test_a_message_without_a_time_has_the_receive_time():
    decoded = route_of(room()).decode(b'{"temperature": 20}', NOW)
    assert decoded.readings[0].time == NOW


def test_stored_records_become_points_of_their_own_oldest_first():
    text = changed("decode:", "each: {from: log, time: at}\ndecode:", PLAIN)
    payload = b'{"temperature": 3, "log": [{"at": 1699000000, "temperature": 2}, {"at": 1690000000, "temperature": 1}]}'
    decoded = route_of(load_profile(text, "each.yaml")).decode(payload, NOW)
    assert [(p.time // S, p.fields) for p in decoded.readings] == [
        (1690000000, {"temperature": 1.0}),
        (1699000000, {"temperature": 2.0}),
        (1700000000, {"temperature": 3.0}),
    ]


def test_a_stored_record_without_a_believable_time_is_flagged_not_moved():
    text = changed("decode:", "each: {from: log, time: at}\ndecode:", PLAIN)
    payload = b'{"log": [{"at": 12, "temperature": 2}, {"temperature": 1}, {"at": 1800000000, "temperature": 1}, 5]}'
    decoded = route_of(load_profile(text, "each.yaml")).decode(payload, NOW)
    assert decoded.readings == []
    assert decoded.flags == ("time:range", "time:range", "time:range")
