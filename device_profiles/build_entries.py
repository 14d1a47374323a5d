"""Compile ``match`` and ``decode``: one `Entry` for each way that messages come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_profiles.build_conventions import conventions
from device_profiles.build_decoders import build_decode, needs_others, steps_of
from device_profiles.build_devices import build_presence
from device_profiles.build_measures import expression, path_getter
from device_profiles.build_openers import opener
from device_profiles.build_sessions import SESSION_NAMES, SPARKPLUG, expanded
from device_profiles.cel import CelType
from device_profiles.codecs import NAMING_STEPS, Context, Decode
from device_profiles.codecs.envelope import OPENERS
from device_profiles.codecs.radio import RADIO, SERVER
from device_profiles.commands import CommandSpec
from device_profiles.dedup import Dedup
from device_profiles.fastbytes import compile_fast_bytes
from device_profiles.fastjson import FastJson, compile_fast, whole_only
from device_profiles.faults import Faults, Place
from device_profiles.homeassistant.learning import KIND
from device_profiles.online import Presence
from device_profiles.opened import plain_open
from device_profiles.predicates import compile_predicate
from device_profiles.reader import Reader
from device_profiles.route import Entry
from device_profiles.topics import Template, TemplateFault, parse_template

DEFAULT_TOPICS = {
    "chirpstack-v4": "application/{app}/device/{dev_eui}/event/up",
    "ttn-v3": "v3/{app}/devices/{dev}/up",
    "zigbee2mqtt": "zigbee2mqtt/{device}",
}
"""Where network servers publish, unless the profile says otherwise."""

ENVELOPE_NAMES = frozenset({"device", "app", "device_name", "time"})
"""Captures that an envelope may add to those of the topic."""

_WHERE: dict[str, CelType] = {"d": "any", "c": "any", "fport": "any", "size": "any"}


def build_entries(
    data: Mapping[str, Any], reader: Reader, faults: Faults, folder: Path | None = None
) -> list[Entry]:
    """Compile every element of ``match``, and the availability topic where none matches it.

    Args:
        data: The profile.
        reader: Makes points.
        faults: Takes the mistakes.
        folder: Where a JavaScript codec stands; None for a profile that is no file.
    """
    common = build_decode(data, data["decode"], ("decode",), faults, folder)
    dedup = build_dedup(data, faults)
    entries = []
    beside = _reads_beside({key: data[key] for key in data if key not in ("match", "tests")})
    ways: list[tuple[Place, Mapping[str, Any]]] = [
        (("match", index), each)
        for index, spec in enumerate(data["match"])
        for each in expanded(spec, data, ("match", index), faults)
    ]
    ways.extend(conventions(data))
    place: Place
    for place, spec in ways:
        template = _template(spec, place, faults)
        decode = common
        if "decode" in spec:
            decode = build_decode(data, spec["decode"], (*place, "decode"), faults, folder)
        if template is not None and decode is not None:
            entry = _entry(data, spec, template, decode, reader, place, faults)
            entries.append(
                replace(
                    entry,
                    dedup=dedup,
                    remembers=entry.remembers or dedup is not None,
                    beside=beside,
                )
            )
    entries.extend(_availability(data, entries, reader, faults))
    return entries


def build_dedup(data: Mapping[str, Any], faults: Faults) -> Dedup | None:
    """Compile ``dedup``; None where there is none."""
    paths = []
    for index, text in enumerate(data.get("dedup", ())):
        get = path_getter(text, ("dedup", index), faults)
        if get is not None:
            paths.append((text, get))
    return Dedup(paths) if paths else None


def _entry(
    data: Mapping[str, Any],
    spec: Mapping[str, Any],
    template: Template,
    decode: Decode,
    reader: Reader,
    place: Place,
    faults: Faults,
) -> Entry:
    steps = steps_of(data, spec)
    _check_identity(data, spec, template, reader, place, faults)
    where = None
    if "where" in spec:
        found = expression(spec["where"], _WHERE, (*place, "where"), faults)
        where = None if found is None else compile_predicate(found)
    if "as" in spec:
        path_getter(spec["as"], (*place, "as"), faults)
    fast, extra, time_at = _fast(data, spec, template, decode, reader)
    return Entry(
        spec["via"],
        spec.get("role", "data"),
        template,
        frozenset(spec["content_format"]) if "content_format" in spec else None,
        opener(steps, spec, reader),
        decode,
        where,
        reader,
        fast,
        extra,
        time_at,
        build_presence(spec, reader.devices, place, faults),
        remembers=needs_others(steps),
        steps=steps,
    )


def _template(spec: Mapping[str, Any], place: Place, faults: Faults) -> Template | None:
    via = spec["via"]
    key, other = ("path", "topic") if via == "coap" else ("topic", "path")
    if other in spec:
        faults.add((*place, other), f"{via} has a {key!r}, not a {other!r}")
        return None
    text = spec.get(key, DEFAULT_TOPICS.get(via))
    if text is None:
        faults.add(place, f"the key {key!r} is missing")
        return None
    if "content_format" in spec and via != "coap":
        faults.add((*place, "content_format"), "Content-Formats belong to CoAP")
    try:
        return parse_template(text.removeprefix("/") if via == "coap" else text)
    except TemplateFault as exc:
        faults.add((*place, key) if key in spec else place, str(exc))
        return None


def _check_identity(
    data: Mapping[str, Any],
    spec: Mapping[str, Any],
    template: Template,
    reader: Reader,
    place: Place,
    faults: Faults,
) -> None:
    """Enter a device id that messages of this entry cannot give."""
    if spec.get("role") == "ignore":
        return
    known = set(template.names)
    if isinstance(data.get("devices"), dict):
        known.add(data["devices"].get("key", "device"))
        if template.names and set(reader.identity.names) <= set(template.names):
            faults.add(place, "all devices of a message would have the id that this address gives")
    if spec.get("role") == "availability" and ("online" in spec or "devices" in data):
        return  # the message names the device
    if spec.get("role", "data") == "data":
        if spec["via"] in OPENERS:
            known |= ENVELOPE_NAMES
        last = steps_of(data, spec)[-1]
        if "line-protocol" in last:
            return  # names are tags, which only a message can show
        if spec["via"] in (SPARKPLUG, KIND):
            known |= SESSION_NAMES
        if not last.keys().isdisjoint(NAMING_STEPS):
            known.add("device")
        elif "device" in data:
            return  # names may be decoded values, which only a message can show
    missing = [name for name in reader.identity.names if name not in known]
    if missing:
        faults.add(
            place, f"the device id needs {{{missing[0]}}}, which this topic or path does not give"
        )


def _reads_beside(part: Any) -> bool:
    """Return whether any path of a profile begins at the network server's message."""
    if isinstance(part, dict):
        return any(map(_reads_beside, part.values()))
    if isinstance(part, list):
        return any(map(_reads_beside, part))
    return isinstance(part, str) and part.startswith((f"{SERVER}.", f"{RADIO}."))


def _fast(
    data: Mapping[str, Any],
    spec: Mapping[str, Any],
    template: Template,
    decode: Decode,
    reader: Reader,
) -> tuple[FastJson | None, tuple[str, ...], int | None]:
    """Return the short way, the names of its extra values and which of them is the time."""
    steps = steps_of(data, spec)
    alone = (
        spec.get("role", "data") == "data"
        and "where" not in spec
        and "as" not in spec
        and "each" not in data
        and "devices" not in data
        and "dedup" not in data
    )
    as_json = (
        (spec["via"] in ("mqtt", "coap") or _needs_no_envelope(spec, template, reader))
        and spec.get("payload", "json") == "json"
        and steps == [{"json": {}}]
    )
    as_bytes = spec["via"] in ("mqtt", "coap") and spec.get("payload", "bytes") in ("bytes", "text")
    if not alone or not (as_json or as_bytes):
        return None, (), None
    extra = [name for name in reader.identity.names if name not in template.names]
    time_at = None
    if reader.clock.source:
        time_at = len(extra)
        extra.append(reader.clock.source)
    if len(set(extra)) != len(extra):
        return None, (), None
    if as_json:
        named = [one for one in reader.measures if one.name in data["measurements"]]
        fast = compile_fast(named, data["measurements"], extra)
    else:
        fast = compile_fast_bytes(steps, decode, reader.measures, extra)
    if fast is not None and (reader.required or reader.position is not None):
        fast = whole_only(fast, reader.required, reader.position)
    return fast, tuple(extra), time_at


def _needs_no_envelope(spec: Mapping[str, Any], template: Template, reader: Reader) -> bool:
    """Return whether a Zigbee2MQTT message can be read as the flat JSON that it is."""
    return (
        spec["via"] == "zigbee2mqtt"
        and {*reader.identity.names, *reader.tags} <= set(template.names)
        and reader.clock.source not in ENVELOPE_NAMES
    )


def _availability(
    data: Mapping[str, Any], entries: list[Entry], reader: Reader, faults: Faults
) -> list[Entry]:
    """Return the entry of ``availability.online`` where ``match`` has none of that role."""
    text = data.get("availability", {}).get("online")
    roles = [spec.get("role") for spec in data["match"]]
    if text is None or "availability" in roles or not entries:
        return []
    place: Place = ("availability", "online")
    try:
        template = parse_template(text.replace("{device}", reader.identity.template))
    except TemplateFault as exc:
        faults.add(place, str(exc))
        return []
    if any(name not in template.names for name in reader.identity.names):
        faults.add(place, "the device id cannot be read from this topic; add it to 'match'")
        return []
    as_bytes = plain_open(lambda payload, _format: payload)
    return [
        Entry(
            "mqtt",
            "availability",
            template,
            None,
            as_bytes,
            _nothing,
            None,
            reader,
            presence=Presence(),
        )
    ]


def build_answers(
    commands: Iterable[CommandSpec], entries: Sequence[Entry], reader: Reader
) -> list[Entry]:
    """Return an entry for each topic of an ``ack`` that ``match`` does not name already."""
    known = {entry.template.filter for entry in entries if entry.via != "coap"}
    as_bytes = plain_open(lambda payload, _format: payload)
    found: list[Entry] = []
    for command in commands:
        if command.ack is not None and command.ack.template.filter not in known:
            known.add(command.ack.template.filter)
            template = command.ack.template
            found.append(Entry("mqtt", "ack", template, None, as_bytes, _nothing, None, reader))
    return found


def _nothing(_payload: object, _context: Context) -> dict[str, Any]:
    return {}
