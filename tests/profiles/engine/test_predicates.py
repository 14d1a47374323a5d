"""A condition over a message gives as closures what CEL gives, whatever the message holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.cel import compile_cel
from device_profiles.predicates import _Parser, _through_cel, compile_predicate

TYPES = {"d": "any", "c": "any", "fport": "any"}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]),
    st.sampled_from(["", "a", "b", "1"]),
)
members = st.one_of(
    scalars,
    st.lists(st.sampled_from(["a", "b"]), max_size=2),
    st.dictionaries(st.sampled_from(["x", "y", "a"]), scalars, max_size=3),
)
messages = st.dictionaries(st.sampled_from(["x", "y", "z"]), members, max_size=3)
literals = st.sampled_from(["0", "1", "-1", "0.5", "1.0", "true", "false", '"a"', "'b'", '"1"'])
paths = st.sampled_from(["d.x", "d.y", "d.x.y", "d.z.a", 'd["x"]', "d.y['x']", "c.n", "fport"])
signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
comparisons = st.one_of(
    st.builds("{} {} {}".format, paths, signs, literals),
    st.builds("{} {} {}".format, literals, signs, paths),
    st.builds("has({})".format, st.sampled_from(["d.x", "d.x.y", "d.z.a", "c.n"])),
    st.builds("{} in [{}, {}]".format, paths, literals, literals),
    st.builds('"{}" in {}'.format, st.sampled_from(["a", "x"]), st.sampled_from(["d", "d.x", "c"])),
    st.sampled_from(["d.x", "d.x.y", "!d.y"]),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("{} && {}".format, inner, inner),
        st.builds("{} || {}".format, inner, inner),
        st.builds("({})".format, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=5,
)


@given(
    text=conditions,
    d=messages,
    c=st.dictionaries(st.just("n"), st.sampled_from(["a", "1"]), max_size=1),
    fport=st.sampled_from([None, 1, 2]),
)
@settings(max_examples=400)
def test_closures_give_what_cel_gives(text, d, c, fport):
    expression = compile_cel(text, TYPES)
    values = {"d": d, "c": c, "fport": fport}
    assert compile_predicate(expression)(values) is _through_cel(expression)(values)


@pytest.mark.parametrize(
    "text",
    [
        'd.kind == "climate"',
        'has(d.object.level) && fport != 3 && !("x" in d)',
        'c.device_profile in ["EM300-TH", "EM300"]',
        'd["switch:0"].output || d.n >= 2.5',
    ],
)
def test_what_is_usual_needs_no_call_into_cel(text):
    assert callable(_Parser(compile_cel(text, TYPES)).parse())


def test_what_is_unusual_goes_through_cel():
    holds = compile_predicate(compile_cel('d.id.startsWith("a") && size(d.list) > 1', TYPES))
    assert holds({"d": {"id": "ab", "list": [1, 2]}}) is True
    assert holds({"d": {"id": "ab", "list": [1]}}) is False
    assert holds({"d": {"id": 7}}) is False


def test_an_integer_that_cel_cannot_hold_does_not_hide_the_rest():
    values = {"d": {"kind": "a", "serial": 2**64 - 1}}
    assert compile_predicate(compile_cel('d.kind == "a"', TYPES))(values) is True
    assert compile_predicate(compile_cel('d.kind.startsWith("a")', TYPES))(values) is True
    assert compile_predicate(compile_cel("d.serial > 5", TYPES))(values) is True
