"""A condition compiled to closures gives what CEL gives, also where values are not known."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.cel import ExpressionFault, Pattern, compile_cel
from device_profiles.conditions import compile_condition, through_cel

TYPES = {"f": "float", "g": "float", "i": "int", "b": "bool", "c": "bool", "s": "string"}

floats = st.floats(-1000, 1000).map(lambda x: round(x, 3))
known = st.fixed_dictionaries(
    {},
    optional={
        "f": floats,
        "g": floats,
        "i": st.integers(-5, 5),
        "b": st.booleans(),
        "c": st.booleans(),
        "s": st.sampled_from(["", "on", "off", "é"]),
    },
)
operators = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
comparisons = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(["f", "g"]), operators, floats.map(repr)),
    st.builds("{}{}{}".format, st.just("f"), operators, st.just("g")),
    st.builds("i {} {}".format, operators, st.integers(-5, 5)),
    st.builds("s {} '{}'".format, st.sampled_from(["==", "!="]), st.sampled_from(["", "on", "é"])),
    st.builds(
        "b {} {}".format, st.sampled_from(["==", "!="]), st.sampled_from(["c", "true", "false"])
    ),
    st.sampled_from(["b", "c", "true", "false", "!b", "!!c"]),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("{} && {}".format, inner, inner),
        st.builds("{} || {}".format, inner, inner),
        st.builds("({})".format, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=8,
)


@given(text=conditions, values=known)
@settings(max_examples=1500)
def test_closures_give_what_cel_gives(text, values):
    expression = compile_cel(text, TYPES)
    assert compile_condition(expression)(values) is through_cel(expression)(values)


@pytest.mark.parametrize(
    "text",
    [
        "b && f < 1.0",
        "b || f < 1.0",
        "!b == c",
        "size(s) > 2",
        "f + g > 1.0",
        "s in ['on', 'off']",
        "!(f < 1.0)",
    ],
)
@pytest.mark.parametrize(
    "values", [{}, {"b": True}, {"b": False}, {"f": 0.5, "g": 2.0, "s": "on", "c": True}]
)
def test_unknown_values_leave_a_condition_unknown_unless_the_rest_decides(text, values):
    expression = compile_cel(text, TYPES)
    assert compile_condition(expression)(values) is through_cel(expression)(values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f > 60", "no matching overload"),
        ("h > 60.0", "undeclared reference"),
        ("f >", "Syntax error"),
        ("s && b", "no matching overload"),
        ("", "Syntax error"),
        ("b" * 3000, "at most 2000 characters"),
    ],
)
def test_a_mistake_is_found_when_the_profile_is_loaded(text, message):
    with pytest.raises(ExpressionFault, match=message):
        compile_cel(text, TYPES)


def test_a_fault_names_line_and_column():
    with pytest.raises(ExpressionFault) as found:
        compile_cel("b &&\n  f > 60", TYPES)
    assert (found.value.line, found.value.col) == (2, 5)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [("..", "éß", True), ("[à-ü]+", "ü", True), ("(?i)É", "é", True), ("a", "ab", False)],
)
def test_a_pattern_is_of_characters_and_of_the_whole_text(
    pattern: str, text: str, matches: bool
) -> None:
    assert Pattern(pattern).matches(text) is matches
