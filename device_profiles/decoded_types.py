"""What a profile's decoders give, by name and type: expressions are checked before messages come.

Layouts (``struct``, ``tlv``, ``csv``, ``text`` with patterns, frames) declare their values; a JSON
or CBOR message shows them only when it is there, and then nothing is checked here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from device_profiles.cel import CelType, Expression, ExpressionFault, Pattern, compile_cel
from device_profiles.faults import Faults, Place

Types = dict[str, "CelType | dict[str, CelType]"]
"""Name to type; a group of bits has the types of its members."""

_FRAMES: dict[str, Types] = {
    "modbus-rtu": {"addr": "int", "fc": "int", "count": "int"},
    "jt808": {"msg_id": "int", "phone": "string", "seq": "int", "version": "int"},
}
_CELLS: dict[str, CelType] = {"int": "int", "float": "float", "bool": "bool", "text": "string"}
_SCALARS: tuple[tuple[re.Pattern[str], CelType], ...] = (
    (re.compile(r"[ui]\d+(le|be|cdab|badc)?"), "int"),
    (re.compile(r"f\d+(le|be|cdab|badc)?"), "float"),
    (re.compile(r"(bcd|hex|ascii)\d*(le|be)?"), "string"),
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_HAS = re.compile(r"\bhas\([^()]*\)")
_TEXT = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
_CHAIN = re.compile(r"(?<![\w.])d\.([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*)(?!\w|\())?(?!\w|\()")


def decoded_types(decodes: Iterable[list[dict[str, Any]]]) -> Types | None:
    """Return what the decoders give together; None where one of them shows it only in a message.

    Args:
        decodes: ``decode`` lists as written; what is wrong in them is entered elsewhere.
    """
    found: Types = {}
    for steps in decodes:
        for step in steps:
            (name, spec), *_ = step.items()
            read = _STEPS.get(name)
            if read is None or not read(spec, found):
                return None
    return found


def check_types(text: str, types: Types, place: Place, faults: Faults) -> Expression | None:
    """Return an expression over ``d`` as these types make it; None after entering its mistake."""
    plain = _TEXT.sub(lambda quoted: " " * len(quoted[0]), text)
    for first, second in _CHAIN.findall(plain):
        group = types.get(first)
        if second and isinstance(group, dict) and second not in group:
            near = difflib.get_close_matches(second, group, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            faults.add(place, f"no member {second!r} in {first!r}{hint}")
            return None
    variables: dict[str, CelType] = {"d": "any"}
    for name, kind in types.items():
        if isinstance(kind, dict):
            variables.update(
                {
                    f"d.{name}.{member}": one
                    for member, one in kind.items()
                    if _WORD.fullmatch(member)
                }
            )
        elif kind != "any" and _WORD.fullmatch(name):
            variables[f"d.{name}"] = kind
    # the checker would take has() for the value itself; it is a bool whatever it asks for
    asked = _HAS.sub(lambda one: "true".ljust(len(one[0])), text)
    try:
        return compile_cel(asked, variables)
    except ExpressionFault as exc:
        hint = _converted(exc.message)
        faults.add(place, f"at column {exc.col} of {text!r}: {exc.message}{hint}")
        return None


def _converted(message: str) -> str:
    if re.search(r"\((int, double|double, int)\)", message):
        return "; write double(d.name) where a name is an integer, or 2.0 for a number"
    return ""


def _add(found: Types, name: object, kind: CelType | dict[str, CelType]) -> None:
    key = str(name)
    before = found.get(key, kind)
    if isinstance(before, dict) and isinstance(kind, dict):
        found[key] = {
            **before,
            **{n: t if before.get(n, t) == t else "any" for n, t in kind.items()},
        }
    else:
        found[key] = kind if before == kind else "any"


def _scalar(name: object) -> CelType:
    for pattern, kind in _SCALARS:
        if isinstance(name, str) and pattern.fullmatch(name):
            return kind
    return "any"


def _fields(spec: object, found: Types) -> None:
    for item in spec if isinstance(spec, list) else ():
        if isinstance(item, dict) and len(item) == 1:
            (name, field), *_ = item.items()
            _field(name, field, found)


def _field(name: object, field: object, found: Types) -> None:
    if not isinstance(field, dict):
        if not str(field).startswith("skip"):
            _add(found, name, _scalar(field))
    elif isinstance(field.get("bits"), dict):
        _add(
            found,
            name,
            {str(n): "int" if isinstance(p, list) else "bool" for n, p in field["bits"].items()},
        )
    elif "tlv" in field:
        _tlv(field["tlv"], found)
    elif "repeat" in field:
        _add(found, name, "any")
        _fields(field["repeat"].get("fields") if isinstance(field["repeat"], dict) else None, found)
    else:
        _add(found, name, _scalar(field.get("type")))


def _struct(spec: object, found: Types) -> bool:
    if isinstance(spec, dict):
        _fields(spec.get("fields"), found)
    return True


def _tlv(spec: object, found: Types) -> bool:
    cases = spec.get("cases") if isinstance(spec, dict) else None
    for case in cases.values() if isinstance(cases, dict) else ():
        _fields(case.get("fields") if isinstance(case, dict) else case, found)
        if isinstance(case, dict) and "list" in case:
            _add(found, case["list"], "any")
    return True


def _frame(spec: object, found: Types) -> bool:
    name = spec.get("name") if isinstance(spec, dict) else spec
    if isinstance(name, str):
        for key, kind in _FRAMES.get(name, {}).items():
            _add(found, key, kind)
    elif isinstance(spec, dict):
        _fields(spec.get("header"), found)
    return True


def _csv(spec: object, found: Types) -> bool:
    columns = spec.get("columns") if isinstance(spec, dict) else None
    for column in columns if isinstance(columns, list) else ():
        (name, kind), *_ = column.items() if isinstance(column, dict) else ((column, "text"),)
        if name != "skip":
            _add(found, name, _CELLS.get(str(kind), "any"))
    return _rows(spec, found)


def _text(spec: object, found: Types) -> bool:
    if not isinstance(spec, dict) or "pattern" not in spec:
        return False
    types = spec.get("types") or {}
    patterns = spec["pattern"] if isinstance(spec["pattern"], list) else [spec["pattern"]]
    for one in patterns:
        try:
            names = Pattern(str(one)).names
        except ExpressionFault:
            continue  # entered where the codec is compiled
        for name in names:
            _add(found, name, _CELLS.get(str(types.get(name, "text")), "any"))
    return _rows(spec, found)


def _rows(spec: object, found: Types) -> bool:
    if isinstance(spec, dict) and "rows" in spec:
        _add(found, spec["rows"], "any")
    return True


_STEPS: Mapping[str, Callable[[object, Types], bool]] = {
    "struct": _struct,
    "tlv": _tlv,
    "frame": _frame,
    "fragments": lambda _spec, _found: True,
    "csv": _csv,
    "text": _text,
}
