"""What line protocol carries is decoded as it was written, whoever wrote it; a bad line hurts no other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from influxdb_client import Point as ClientPoint
from influxdb_client import WritePrecision

from collector.timeseries.line import encode_point
from collector.timeseries.series import Point
from device_profiles.codecs import Context, compile_decode
from device_profiles.codecs.lines import MAX_LINES, read_lines
from gateway_core.errors import PayloadError

# What both writers carry: no line breaks or NUL in names, no backslash where the client alters it.
NAME = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs"), exclude_characters="\\#_"),
    min_size=1,
    max_size=8,
).filter(lambda name: name not in ("time", "field", "measurement"))  # fmt: skip
WORDS = st.lists(NAME, min_size=1, max_size=3).map(" ".join)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=20)
VALUE = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
PRINTED = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20)
OURS = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), PRINTED)
TIME = st.integers(0, 2**62)


@given(
    WORDS,
    st.dictionaries(WORDS, WORDS, max_size=4),
    st.dictionaries(WORDS, VALUE, min_size=1, max_size=5),
    TIME,
)
@settings(max_examples=150)
def test_what_influxdb_s_own_client_writes_is_read_as_it_was_given(
    name: str, tags: dict[str, str], fields: dict[str, Any], time: int
) -> None:
    point = ClientPoint(name)
    for key, value in tags.items():
        point = point.tag(key, value)
    for key, value in fields.items():
        point = point.field(key, value)
    line = point.time(time, WritePrecision.NS).to_line_protocol()
    assert read_lines(line) == [(name, tags, fields, time)]


@given(
    st.dictionaries(NAME, WORDS, max_size=3),
    st.dictionaries(NAME, OURS, min_size=1, max_size=5),
    TIME,
)
@settings(max_examples=150)
def test_what_our_own_encoder_writes_is_read_as_it_was_given(
    tags: dict[str, str], fields: dict[str, Any], time: int
) -> None:
    tags = {f"t_{key}": value for key, value in tags.items()}
    fields = {f"f_{key}": value for key, value in fields.items()}
    line = encode_point(Point("env", tags, fields, time))
    assert read_lines(line) == [("env", tags, fields, time)]


@given(st.text(st.sampled_from('m,= \\"\n1itu.e-+#é'), max_size=40))
@settings(max_examples=400)
def test_any_text_gives_lines_and_says_what_is_wrong_with_the_others(content: str) -> None:
    for line in read_lines(content):
        assert isinstance(line, str | tuple)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (",a=1 x=1", "expected a measurement"),
        ("m", "expected tags as key=value, then a space and the fields"),
        ("m,a x=1", "expected tags as key=value, then a space and the fields"),
        ("m,a=b=c x=1", "expected tags as key=value, then a space and the fields"),
        ("m,a=1,a=2 x=1", "a tag is there twice"),
        ("m x", "expected a field as key=value"),
        ("m x=", "expected a field as key=value"),
        ("m x=1,", "expected a field as key=value"),
        ('m x="open', "expected a field as key=value"),
        ("m x=NaN", "a value is no number, no bool and not in quotes"),
        ("m x=1.5i", "a value is no number, no bool and not in quotes"),
        ("m x=-1u", "a value is no number, no bool and not in quotes"),
        ("m x=0x10", "a value is no number, no bool and not in quotes"),
        ("m x=yes", "a value is no number, no bool and not in quotes"),
        ("m x=1 soon", "expected a timestamp or the end of the line"),
        ("m x=1 5 6", "expected a timestamp or the end of the line"),
        ("m x=" + "1" * 400 + "," + "y=1," * 17_000 + "z=1", "longer than 65536 characters"),
    ],
)
def test_a_line_that_breaks_the_grammar_is_told_and_the_next_is_read(
    line: str, expected: str
) -> None:
    found = read_lines(line + "\nok x=1i 5")
    assert found[0] == expected
    if '"' not in line:
        assert found[1] == ("ok", {}, {"x": 1}, 5)


def test_a_bad_line_is_a_part_of_its_own_beside_the_others() -> None:
    decode = compile_decode([{"line-protocol": {}}])
    found = decode(b"m a=1i 5\nm a=\nm b=2i 5", Context())
    assert isinstance(found, list)
    assert found[0].values == {"m": {"a": 1, "b": 2}}
    why = found[1].refused
    assert why is not None
    assert (why.code, why.detail) == ("bad_line", "line 2: expected a field as key=value")


def test_more_lines_than_a_message_may_have_are_refused() -> None:
    with pytest.raises(PayloadError, match="too_many_points"):
        read_lines("m a=1\n" * (MAX_LINES + 1))
