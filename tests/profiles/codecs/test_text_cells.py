"""CSV and plain text become typed values as the profile says, and nothing is guessed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.codecs import Context, SpecError, compile_decode
from gateway_core.errors import PayloadError


def run(step, payload):
    return compile_decode([step])(payload, Context())


def code(step, payload):
    with pytest.raises(PayloadError) as found:
        run(step, payload)
    return found.value.code


COLUMNS = {"csv": {"columns": ["id", {"t": "float"}, "skip", {"n": "int"}, {"on": "bool"}]}}


def test_columns_have_the_type_that_was_declared_and_text_otherwise():
    assert run(COLUMNS, b"007,21.5,x,-3,true\r\n") == {"id": "007", "t": 21.5, "n": -3, "on": True}


def test_a_cell_of_another_type_stays_text_so_that_quality_flags_it():
    assert run(COLUMNS, b"a,21.5C,x,3.0,yes") == {"id": "a", "t": "21.5C", "n": "3.0", "on": "yes"}
    assert run(COLUMNS, b"a,nan,x,0x10,0") == {"id": "a", "t": "nan", "n": "0x10", "on": False}


def test_an_empty_cell_is_no_value():
    assert run(COLUMNS, b"a,,,,") == {"id": "a"}


def test_integers_are_exact_beyond_what_a_double_holds():
    assert run({"csv": {"columns": [{"n": "int"}]}}, b"9007199254740993") == {"n": 9007199254740993}


def test_quotes_and_delimiters_are_those_of_rfc_4180():
    step = {"csv": {"columns": ["a", "b"], "delimiter": ";"}}
    assert run(step, b'"x;""y""\nz";2') == {"a": 'x;"y"\nz', "b": "2"}
    assert run({"csv": {"columns": ["a", "b"], "delimiter": "tab"}}, b"1\t2") == {
        "a": "1",
        "b": "2",
    }


def test_a_comma_may_stand_before_the_fraction():
    step = {"csv": {"columns": [{"t": "float"}], "delimiter": ";", "decimal": ","}}
    assert run(step, b"21,5") == {"t": 21.5}
    assert run(step, b"1.021,5") == {"t": "1.021,5"}


def test_a_header_names_the_columns_in_any_order():
    step = {"csv": {"columns": [{"t": "float"}, "id"], "header": True, "rows": "rows"}}
    assert run(step, b"id,x,t\na,1,2.5\n\nb,2,\n") == {"rows": [{"t": 2.5, "id": "a"}, {"id": "b"}]}
    assert code(step, b"id,x\na,1") == "bad_csv"
    assert code(step, b"") == "bad_csv"


@pytest.mark.parametrize(
    "payload", [b"1,2,3", b"", b"1,2,x,4,5\n1,2,x,4,5", b'"1', b'"1"x,2,3,4,5', b"a\rb,2,3,4,5"]
)
def test_a_line_that_is_not_as_described_is_refused(payload):
    assert code(COLUMNS, payload) == "bad_csv"


def test_more_lines_than_a_message_may_have_are_refused():
    step = {"csv": {"columns": ["a"], "rows": "rows"}}
    assert len(run(step, b"1\n" * 10_000)["rows"]) == 10_000
    assert code(step, b"1\n" * 10_001) == "bad_csv"


def test_bytes_that_are_no_utf_8_are_refused():
    assert code(COLUMNS, b"\xff,1,2,3,4") == "not_text"
    assert code({"text": {"pairs": {}}}, b"a=\xff") == "not_text"


def test_a_pattern_names_what_it_takes():
    step = {"text": {"pattern": r"T=(?P<t>[-0-9.]+)( H=(?P<h>\d+))?", "types": {"t": "float"}}}
    assert run(step, b"T=-4.5 H=40\n") == {"t": -4.5, "h": "40"}
    assert run(step, b"T=-4.5") == {"t": -4.5}
    assert code(step, b"T=-4.5 H=x") == "bad_text"


def test_of_several_patterns_the_first_that_matches_counts():
    step = {"text": {"pattern": [r"OK (?P<n>\d+)", r"ERR (?P<why>.+)"], "types": {"n": "int"}}}
    assert run(step, b"OK 12") == {"n": 12}
    assert run(step, b"ERR no probe") == {"why": "no probe"}


def test_of_pairs_there_are_at_most_ten_thousand():
    pairs = [f"k{n}=1" for n in range(10_001)]
    assert len(run({"text": {"pairs": {}}}, ",".join(pairs[:10_000]).encode())) == 10_000
    assert code({"text": {"pairs": {}}}, ",".join(pairs).encode()) == "bad_text"


def test_pairs_are_text_until_they_have_a_type():
    step = {"text": {"pairs": {"separator": ";", "assign": ":"}, "types": {"T": "float"}}}
    assert run(step, b" T : 21.5 ; H:40;; x:") == {"T": 21.5, "H": "40"}
    assert code(step, b"T:21.5;broken") == "bad_text"
    assert code(step, b" ") == "bad_text"


def test_every_line_may_be_a_record():
    step = {"text": {"pairs": {}, "types": {"t": "int"}, "rows": "log"}}
    assert run(step, b"t=1,a=x\r\nt=2\r\n") == {"log": [{"t": 1, "a": "x"}, {"t": 2}]}


def test_carried_text_is_read_like_a_message():
    steps = [
        {"json": {"payload": "body", "encoding": "text"}},
        {"csv": {"columns": [{"t": "int"}]}},
    ]
    assert compile_decode(steps)(b'{"body": "5"}', Context()) == {"body": "5", "t": 5}


def test_text_and_binary_messages_are_told_apart_by_when():
    steps = [
        {"text": {"pairs": {}, "when": "byte0 == 0x74"}},
        {"struct": {"fields": [{"t": "u16"}]}},
    ]
    decode = compile_decode(steps)
    assert decode(b"t=1", Context()) == {"t": "1"}
    assert decode(b"\x00\x07", Context()) == {"t": 7}


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ({"csv": {"columns": []}}, "0.csv.columns"),
        ({"csv": {"columns": ["skip"]}}, "0.csv.columns"),
        ({"csv": {"columns": ["a", "a"]}}, "0.csv.columns.1"),
        ({"csv": {"columns": [{"a": "flaot"}]}}, "0.csv.columns.0.a"),
        ({"csv": {"columns": ["a"], "delimiter": ";;"}}, "0.csv.delimiter"),
        ({"csv": {"columns": ["a"], "header": 1}}, "0.csv.header"),
        ({"text": {}}, "0.text"),
        ({"text": {"pattern": "(a"}}, "0.text.pattern"),
        ({"text": {"pattern": "a(b)"}}, "0.text.pattern"),
        ({"text": {"pattern": ["(?P<a>.)", r"(?P<a>.)\1"]}}, "0.text.pattern.1"),
        ({"text": {"pattern": "(?P<a>.)", "types": {"b": "int"}}}, "0.text.types.b"),
        ({"text": {"pairs": {"assign": ""}}}, "0.text.pairs.assign"),
    ],
)
def test_a_mistake_names_its_place(step, path):
    with pytest.raises(SpecError) as found:
        compile_decode([step])
    assert ".".join(map(str, found.value.path)) == path


STEPS = [
    COLUMNS,
    {"csv": {"columns": ["a", {"b": "float"}], "header": True, "rows": "r", "delimiter": ";"}},
    {"text": {"pattern": ["(?P<a>[a-z]*)=(?P<b>.*)", "(?P<c>\\d+)"], "types": {"c": "int"}}},
    {"text": {"pairs": {}, "types": {"a": "float"}, "rows": "r"}},
]
DECODERS = [compile_decode([step]) for step in STEPS]


@given(
    index=st.integers(0, len(STEPS) - 1),
    payload=st.one_of(
        st.binary(max_size=80), st.text('a1.,;=\n"\r\t b-+e', max_size=60).map(str.encode)
    ),
)
@settings(max_examples=800)
def test_any_bytes_are_values_or_a_refusal(index, payload):
    code = ""
    try:
        found = DECODERS[index](payload, Context())
    except PayloadError as exc:
        code = exc.code
    else:
        assert isinstance(found, dict)
    assert code in ("", "bad_csv", "bad_text", "not_text")
