"""Expressions over a layout are checked against the types that the layout declares, at its place."""

import pytest

from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError

TEXT = """\
format: 1
id: acme/typed
version: 1.0.0
vendor: Acme
model: Typed
match: [{via: mqtt, topic: "acme/{device}/up", payload: bytes}]
decode: DECODE
measurements:
  a: MEASURE
store: {measurement: env}
egress: {class: operational, default: raw}
tests:
  - {name: a, recv: {topic: acme/a/up, hex: "00"}, expect: {reject: truncated}}
  - {name: b, recv: {topic: acme/a/up, hex: "01"}, expect: {reject: truncated}}
  - {name: c, recv: {topic: acme/a/up, hex: "02"}, expect: {reject: truncated}}
"""
STRUCT = (
    "[{struct: {fields: [raw: i16, ratio: f32, name: ascii4, meter: dec4, skip1,"
    " flags: {type: u8, bits: {door: 0, level: [1, 3]}}, rows: {repeat: {count: 1, fields: [x: u8]}}]}}]"
)
TLV = '[{tlv: {cases: {"01": [raw: u16], "02": {list: log, fields: [ts: u32, x: f32]}, "03": [raw: f32]}}}]'
CSV = "[{csv: {columns: [raw: int, ratio: float, name, ok: bool]}}]"
PROSE = "[{text: {pattern: 'T=(?P<ratio>.+) (?P<name>.+)', types: {ratio: float}}}]"
FLOAT = '{expr: "EXPR", type: float, unit: Cel}'


def load(decode, measure):
    return load_profile(TEXT.replace("DECODE", decode).replace("MEASURE", measure), "typed.yaml")


@pytest.mark.parametrize(
    ("decode", "expr"),
    [
        (STRUCT, "double(d.raw) * 0.1 + d.ratio"),
        (STRUCT, "d.raw > 3 && d.flags.door ? d.ratio : 0.0"),
        (STRUCT, "has(d.raw) && !has(d.flags.door) ? d.ratio : double(d.flags.level)"),
        (STRUCT, "double(size(d.rows)) + double(d.rows[0].x) + double(d.meter)"),
        (STRUCT, "d.name == 'd.nothing.here' ? 1.0 : 2.0"),
        (TLV, "d.raw * 2.0"),
        (CSV, "d.ok ? d.ratio : double(d.raw)"),
        (PROSE, "d.name.startsWith('x') ? d.ratio : 0.0"),
        ("[{json: {}}]", "d.anything * 0.1"),
    ],
)
def test_what_fits_the_types_is_accepted(decode, expr):
    text = TEXT.replace("payload: bytes", "payload: json") if "json" in decode else TEXT
    text = text.replace("DECODE", decode).replace("MEASURE", FLOAT.replace("EXPR", expr))
    assert load_profile(text, "typed.yaml").fields["a"].type == "float"


@pytest.mark.parametrize(
    ("decode", "expr", "said"),
    [
        (STRUCT, "d.raw * 0.1", "'_*_' applied to '(int, double)'"),
        (STRUCT, "d.raw * 0.1", "write double(d.name)"),
        (STRUCT, "d.rwa + 1.0", "no field 'rwa' in 'decode'; did you mean 'raw'?"),
        (STRUCT, "d.flags.dor ? 1.0 : 2.0", "no member 'dor' in 'flags'; did you mean 'door'?"),
        (STRUCT, "d.flags.level ? 1.0 : 2.0", "no matching overload"),
        (STRUCT, "d.name > 3 ? 1.0 : 2.0", "'_>_' applied to '(string, int)'"),
        (STRUCT, "d.name", "gives string, expected float"),
        (CSV, "d.raw + d.ratio", "'_+_' applied to '(int, double)'"),
        (CSV, "d.name + 1.0", "'_+_' applied to '(string, double)'"),
        (CSV, "d.nme == 'a' ? 1.0 : 2.0", "did you mean 'name'?"),
        (PROSE, "d.ratio + 1", "'_+_' applied to '(double, int)'"),
    ],
)
def test_what_does_not_fit_is_a_fault_at_its_place(decode, expr, said):
    with pytest.raises(ConfigError) as found:
        load(decode, FLOAT.replace("EXPR", expr))
    fault = str(found.value.faults[0])
    assert fault.startswith("typed.yaml:9:")
    assert "measurements.a.expr: " in fault
    assert said in fault


def test_a_condition_is_checked_like_an_expression():
    with pytest.raises(ConfigError, match=r"measurements\.a\.when: .*'\(int, double\)'"):
        load(STRUCT, '{from: ratio, when: "d.raw > 1.5", type: float, unit: Cel}')
    with pytest.raises(ConfigError, match=r"measurements\.a\.when: gives int, expected bool"):
        load(STRUCT, '{from: ratio, when: "d.raw + 1", type: float, unit: Cel}')
