"""Vectors of an imported EdgeX profile: events as its device service would publish them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from device_profiles.importers.edgex_resource import Resource
from device_profiles.importers.imported import flow

_ORIGIN = 1_700_000_000_000_000_000
_AT = 1_700_000_000


def vectors(profile: str, topics: Sequence[str], resources: Mapping[str, Resource]) -> list[str]:
    """Return the lines below ``tests:``.

    Args:
        profile: EdgeX's name of the profile.
        topics: Topic templates.
        resources: Measurement to resource.
    """
    address, *others = (_address(topic) for topic in topics)
    samples = {field: _sample(resource) for field, resource in resources.items()}
    event = _event(profile, [(resources[field], text) for field, (text, _) in samples.items()])
    point = {"time": _AT, **{field: value for field, (_, value) in samples.items()}}
    first = next(iter(resources))
    wrong = _wrong(resources[first])
    foreign = _event(f"{profile}-2", [(resources[first], samples[first][0])])
    lines = [
        "  - name: an event with every resource",
        "    source: generated; replace it with one that your device sent",
        f"    recv: {{topic: {flow(address)}, at: {_AT}, payload: {flow(event)}}}",
        f"    expect: {{device: device-1, points: [{flow(point)}]}}",
        "  - name: readings of another EdgeX profile",
        f"    recv: {{topic: {flow(address)}, at: {_AT}, payload: {flow(foreign)}}}",
        "    expect: {reject: not_applicable}",
        "  - name: not JSON",
        f'    recv: {{topic: {flow(address)}, at: {_AT}, hex: "ff"}}',
        "    expect: {reject: not_json}",
    ]
    for other in others:
        one = _event(profile, [(resources[first], samples[first][0])])
        lines += [
            "  - name: a reading on another topic",
            f"    recv: {{topic: {flow(other)}, at: {_AT}, payload: {flow(one)}}}",
            f"    expect: {{points: [{flow({first: samples[first][1]})}]}}",
        ]
    if wrong is not None:
        text, code = wrong
        bad = _event(profile, [(resources[first], text)])
        lines += [
            "  - name: a value that cannot be",
            f"    recv: {{topic: {flow(address)}, at: {_AT}, payload: {flow(bad)}}}",
            f"    expect: {{points: [], quality: [{flow(f'{first}:{code}')}]}}",
        ]
    return lines


def _address(topic: str) -> str:
    """Return a topic that the template matches."""
    out = topic
    for name, said in (("service", "device-mqtt"), ("device", "device-1"), ("source", "all")):
        out = out.replace("{" + name + "}", said)
    while "{" in out and "}" in out[out.index("{") :]:
        start = out.index("{")
        out = out[:start] + "x" + out[out.index("}", start) + 1 :]
    return out


def _event(profile: str, readings: list[tuple[Resource, str]]) -> dict[str, Any]:
    """Return an event as it is on the message bus."""
    return {
        "apiVersion": "v3",
        "deviceName": "device-1",
        "profileName": profile,
        "sourceName": "all",
        "origin": _ORIGIN,
        "readings": [
            {
                "origin": _ORIGIN,
                "deviceName": "device-1",
                "resourceName": resource.name,
                "profileName": profile,
                "valueType": resource.value_type,
                "value": text,
            }
            for resource, text in readings
        ],
    }


def _sample(resource: Resource) -> tuple[str, Any]:
    """Return a good value as EdgeX writes it, and as it is stored."""
    if resource.type == "bool":
        return "true", True
    if resource.type == "enum":
        return resource.values[0], resource.values[0]
    if resource.type == "string":
        return "abc", "abc"
    low, high = resource.range or (1, 100)
    value = min(max(21, low), high)
    if resource.type == "int":
        return str(int(value)), int(value)
    return f"{float(value):e}", float(f"{float(value):e}")


def _wrong(resource: Resource) -> tuple[str, str] | None:
    """Return a bad value and its flag; None for text, of which any is good."""
    if resource.type == "bool":
        return "perhaps", "not_bool"
    if resource.type == "enum":
        return "none of these", "not_in_enum"
    return None if resource.type == "string" else ("overflow", "not_number")
