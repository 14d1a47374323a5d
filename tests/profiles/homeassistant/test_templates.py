"""A value template reaches into the message and nowhere else; what is not understood is refused by name."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.homeassistant.template import TemplateFault, compile_template
from gateway_core.errors import PayloadError

MESSAGE = (
    b'{"t": 21.56, "on": true, "s": "7.5", "ENERGY": {"Power": [3, 4]}, "a b": "x", "n": null}'
)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ value_json.t }}", 21.56),
        ("{{value_json['ENERGY'].Power[1]}}", 4),
        ("{{ value_json['a b'] }}", "x"),
        ("{{- value_json.t | round(1) -}}", 21.6),
        ("{{ value_json.t | int }}", 21),
        ("{{ value_json.s | float }}", 7.5),
        ("{{ value_json.s | float * 2 + 1 }}", 16.0),
        ("{{ (value_json.s | float) / 10 }}", 0.75),
        ("{{ -value_json.t }}", -21.56),
        ("{{ value_json.missing }}", None),
        ("{{ value_json.missing.deeper[3] }}", None),
        ("{{ value_json.missing | default(5) }}", 5),
        ("{{ value_json.missing | float }}", 0),
        ("{{ value_json.missing * 2 }}", None),
        ("{{ 'ON' if value_json.on else 'OFF' }}", "ON"),
        ("{{ 'ON' if value_json.t > 30 else 'OFF' }}", "OFF"),
        ("{{ value_json.s == '7.5' and not value_json.n }}", True),
        ("{{ 1 / 0 }}", None),
        ("{{ value_json.s * 1000 }}", None),
    ],
)
def test_a_template_gives_what_home_assistant_would(template: str, value: object) -> None:
    assert compile_template(template)(MESSAGE) == value


def test_without_a_template_the_state_is_the_text() -> None:
    assert compile_template(None)(b"21.5") == "21.5"
    assert compile_template("{{ value | upper }}")(b" on ") == " ON "
    assert compile_template("{{ value | trim | float }}")(b" 3 ") == 3.0


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% if value_json.on %}ON{% endif %}", "no statements"),
        ("{{ value_json.a }} {{ value_json.b }}", "only one"),
        ("{{ states('sensor.x') }}", "'states' is not known"),
        ("{{ value_json.__class__ }}", "'__class__' is not the name of a member"),
        ("{{ ''.__class__.__mro__ }}", "'__class__' is not the name"),
        ("{{ value_json.get('x') }}", "the call get() is not understood"),
        ("{{ value_json.x | attr('y') }}", "the filter 'attr' is not understood"),
        ("{{ value_json.x ** 9 }}", "expected a value, found \\*|'\\*' is not"),
        ("{{ " + "(" * 50 + "1" + ")" * 50 + " }}", "more than 20 deep"),
        ("{{ 'a\\nb' }}", "is not understood"),
        ("{{ }}", "expected a value, found the end"),
        ("x" * 1001, "longer than 1000"),
    ],
)
def test_what_is_not_understood_is_named(template: str, why: str) -> None:
    with pytest.raises(TemplateFault, match=why.replace("(", r"\(").replace(")", r"\)")):
        compile_template(template)


LONGEST = [
    ("{{ " + "-" * 990 + "4 }}", 4),
    ("{{ " + "-" * 989 + "4 }}", -4),
    ("{{ " + "not " * 247 + "4 }}", False),
    ("{{ 1" + "+1" * 495 + " }}", 496),
    ("{{ value_json" + ".a" * 490 + " }}", None),
    ("{{ value" + "|d" * 490 + " }}", "{}"),
]


@pytest.mark.parametrize(("template", "value"), LONGEST, ids=range(len(LONGEST)))
def test_the_longest_templates_do_not_use_up_the_stack(template: str, value: object) -> None:
    assert len(template) <= 1000
    assert compile_template(template)(b"{}") == value


@given(
    st.text(alphabet="value_json.'[]()|+-*/ 0123456789ifelsandort\"<>=!", max_size=60),
    st.binary(max_size=60),
)
def test_no_text_and_no_bytes_do_anything_else(inner: str, payload: bytes) -> None:
    with contextlib.suppress(TemplateFault, PayloadError):
        compile_template("{{" + inner + "}}")(payload)
