"""One resource of an EdgeX device profile: what it says of the values that are published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from device_profiles.faults import Faults, Place
from device_profiles.importers.edgex_units import as_ucum

VALUE_TYPES = {
    "Bool": "bool",
    "String": "string",
    "Float32": "float",
    "Float64": "float",
    **{f"{sign}nt{bits}": "int" for sign in ("I", "Ui") for bits in (8, 16, 32, 64)},
}
"""EdgeX's simple value types to ours."""

_UNSTORED = ("Binary", "Object", "ObjectArray")
_APPLIED = ("mask", "shift", "base", "scale", "offset")
_IDLE = {"mask": (0,), "shift": (0,), "base": (0,), "scale": (1,), "offset": (0,)}
_KNOWN = (
    "valueType", "readWrite", "units", "minimum", "maximum", "defaultValue", "assertion",
    "mediaType", "optional", *_APPLIED,
)  # fmt: skip
_WHOLE_LIMITS = {
    f"{sign}nt{bits}": (-(2 ** (bits - 1)) if sign == "I" else 0, 2 ** (bits - (sign == "I")) - 1)
    for sign in ("I", "Ui")
    for bits in (8, 16, 32, 64)
}


@dataclass(slots=True)
class Resource:
    """A resource whose values are stored.

    Attributes:
        name: In EdgeX.
        value_type: ``valueType`` of its readings.
        type: Ours.
        unit: UCUM, or None where the type has none.
        range: Least and greatest value, or None.
        values: Texts that it may be, or nothing.
        title: For people.
        notes: Comments for the profile.
    """

    name: str
    value_type: str
    type: str
    unit: str | None = None
    range: list[float] | None = None
    values: list[str] = field(default_factory=list)
    title: str = ""
    notes: list[str] = field(default_factory=list)


def read_resource(
    spec: Any, place: Place, mappings: Mapping[str, list[str]], faults: Faults, remarks: Faults
) -> Resource | None:
    """Return a resource, or None where its values cannot be stored.

    Args:
        spec: As written.
        place: Where it stands.
        mappings: Resource to the texts that commands map its values to.
        faults: Takes what is wrong by EdgeX's own rules.
        remarks: Takes what has no equal.
    """
    properties = spec.get("properties") if isinstance(spec, dict) else None
    name = spec.get("name") if isinstance(spec, dict) else None
    if not isinstance(name, str) or not name or not isinstance(properties, dict):
        faults.add(place, "a resource has a 'name' and 'properties'")
        return None
    kind = properties.get("valueType")
    if isinstance(properties.get("value"), dict):
        faults.add((*place, "properties", "value"), "a version 1 profile: convert it with EdgeX 2")
        return None
    known = (*VALUE_TYPES, *_UNSTORED, *(f"{each}Array" for each in VALUE_TYPES))
    if kind not in known:
        faults.add((*place, "properties", "valueType"), f"expected an EdgeX type, found {kind!r}")
        return None
    if not _stored(kind, properties, place, remarks):
        return None
    for key in spec:
        if key == "isHidden" and spec[key]:
            remarks.add((*place, key), "hides it from EdgeX's commands only; it is stored here")
        elif key not in ("name", "description", "properties", "isHidden"):
            remarks.add((*place, key), "is for the device service, left out")
    resource = Resource(name, kind, VALUE_TYPES[kind], title=str(spec.get("description") or ""))
    if name in mappings:
        resource.type, resource.values, resource.value_type = "enum", mappings[name], "String"
        resource.notes.append("a command of EdgeX maps its values to these texts")
    _read_properties(resource, properties, (*place, "properties"), remarks)
    return resource


def _stored(kind: str, properties: Mapping[str, Any], place: Place, remarks: Faults) -> bool:
    if "R" not in str(properties.get("readWrite", "RW")):
        remarks.add((*place, "properties", "readWrite"), "is only written, left out")
        return False
    if kind in VALUE_TYPES:
        return True
    message = f"{kind} is no single value"
    if kind == "Object":
        message += ": add a measurement for each member that matters, from: '<resource>.<member>'"
    elif kind.endswith("Array") and kind != "ObjectArray":
        message += ": add a measurement for each place that matters, from: '<resource>.0'"
    remarks.add((*place, "properties", "valueType"), f"{message}; left out")
    return False


def _read_properties(
    resource: Resource, properties: Mapping[str, Any], place: Place, remarks: Faults
) -> None:
    for key, value in properties.items():
        if key not in _KNOWN or (key in ("mediaType", "optional") and value):
            remarks.add((*place, key), "has no equal here, left out")
        elif key == "defaultValue" and value not in ("", None):
            remarks.add((*place, key), "is for writing, left out")
        elif key == "assertion" and value not in ("", None):
            remarks.add(
                (*place, key),
                f"EdgeX publishes nothing unless the value is {value!r}, and sets the device"
                " down: it has no equal here, use an alarm if it matters",
            )
            resource.notes.append(f"EdgeX asserts that the value is {value!r}")
    applied = [key for key in _APPLIED if _does_something(key, properties.get(key))]
    if applied and resource.type in ("int", "float"):
        said = ", ".join(f"{key} {properties[key]}" for key in applied)
        resource.notes.append(f"EdgeX has applied {said}")
        if resource.type == "int" and "scale" in applied:
            remarks.add((*place, "scale"), "EdgeX keeps whole numbers whole when it scales them")
    if resource.type in ("int", "float"):
        resource.unit = _unit(resource, properties, place, remarks)
        resource.range = _range(resource, properties, place, remarks)


def _does_something(key: str, value: Any) -> bool:
    if value in ("", None):
        return False
    number = _number(value)
    return number is None or number not in _IDLE[key]


def _unit(resource: Resource, properties: Mapping[str, Any], place: Place, remarks: Faults) -> str:
    said = str(properties.get("units") or "")
    if not said:
        remarks.add(place, f"no 'units': {resource.name} is taken for a plain number (unit 1)")
        return "1"
    unit = as_ucum(said)
    if unit is None:
        remarks.add((*place, "units"), f"{said!r} is no unit that is known: taken as 1, mend it")
        resource.notes.append(f"EdgeX calls the unit {said!r}")
        return "1"
    if unit != said:
        remarks.add((*place, "units"), f"{said!r} is taken as {unit!r}")
    return unit


def _range(
    resource: Resource, properties: Mapping[str, Any], place: Place, remarks: Faults
) -> list[float] | None:
    ends = [_number(properties.get(key)) for key in ("minimum", "maximum")]
    for key, end in zip(("minimum", "maximum"), ends, strict=True):
        if end is None and properties.get(key) not in ("", None):
            remarks.add((*place, key), f"{properties[key]!r} is no number, left out")
    low, high = ends
    if low is None and high is None:
        return None
    widest = _WHOLE_LIMITS.get(resource.value_type, (-1e308, 1e308))
    found = [widest[0] if low is None else low, widest[1] if high is None else high]
    if found[0] > found[1]:
        remarks.add((*place, "minimum"), "is above 'maximum', both left out")
        return None
    resource.notes.append("EdgeX checks minimum and maximum only of values that are written")
    return found


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        return None
    try:
        return int(value, 0) if value.strip().lower().startswith("0x") else int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) <= 1e308 else None
