"""EdgeX device profiles (versions 2, 3 and 4 of its API) as profiles that read its readings.

EdgeX applies ``mask``, ``shift``, ``base``, ``scale``, ``offset`` and the ``mappings`` of a
command before it publishes a reading, and drops a reading that fails its ``assertion``. The profile
made here reads what is published; it does not apply them a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from device_profiles.faults import Faults, Place
from device_profiles.importers.edgex_resource import Resource, read_resource
from device_profiles.importers.edgex_vectors import vectors
from device_profiles.importers.imported import Imported, field_name, flow, path_to, slug
from gateway_core.errors import ConfigError
from gateway_core.yaml_document import read_yaml

TOPICS = (
    "edgex/events/device/{{service}}/{profile}/{{device}}/{{source}}",  # versions 3 and 4
    "edgex/events/device/{profile}/{{device}}/{{source}}",  # version 2
)
"""Where device services publish on the message bus."""

_HEAD = ("apiVersion", "name", "manufacturer", "model", "description", "id")
_LISTS = ("deviceResources", "deviceCommands")


def import_edgex(
    source: Path | str, *, profile: str = "", measurement: str = "", topic: str = ""
) -> Imported:
    """Make a profile of an EdgeX device profile.

    Args:
        source: The file, YAML or JSON; or its text.
        profile: The id it gets; empty: of manufacturer and model.
        measurement: Where its readings go; empty: of the profile's name.
        topic: Topic template of its readings; empty: where EdgeX publishes them.

    Raises:
        ConfigError: It is no device profile that this reads; every mistake with its place.
    """
    document = read_yaml(source, "<EdgeX profile>")
    faults, remarks = Faults(document), Faults(document)
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("deviceResources"), list):
        raise ConfigError(document.fault((), "no EdgeX device profile: expected 'deviceResources'"))
    name = data.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(document.fault((), "an EdgeX device profile has a 'name'"))
    for key in data:
        if key not in (*_HEAD, *_LISTS) and data[key] not in (None, "", [], {}):
            remarks.add((key,), "has no equal here, left out")
    mappings = _mappings(data, remarks)
    resources: dict[str, Resource] = {}
    names: set[str] = set()
    for index, spec in enumerate(data["deviceResources"]):
        place: Place = ("deviceResources", index)
        resource = read_resource(spec, place, mappings, faults, remarks)
        if resource is not None and resource.name in names:
            remarks.add(place, f"another resource is called {resource.name!r} too, left out")
        elif resource is not None:
            names.add(resource.name)
            resources[field_name(resource.name, resources)] = resource
    faults.raise_any()
    if not resources:
        message = "no resource that can be read and stored: see the remarks"
        raise ConfigError(*remarks.sorted(), document.fault(("deviceResources",), message))
    made = profile or _id_of(data)
    topics = [topic] if topic else [each.format(profile=quote(name, safe="")) for each in TOPICS]
    text = _text(made, data, topics, measurement or field_name(name), resources)
    return Imported(made, text, tuple(remarks.sorted()))


def _id_of(data: Mapping[str, Any]) -> str:
    vendor = slug(str(data.get("manufacturer") or "")) or "edgex"
    return f"{vendor}/{slug(str(data.get('model') or '')) or slug(data['name']) or 'device'}"


def _mappings(data: Mapping[str, Any], remarks: Faults) -> dict[str, list[str]]:
    """Return resource to the texts that commands map its values to; remark on the rest."""
    found: dict[str, list[str]] = {}
    commands = data.get("deviceCommands")
    for index, command in enumerate(commands if isinstance(commands, list) else ()):
        place: Place = ("deviceCommands", index)
        if not isinstance(command, dict):
            remarks.add(place, "is no command, left out")
            continue
        if "W" in str(command.get("readWrite", "R")):
            remarks.add(
                place,
                "a command that writes is sent through EdgeX (its core-command service) and was"
                " not imported: add one to 'commands' if the device can be reached from here",
            )
        for key in command:
            if key not in ("name", "isHidden", "readWrite", "resourceOperations", "tags"):
                remarks.add((*place, key), "has no equal here, left out")
        operations = command.get("resourceOperations")
        for at, operation in enumerate(operations if isinstance(operations, list) else ()):
            if not isinstance(operation, dict):
                continue
            where: Place = (*place, "resourceOperations", at)
            if operation.get("defaultValue"):
                remarks.add((*where, "defaultValue"), "is for writing, left out")
            table = operation.get("mappings")
            if isinstance(table, dict) and table and "R" in str(command.get("readWrite", "R")):
                known = found.setdefault(str(operation.get("deviceResource")), [])
                known.extend(str(v) for v in table.values() if str(v) not in known)
    return found


def _text(
    made: str,
    data: Mapping[str, Any],
    topics: list[str],
    measurement: str,
    resources: Mapping[str, Resource],
) -> str:
    head = [
        f"# Made by 'tidegate profiles import edgex' of the device profile {flow(data['name'])}.",
        "# EdgeX has applied mask, shift, base, scale, offset and mappings before it publishes.",
        "format: 1",
        f"id: {made}",
        "version: 0.1.0",
        "status: draft",
        f"title: {flow(str(data.get('description') or data['name'])[:200])}",
        f"vendor: {flow(str(data.get('manufacturer') or 'unknown'))}",
        f"model: {flow(str(data.get('model') or data['name']))}",
        "match:",
        *(f"  - {{via: mqtt, topic: {flow(topic)}}}" for topic in topics),
        "decode:",
        f"  - edgex: {{profile: {flow(data['name'])}}}",
        "measurements:",
    ]
    for field, resource in resources.items():
        head.extend(f"  # {note}" for note in resource.notes)
        head.append(f"  {flow(field)}: {_measurement(field, resource)}")
    return "\n".join(
        [
            *head,
            f"store: {{measurement: {flow(measurement)}}}",
            "egress:                       # nothing leaves the site unless it is listed here",
            "  class: operational",
            "  default: none",
            "tests:",
            *vectors(str(data["name"]), topics, resources),
            "",
        ]
    )


def _measurement(field: str, resource: Resource) -> str:
    parts = []
    source = path_to(resource.name)
    if source != field:
        parts.append(f"from: {flow(source)}")
    parts.append(f"type: {resource.type}")
    if resource.unit is not None:
        parts.append(f"unit: {flow(resource.unit)}")
    if resource.values:
        parts.append(f"values: {flow(resource.values)}")
    if resource.range is not None:
        parts.append(f"range: {flow(resource.range)}")
    if resource.title:
        parts.append(f"title: {flow(resource.title)}")
    return "{" + ", ".join(parts) + "}"
