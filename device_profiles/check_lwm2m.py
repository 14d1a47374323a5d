"""Measurements of LwM2M resources: a type that the registry contradicts can never have a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from device_profiles.codecs.lwm2m_types import OBJECT_NAMES, type_of
from device_profiles.faults import Faults

_RESOURCE = re.compile(r"(\d{1,5})/(\d{1,5})/(\d{1,5})(?:/\d{1,5})?")
_SUITS = {
    "integer": ("int", "float"),
    "unsigned": ("int", "float"),
    "time": ("int", "float"),
    "float": ("float", "int"),
    "boolean": ("bool",),
    "string": ("string", "enum"),
    "opaque": ("string",),
    "objlnk": ("string",),
}


def check_lwm2m(data: Mapping[str, Any], faults: Faults) -> None:
    """Enter measurements whose type or path is none of their resource's."""
    step = data["decode"][-1].get("lwm2m")
    if step is None:
        return
    own = {str(key).strip("/"): kind for key, kind in step.get("types", {}).items()}
    for name, spec in data["measurements"].items():
        if "expr" in spec:
            continue
        source = spec.get("from", name)
        found = _RESOURCE.fullmatch(source)
        if found is None:
            faults.add(
                ("measurements", name, "from"),
                f"{source!r} is no resource: expected a path such as 3303/0/5700",
            )
            continue
        object_id, resource = int(found[1]), int(found[3])
        kind = own.get(f"{object_id}/{resource}") or type_of(object_id, resource)
        if kind is None or "map" in spec or "bit" in spec:
            continue
        if spec["type"] not in _SUITS[kind]:
            title = OBJECT_NAMES.get(object_id, f"object {object_id}")
            wanted = " or ".join(_SUITS[kind])
            faults.add(
                ("measurements", name, "type"),
                f"resource {resource} of {title} is {kind}: expected {wanted}",
            )
