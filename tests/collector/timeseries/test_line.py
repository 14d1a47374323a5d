"""A line says exactly what the record said, as one point, or the record is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.timeseries.line import LineEncoder, encode_point, parse_line
from collector.timeseries.series import Point, Unwritable, to_point
from gateway_core.model import (
    Alarm,
    Batch,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    SystemHealth,
)

T = 1_700_000_000_000_000_000

text = st.text(max_size=12) | st.sampled_from(
    ["a,b", "a b", "a=b", 'q"q', "\\", "a\\", "\\,", "\\\\", "x\ny 1", "\0", "#a", "湿度", "\ud800"]
)
values = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True, allow_infinity=True)
    | text
)
points = st.builds(
    Point,
    measurement=text,
    tags=st.dictionaries(text, text, max_size=4),
    fields=st.dictionaries(text, values, max_size=4),
    time=st.integers(-(2**64), 2**64),
)


def same(a: object, b: object) -> bool:
    return a == b and type(a) is type(b)


@given(points)
def test_what_is_written_reads_back_the_same_or_is_refused(point: Point) -> None:
    try:
        line = encode_point(point)
    except Unwritable:
        return
    assert "\n" not in line
    read = parse_line(line)
    assert read.measurement == point.measurement
    assert read.tags == {key: value for key, value in point.tags.items() if value}
    assert read.fields.keys() == point.fields.keys()
    assert all(same(read.fields[key], point.fields[key]) for key in point.fields)
    assert read.time == point.time


@given(points)
def test_the_quick_way_for_readings_writes_what_the_plain_way_writes(point: Point) -> None:
    record = Reading("e1", "d1", "acme", point.measurement, point.time, T, point.fields, point.tags)
    quick: str | None = None
    plain: str | None = None
    encoder = LineEncoder()
    try:
        quick = encoder.encode(record)
        assert encoder.encode(record) == quick
    except Unwritable:
        pass
    own = {"edge", "device", "profile"}
    try:
        if own.isdisjoint(point.tags):
            plain = encode_point(to_point(record))
    except Unwritable:
        pass
    assert quick == plain


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"fields": {"t": float("nan")}}, "not_finite"),
        ({"fields": {"t": float("-inf")}}, "not_finite"),
        ({"fields": {"t": 2**63}}, "int_range"),
        ({"fields": {"t": 10**30}}, "int_range"),
        ({"fields": {}}, "no_fields"),
        ({"fields": {"t": "a\nb"}}, "control_character"),
        ({"fields": {"t": "a\0b"}}, "control_character"),
        ({"fields": {"t": "\ud800"}}, "bad_utf8"),
        ({"fields": {"t": "x" * 65_537}}, "too_long"),
        ({"fields": {"time": 1}}, "reserved_name"),
        ({"fields": {"_field": 1}}, "reserved_name"),
        ({"fields": {"": 1}}, "empty_name"),
        ({"fields": {"device": 1}}, "field_is_tag"),
        ({"fields": {"x": 1}, "tags": {"x": "1"}}, "field_is_tag"),
        ({"fields": {f"f{n}": 1 for n in range(1025)}}, "too_many_fields"),
        ({"tags": {"edge": "e2"}}, "reserved_name"),
        ({"tags": {"site": "a\nb"}}, "control_character"),
        ({"tags": {"site": "a\\"}}, "backslash"),
        ({"tags": {"site": "a\\ b"}}, "backslash"),
        ({"tags": {"site": "x" * 1025}}, "too_long"),
        ({"measurement": "#env"}, "reserved_name"),
        ({"measurement": ""}, "empty_name"),
        ({"device": "d\n1"}, "control_character"),
        ({"time": 2**63}, "time_range"),
    ],
)
def test_what_no_line_can_carry_is_refused_by_name(changes: dict, code: str) -> None:
    told = {
        "edge": "e1",
        "device": "d1",
        "profile": "acme",
        "measurement": "env",
        "time": T,
        "received": T,
        "fields": {"t": 1.0},
    }
    with pytest.raises(Unwritable) as caught:
        LineEncoder().encode(Reading(**(told | changes)))
    assert caught.value.code == code


RECORDS = [
    Reading("e1", "d 1", "ac,me", "env", T, T, {"t": 21.0, "n": -3, "ok": True, "s": 'a"\\b'}),
    Reading("e1", "d1", "p", "m x", 7, T, {"a=b": 1e16, "c,d": 1e-7}, {"k": "v=1", "void": ""}),
    FeedHealth("e1", "f1", T, "offline", ("rtsp_timeout", "tcp_refused"), 5, 3, 12.5, 60.0),
    SystemHealth("e1", "s1", T, "up", hourly=True),
    Alarm("e1", "d1", "p", "hot", "major", "raised", T, {"zh": "过热", "en": "too\nhot"}),
    Loss("e1", T, "ep", 3, 9, "damaged", "bad crc"),
]


def test_every_kind_of_record_has_its_line() -> None:
    golden = Path(__file__).with_name("lines.golden").read_text().splitlines()
    encoder = LineEncoder()
    assert [encoder.encode(record) for record in RECORDS] == golden


def test_an_entry_of_the_registry_is_not_a_series() -> None:
    assert LineEncoder().encode(Listed("e1", "device", "d1", T)) is None
    assert LineEncoder().encode(ProfileUse("e1", "acme/env", "1.0.0", "ab" * 32, T)) is None


def test_a_batch_keeps_the_numbers_of_what_it_could_not_write() -> None:
    good = Reading("e1", "d1", "p", "env", T, T, {"t": 1.0})
    bad = Reading("e1", "d1", "p", "env", T, T, {"t": float("nan")})
    lines = LineEncoder().encode_batch(Batch(5, [good, bad, good, Listed("e1", "device", "d", T)]))
    assert lines.seqs == [5, 7]
    assert [(each.seq, each.reason) for each in lines.rejected] == [(6, "not_finite")]
    assert lines.not_series == 1


def test_what_is_known_against_the_times_of_a_reading_is_a_field_of_its_point():
    flags = ("humidity:range", "time:repaired", "time:replaced")
    one = Reading("e1", "d1", "acme", "env", T, T, {"t": 1.5}, {}, flags)
    found = LineEncoder().encode_batch(Batch(1, [one]))
    assert found.lines == [
        f'env,device=d1,edge=e1,profile=acme clock_mark="repaired,replaced",t=1.5 {T}'
    ]
