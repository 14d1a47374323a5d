"""LwM2M and IPSO objects: TLV (11542), LwM2M JSON (11543), SenML JSON (110) and CBOR (112).

Every value gets the name of its path, ``3303/0/5700``; what stands before the path in a SenML name
is the device. Only payloads are read (Send, notifications, what a server forwards); registration
(``/rd``), bootstrap and observation are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_profiles.codecs.contract import Context, Decode, Packet, SpecError
from device_profiles.codecs.grammar import Path, choice, mapping, text
from device_profiles.codecs.instants import Instants
from device_profiles.codecs.jsontext import parse_json
from device_profiles.codecs.lwm2m_tlv import (
    INSTANCE,
    MULTIPLE,
    RESOURCE,
    RESOURCE_INSTANCE,
    entries,
    value_of,
)
from device_profiles.codecs.lwm2m_types import TYPES, UNITS, type_of
from device_profiles.codecs.numbers import is_number
from device_profiles.codecs.senml import resolve
from device_profiles.codecs.senml_forms import read_pack
from gateway_core.errors import PayloadError

FORMATS = {11542: "tlv", 11543: "json", 110: "senml-json", 112: "senml-cbor"}
"""CoAP Content-Format to what it is."""

_CONTENT = {name: number for number, name in FORMATS.items()}
_PATH = re.compile(r"(?:(.*?)/)?((?:\d{1,5})(?:/\d{1,5}){2,3})")
_NAME = re.compile(r"/?[A-Za-z0-9][A-Za-z0-9\-:./_]*")
_BASE = re.compile(r"(?:\d{1,5}(?:/\d{1,5}){0,2})?")
_TEMPLATE = re.compile(r"(?:(?:\{\w+\}|\d{1,5})(?:/(?:\{\w+\}|\d{1,5})){0,2})?")
_CAPTURE = re.compile(r"\{(\w+)\}")
_UNITS = 5701
_IN_UNITS = (5700, 5601, 5602, 5603, 5604)


@dataclass(frozen=True, slots=True)
class _Spec:
    """How the payloads of one profile are read.

    Attributes:
        base: Template of the path that a payload is of, for forms that do not say.
        form: Name of the form where no Content-Format says.
        types: (object, resource) to type, before the table's.
    """

    base: str
    form: str
    types: Mapping[tuple[int, int], str]

    def kind(self, object_id: int, resource: int) -> str | None:
        """Return a resource's type."""
        return self.types.get((object_id, resource)) or type_of(object_id, resource)


def compile_lwm2m(spec: object, path: Path, *, many: bool) -> Decode:
    """Compile ``lwm2m: {}``.

    Args:
        spec: ``path`` (what TLV is of: ``3303`` or ``3303/{instance}``), ``format`` (where no
            Content-Format says) and ``types`` (``3303/5700`` to a type).
        path: Where it stands, for errors.
        many: Whether a message may tell of several devices.
    """
    found = mapping(spec if spec is not None else {}, path, ("path", "format", "types"))
    said = found.get("path", "")
    base = text(str(said) if type(said) is int else said, (*path, "path")).strip("/")
    if not _TEMPLATE.fullmatch(base):
        raise SpecError((*path, "path"), f"expected a path such as 3303/{{instance}}: {base!r}")
    form = choice(found.get("format", "senml-json"), (*path, "format"), _CONTENT)
    types: dict[tuple[int, int], str] = {}
    for key, kind in mapping(
        found.get("types", {}), (*path, "types"), found.get("types", {})
    ).items():
        place = (*path, "types", key)
        ids = re.fullmatch(r"/?(\d{1,5})/(\d{1,5})", text(key, place))
        if ids is None:
            raise SpecError(place, "expected <object>/<resource>, such as 3303/5700")
        types[int(ids[1]), int(ids[2])] = choice(kind, place, TYPES)
    how = _Spec(base, form, types)

    def decode(payload: object, context: Context) -> list[Packet]:
        out = Instants(many=many)
        if context.content_format is not None and context.content_format not in FORMATS:
            raise PayloadError("not_lwm2m", f"content format {context.content_format}")
        kind = FORMATS.get(context.content_format or 0, how.form)
        if kind == "tlv":
            if not isinstance(payload, bytes):
                raise PayloadError("not_bytes", "TLV is bytes")
            _enter(out, None, None, _tlv(payload, _base(how, context), how), {})
        else:
            pack: object = None
            if kind == "json":
                pack = _senml_of(parse_json(payload) if isinstance(payload, bytes) else payload)
            else:
                pack = read_pack(payload, Context({}, context.received, _CONTENT[kind]))
            _records(pack, context, _base(how, context), out)
        return out.packets()

    return decode


def _base(how: _Spec, context: Context) -> list[int]:
    """Return the path that the payload is of."""
    captures = context.captures
    if any(name not in captures for name in _CAPTURE.findall(how.base)):
        return []  # another of the profile's addresses, whose messages name their paths
    said = _CAPTURE.sub(lambda found: captures[found[1]], how.base).strip("/")
    if not _BASE.fullmatch(said):
        raise PayloadError("bad_envelope", f"{said!r} is no path of an object or instance")
    return [int(part) for part in said.split("/")] if said else []


def _tlv(data: bytes, base: list[int], how: _Spec, *, inside: bool = False) -> dict[str, Any]:
    """Return path to value; ``base`` is what the payload leaves out of its paths.

    ``inside`` says that this is the content of an object instance, which holds no other.
    """
    if not base:
        raise PayloadError("bad_envelope", "TLV does not name its object: say it under 'path'")
    values: dict[str, Any] = {}
    for kind, identifier, raw in entries(data):
        if kind == INSTANCE:
            if inside or (len(base) > 1 and base[1] != identifier):
                raise PayloadError("bad_frame", "another object instance than the path's")
            values.update(_tlv(raw, [base[0], identifier], how, inside=True))
            continue
        if kind == RESOURCE_INSTANCE and len(base) != 3:
            raise PayloadError("bad_frame", "an instance of no resource")
        place = base if len(base) == 3 else [*_instance(base), identifier]
        type_ = how.kind(place[0], place[2])
        if kind in (MULTIPLE, RESOURCE_INSTANCE):
            inner = entries(raw) if kind == MULTIPLE else iter([(kind, identifier, raw)])
            for each, number, value in inner:
                if each != RESOURCE_INSTANCE:
                    raise PayloadError("bad_frame", "not an instance of its resource")
                values["/".join(map(str, (*place, number)))] = value_of(value, type_)
        elif kind == RESOURCE:
            values["/".join(map(str, place))] = value_of(raw, type_)
    return values


def _instance(base: list[int]) -> list[int]:
    """Return object and instance; an object that has only one need not say which."""
    return base if len(base) == 2 else [base[0], 0]


def _senml_of(message: object) -> list[dict[str, Any]]:
    """Return LwM2M JSON (TS 1.0, section 6.4.4) as a SenML pack."""
    if not isinstance(message, dict) or not isinstance(message.get("e"), list):
        raise PayloadError("not_lwm2m", "expected an object with a list 'e'")
    pack: list[dict[str, Any]] = []
    for number, entry in enumerate(message["e"]):
        if not isinstance(entry, dict):
            raise PayloadError("not_lwm2m", "an entry of 'e' is no object")
        record: dict[str, Any] = {
            _LABELS.get(str(key), str(key)): value for key, value in entry.items()
        }
        if number == 0:
            record |= {key: message[key] for key in ("bn", "bt") if key in message}
        pack.append(record)
    return pack


_LABELS = {"sv": "vs", "bv": "vb", "ov": "vlo"}


def _records(pack: object, context: Context, base: list[int], out: Instants) -> None:
    """Enter the records of a pack; a name without a path is below ``base``."""
    if not isinstance(pack, list):
        raise PayloadError("not_senml", "expected a list of records")
    linked = [_with_link(record) for record in pack]
    parts: dict[tuple[str | None, int | None], tuple[dict[str, Any], dict[str, str]]] = {}
    for record in resolve(linked, context.received, _NAME):
        name = record.name.strip("/")
        found = _PATH.fullmatch(name) or _PATH.fullmatch("/".join([*map(str, base), name]))
        if found is None:
            raise PayloadError("senml_name", "a name holds no path such as 3303/0/5700")
        device = found[1].rstrip(":/._-") if found[1] else None
        path = "/".join(str(int(part)) for part in found[2].split("/"))
        values, units = parts.setdefault((device or None, record.time_ns), ({}, {}))
        if path in values:
            _enter(out, device or None, record.time_ns, dict(values), dict(units))
            values.clear()
            units.clear()
        if record.value is not None:
            values[path] = record.value
        if record.unit is not None:
            units[path] = record.unit
    for (device, time), (values, units) in parts.items():
        _enter(out, device, time, values, units)


def _with_link(record: object) -> object:
    """Return a record whose object link (``vlo``) is text."""
    if isinstance(record, dict) and "vlo" in record:
        return {("vs" if key == "vlo" else key): value for key, value in record.items()}
    return record


def _enter(
    out: Instants,
    device: str | None,
    time: int | None,
    values: Mapping[str, Any],
    units: Mapping[str, str],
) -> None:
    """Enter values; the Sensor Units beside a Sensor Value are its unit."""
    said = dict(units)
    for path, value in values.items():
        ids = path.split("/")
        if int(ids[2]) == _UNITS and value in UNITS:
            for resource in _IN_UNITS:
                place = f"{ids[0]}/{ids[1]}/{resource}"
                if is_number(values.get(place)):
                    said.setdefault(place, value)
    out.add(device, time, values, units=said)
