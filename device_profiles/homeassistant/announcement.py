"""Announcements: what one discovery message says about a device's entities and their topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from device_profiles.codecs import parse_json
from device_profiles.homeassistant.classes import Stored, binary_stored, sensor_stored
from device_profiles.homeassistant.template import Template, TemplateFault, compile_template
from device_profiles.identity import safe_name
from device_profiles.units import UnitFault
from gateway_core.errors import PayloadError

COMPONENTS = ("sensor", "binary_sensor")
MOST_ENTITIES = 200
LONGEST = 32 * 1024
LONGEST_TOPIC = 256

_SHORT = {
    "avty": "availability", "avty_mode": "availability_mode", "avty_t": "availability_topic",
    "avty_tpl": "availability_template", "cmps": "components", "cns": "connections",
    "dev": "device", "dev_cla": "device_class", "ids": "identifiers", "obj_id": "object_id",
    "p": "platform", "pl_avail": "payload_available", "pl_not_avail": "payload_not_available",
    "pl_off": "payload_off", "pl_on": "payload_on", "stat_cla": "state_class",
    "stat_t": "state_topic", "t": "topic", "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement", "val_tpl": "value_template",
}  # fmt: skip
_TOPICS = ("state_topic", "availability_topic", "topic")
Mode = Literal["latest", "all", "any"]


@dataclass(frozen=True, slots=True)
class Presence:
    """A topic that says whether a device is there.

    Attributes:
        topic: Where.
        read: Gives what is compared with the two below.
        there: What is said when it is.
        gone: What is said when it is not.
    """

    topic: str
    read: Template
    there: str
    gone: str


@dataclass(frozen=True, slots=True)
class Entity:
    """One value of a device.

    Attributes:
        device: The device's id.
        name: The entity's, a tag.
        topic: Where its state comes.
        read: Gives the state.
        stored: How it is stored.
        on: The state that means true, for binary sensors.
        off: The state that means false.
        presence: Topics that say whether the device is there.
        mode: How many of those must say so.
    """

    device: str
    name: str
    topic: str
    read: Template
    stored: Stored
    on: str = ""
    off: str = ""
    presence: tuple[Presence, ...] = ()
    mode: Mode = "latest"


def parse_announcement(topic: str, payload: bytes) -> list[Entity]:
    """Return the entities that a discovery message announces; none for one that takes them back.

    Args:
        topic: ``<prefix>/<component>/[<node>/]<object>/config`` or ``<prefix>/device/<id>/config``.
        payload: JSON, or nothing.

    Raises:
        PayloadError: ``bad_announcement`` and what is wrong, ``not_json``, or ``not_applicable``
            for a kind of entity that has no value to store.
    """
    if not payload.strip():
        return []
    if len(payload) > LONGEST:
        raise _wrong(f"{len(payload)} bytes, at most {LONGEST}")
    message = parse_json(payload)
    if not isinstance(message, dict):
        raise _wrong("expected a JSON object")
    levels = topic.split("/")
    found = list(_entities(levels[1], levels[-2], _expanded(message)))
    if len(found) > MOST_ENTITIES:
        raise _wrong(f"{len(found)} entities, at most {MOST_ENTITIES}")
    return found


def _entities(component: str, name: str, message: dict[str, Any]) -> Iterator[Entity]:
    if component != "device":
        if component not in COMPONENTS:
            raise PayloadError("not_applicable", f"a {component} has no value that is stored")
        yield _entity(component, name, message, name)
        return
    parts = message.get("components")
    if not isinstance(parts, dict) or not parts:
        raise _wrong("a device without 'components'")
    about = {key: value for key, value in message.items() if key != "components"}
    some = False
    for part, spec in parts.items():
        if isinstance(spec, dict) and len(spec) > 1:
            whole = {**about, **_expanded({"~": message.get("~"), **spec})}
            if whole.get("platform") in COMPONENTS:
                some = True
                yield _entity(whole["platform"], str(part), whole, name)
    if not some:
        raise PayloadError("not_applicable", "none of the device's entities has a stored value")


def _entity(component: str, name: str, spec: Mapping[str, Any], fallback: str) -> Entity:
    unit, kind = _text(spec, "unit_of_measurement"), _text(spec, "device_class")
    try:
        read = compile_template(_text(spec, "value_template"))
    except TemplateFault as exc:
        raise _wrong(f"value_template: {exc}") from exc
    try:
        stored = (
            binary_stored(kind)
            if component == "binary_sensor"
            else sensor_stored(kind, unit, numeric=bool(spec.get("state_class")))
        )
    except UnitFault as exc:
        raise _wrong(f"unit_of_measurement: {exc}") from exc
    mode = spec.get("availability_mode", "latest")
    if mode not in ("latest", "all", "any"):
        raise _wrong(f"availability_mode {mode!r}")
    binary = component == "binary_sensor"
    return Entity(
        _device(spec, fallback),
        safe_name(str(spec.get("object_id") or name))[:128],
        _topic(spec, "state_topic"),
        read,
        stored,
        said(spec.get("payload_on", "ON")) if binary else "",
        said(spec.get("payload_off", "OFF")) if binary else "",
        tuple(_presences(spec)),
        mode,
    )


def _presences(spec: Mapping[str, Any]) -> Iterator[Presence]:
    listed = spec.get("availability")
    places = listed if isinstance(listed, list) else [listed] if isinstance(listed, dict) else []
    for place in places[:8]:
        if isinstance(place, dict):
            yield _presence(_expanded({"~": spec.get("~"), **place}), "topic", "value_template")
    if "availability_topic" in spec:
        yield _presence(spec, "availability_topic", "availability_template")


def _presence(spec: Mapping[str, Any], topic: str, template: str) -> Presence:
    try:
        read = compile_template(_text(spec, template))
    except TemplateFault as exc:
        raise _wrong(f"{template}: {exc}") from exc
    there = said(spec.get("payload_available", "online"))
    gone = said(spec.get("payload_not_available", "offline"))
    return Presence(_topic(spec, topic), read, there, gone)


def said(value: object) -> str:
    """Return a state as Home Assistant compares it: as text, with ``True`` and ``False``."""
    return str(value)


def _expanded(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message with whole names, and with ``~`` replaced in its topics."""
    whole = {_SHORT.get(key, key): value for key, value in message.items()}
    base = whole.get("~")
    if isinstance(base, str):
        for key in _TOPICS:
            text = whole.get(key)
            if isinstance(text, str) and text.startswith("~"):
                whole[key] = base + text[1:]
            elif isinstance(text, str) and text.endswith("~"):
                whole[key] = text[:-1] + base
    device = whole.get("device")
    if isinstance(device, dict):
        whole["device"] = {_SHORT.get(key, key): value for key, value in device.items()}
    return whole


def _device(spec: Mapping[str, Any], fallback: str) -> str:
    about = spec.get("device")
    about = about if isinstance(about, dict) else {}
    ids = about.get("identifiers")
    first = ids[0] if isinstance(ids, list) and ids else ids
    if not isinstance(first, str | int):
        pairs = about.get("connections")
        pair = pairs[0] if isinstance(pairs, list) and pairs else None
        first = pair[1] if isinstance(pair, list) and len(pair) == 2 else None
    if not isinstance(first, str | int):
        first = spec.get("unique_id", fallback)
    return safe_name(str(first))[:128]


def _topic(spec: Mapping[str, Any], key: str) -> str:
    topic = spec.get(key)
    if not isinstance(topic, str) or not 0 < len(topic) <= LONGEST_TOPIC:
        raise _wrong(f"{key}: expected a topic of at most {LONGEST_TOPIC} characters")
    if topic.startswith("$") or not topic.isprintable() or "+" in topic or "#" in topic:
        raise _wrong(f"{key}: {topic[:40]!r} is no topic to listen to")
    return topic


def _text(spec: Mapping[str, Any], key: str) -> str:
    value = spec.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(f"{key}: expected text")
    return value


def _wrong(why: str) -> PayloadError:
    return PayloadError("bad_announcement", why[:200])
