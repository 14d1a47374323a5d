"""Compile ``measurements``, ``device``, ``time`` and ``each`` of a profile; enter every mistake."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from device_profiles.cel import CelType, Expression, ExpressionFault, Pattern, compile_cel
from device_profiles.codecs.frame import DAMAGE
from device_profiles.codecs.radio import RADIO, SERVER
from device_profiles.decoded_types import Types, check_types, decoded_types
from device_profiles.faults import Faults, Place
from device_profiles.identity import Identity
from device_profiles.lookup import LookupFault
from device_profiles.measure import Measure
from device_profiles.moments import (
    Believed,
    TimeFault,
    compile_instant,
    compile_read,
    parse_zone,
)
from device_profiles.paths import Getter, PathFault, compile_path, parse_path
from device_profiles.position import Position
from device_profiles.predicates import compile_predicate
from device_profiles.quality import Flagged, compile_finish, type_flag
from device_profiles.reader import Clock, Each
from device_profiles.topics import names_in
from device_profiles.units import UnitFault, conversion, parse_unit

_NUMERIC = ("float", "int")
_NUMBER_KEYS = ("scale", "offset", "range", "wire_unit", "lookup")
_RESULTS: dict[str, tuple[CelType, ...]] = {
    "float": ("float", "int", "any"),
    "int": ("float", "int", "any"),
    "bool": ("bool", "any"),
    "string": ("string", "any"),
    "enum": ("string", "any"),
}
_LITERAL = re.compile(r"""(?<!\[)(?:"[^"\\]*"|'[^'\\]*')""")
_MEMBER = re.compile(r"""\bd\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*(?:"([^"]*)"|'([^']*)')\s*\])""")


def expression(
    text: str, variables: Mapping[str, CelType], path: Place, faults: Faults
) -> Expression | None:
    """Return the checked expression, or None after entering its mistake."""
    try:
        return compile_cel(text, variables)
    except ExpressionFault as exc:
        hint = _undeclared(exc.message, variables)
        faults.add(path, f"at column {exc.col} of {text!r}: {exc.message}{hint}")
        return None


def _undeclared(message: str, known: Iterable[str]) -> str:
    found = re.search(r"undeclared reference to '(\w+)'", message)
    near = difflib.get_close_matches(found[1], list(known), n=1, cutoff=0.6) if found else []
    return f"; did you mean {near[0]!r}?" if near else ""


def path_getter(text: str, path: Place, faults: Faults) -> Getter | None:
    """Return the function that walks a path, or None after entering its mistake."""
    try:
        return compile_path(parse_path(text))
    except PathFault as exc:
        faults.add(path, f"not a path: {exc}")
        return None


def build_measures(data: Mapping[str, Any], faults: Faults) -> list[Measure]:
    """Compile all measurements of a profile that the schema let through."""
    types = decoded_types([data["decode"], *(m["decode"] for m in data["match"] if "decode" in m)])
    known = None if types is None else frozenset(types)
    measures = []
    for name, spec in data["measurements"].items():
        place: Place = ("measurements", name)
        before = len(faults.found)
        _check_spec(spec, place, faults)
        when = expr = None
        if "when" in spec:
            when = expression(spec["when"], {"d": "any"}, (*place, "when"), faults)
            _check_result(when, ("bool", "any"), (*place, "when"), faults)
        if "expr" in spec:
            expr = expression(spec["expr"], {"d": "any"}, (*place, "expr"), faults)
            if "map" not in spec and "bit" not in spec:
                _check_result(expr, _RESULTS[spec["type"]], (*place, "expr"), faults)
        source = spec.get("from", name)
        get = path_getter(source, (*place, "from"), faults)
        _check_known(spec, source, known, place, faults)
        if types is not None and len(faults.found) == before:
            _check_typed(spec, types, place, faults)
        if get is None or len(faults.found) > before:
            continue
        unit, flag = spec.get("wire_unit", spec.get("unit", "")), type_flag(spec["type"])
        try:
            finish = compile_finish(spec)
        except OverflowError:
            faults.add((*place, "scale"), "scale and units make a factor that no number holds")
            continue
        except LookupFault as exc:
            faults.add((*place, *exc.path), str(exc))
            continue
        holds = None if when is None else compile_predicate(when)
        measures.append(Measure(name, source, get, expr, holds, finish, unit, flag))
    if _is_lenient(data):
        measures.append(
            Measure(DAMAGE, DAMAGE, compile_path((DAMAGE,)), None, None, _damaged, "", "")
        )
    return measures


def _is_lenient(data: Mapping[str, Any]) -> bool:
    """Return whether a frame with wrong check bytes may be read."""
    decodes = [data["decode"], *(m["decode"] for m in data["match"] if "decode" in m)]
    frames = [step["frame"] for steps in decodes for step in steps if "frame" in step]
    return any(isinstance(one, dict) and one.get("strict") is False for one in frames)


def _damaged(code: str) -> None:
    """Flag a point of a frame whose check bytes are wrong: ``_frame:checksum``."""
    raise Flagged(code)


def _check_typed(spec: Mapping[str, Any], types: Types, place: Place, faults: Faults) -> None:
    """Enter what is wrong with expressions when the values have the types of the layouts."""
    if "when" in spec:
        found = check_types(spec["when"], types, (*place, "when"), faults)
        _check_result(found, ("bool", "any"), (*place, "when"), faults)
    if "expr" in spec:
        found = check_types(spec["expr"], types, (*place, "expr"), faults)
        if "map" not in spec and "bit" not in spec:
            _check_result(found, _RESULTS[spec["type"]], (*place, "expr"), faults)


def _check_result(
    found: Expression | None, wanted: tuple[CelType, ...], place: Place, faults: Faults
) -> None:
    if found is not None and found.returns not in wanted:
        faults.add(place, f"gives {found.returns}, expected {wanted[0]}")


def _check_spec(spec: Mapping[str, Any], place: Place, faults: Faults) -> None:
    """Enter what contradicts itself in one measurement."""
    kind = spec["type"]
    if "from" in spec and "expr" in spec:
        faults.add((*place, "expr"), "'from' and 'expr' exclude each other")
    for key in _NUMBER_KEYS:
        if key in spec and kind not in _NUMERIC:
            faults.add((*place, key), f"{key!r} is for float and int, this is {kind}")
    low, high = spec.get("range", (0, 0))
    if low > high:
        faults.add((*place, "range"), f"the lower limit {low} is above the upper limit {high}")
    if spec.get("scale") == 0:
        faults.add((*place, "scale"), "0 would make every value the same")
    for key in ("unit", "wire_unit"):
        _check_unit(spec, key, place, faults)
    for mapped, value in spec.get("map", {}).items():
        if not _fits(kind, value, spec):
            faults.add((*place, "map", mapped), f"{value!r} is not a value of this {kind}")


def _check_unit(spec: Mapping[str, Any], key: str, place: Place, faults: Faults) -> None:
    if key not in spec:
        return
    try:
        if key == "unit":
            parse_unit(spec["unit"])
        elif "unit" in spec:
            conversion(spec["wire_unit"], spec["unit"])
    except UnitFault as exc:
        faults.add((*place, key), str(exc))


def _fits(kind: str, value: Any, spec: Mapping[str, Any]) -> bool:
    if kind in _NUMERIC:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "bool":
        return isinstance(value, bool)
    return isinstance(value, str) and value in spec.get("values", (value,))


def _check_known(
    spec: Mapping[str, Any],
    source: str,
    known: frozenset[str] | None,
    place: Place,
    faults: Faults,
) -> None:
    """Enter paths that no layout of the profile can give."""
    if known is None:
        return
    wanted: list[tuple[str, str]] = []
    if "expr" not in spec:
        wanted.append(("from", _first(source)))
    for key in ("expr", "when"):
        members = _MEMBER.findall(_LITERAL.sub("''", spec.get(key, "")))
        wanted.extend((key, next(filter(None, member), "")) for member in members)
    for key, name in wanted:
        if name and name not in known and name not in (SERVER, RADIO):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            at = (*place, key) if key in spec else place
            faults.add(at, f"no field {name!r} in 'decode'{hint}")


def _first(source: str) -> str:
    try:
        return parse_path(source)[0]
    except PathFault:
        return ""  # entered where the path is compiled


def build_identity(data: Mapping[str, Any], faults: Faults) -> Identity:
    """Compile ``device``; without it the id is ``{device}``."""
    spec = data.get("device", {})
    template = spec.get("id", "{device}")
    pattern = None
    if "pattern" in spec:
        try:
            pattern = Pattern(spec["pattern"])
        except ExpressionFault as exc:
            faults.add(("device", "pattern"), exc.message)
    if not names_in(template):
        faults.add(("device", "id"), "needs a {name}: without one all devices would be the same")
    if template.count("{") != len(names_in(template)):
        faults.add(("device", "id"), f"expected names in braces, found {template!r}")
        template = "{device}"
    return Identity(template, pattern, escapes=spec.get("escape", False))


def build_clock(data: Mapping[str, Any], faults: Faults) -> Clock:
    """Compile ``time``."""
    spec = data.get("time", {})
    zone = None
    if "tz" in spec:
        try:
            zone = parse_zone(spec["tz"])
        except TimeFault as exc:
            faults.add(("time", "tz"), str(exc))
    source = spec.get("from", "")
    get = path_getter(source, ("time", "from"), faults) if source else None
    read, believed = compile_read(spec.get("format"), zone), Believed(spec)
    return Clock(get, source, read, believed, compile_instant(read, believed))


def build_each(data: Mapping[str, Any], faults: Faults) -> Each | None:
    """Compile ``each``."""
    if "each" not in data:
        return None
    spec = data["each"]
    get = path_getter(spec["from"], ("each", "from"), faults)
    time = path_getter(spec["time"], ("each", "time"), faults) if "time" in spec else None
    if get is None:
        return None
    zone = None
    if "tz" in data.get("time", {}):
        try:
            zone = parse_zone(data["time"]["tz"])
        except TimeFault:
            zone = None  # entered by build_clock
    return Each(get, time, compile_read(spec.get("format"), zone))


def build_position(data: Mapping[str, Any], faults: Faults) -> Position | None:
    """Compile ``position``; None where there is none."""
    spec = data.get("position")
    if spec is None:
        return None
    fields = data["measurements"]
    for key in ("lat", "lon"):
        name = spec[key]
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            faults.add(("position", key), f"there is no measurement {name!r}{hint}")
        elif fields[name]["type"] != "float":
            faults.add(("position", key), f"a coordinate is a float, {name!r} is not")
    if spec["lat"] == spec["lon"]:
        faults.add(("position", "lon"), "latitude and longitude are two measurements")
    return Position(spec["lat"], spec["lon"], spec["crs"])
