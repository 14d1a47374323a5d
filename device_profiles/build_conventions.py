"""What a system publishes beside its devices' data, so that no profile has to say it again.

Zigbee2MQTT (its documentation, MQTT topics and messages) answers availability below each device,
and its own state and the commands that others send to devices stand among the devices' topics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_profiles.faults import Place

_TOPIC = "zigbee2mqtt/{device}"

Way = tuple[Place, dict[str, Any]]
"""An element of ``match``, and where the one stands that it belongs to."""


def conventions(data: Mapping[str, Any]) -> list[Way]:
    """Return what belongs to the elements of ``match`` and is not among them."""
    said = [spec.get("topic") for spec in data["match"]]
    present = any(spec.get("role") == "availability" for spec in data["match"])
    ways: list[Way] = []
    for index, spec in enumerate(data["match"]):
        if spec["via"] != "zigbee2mqtt" or spec.get("role", "data") != "data":
            continue
        topic = spec.get("topic", _TOPIC)
        base = topic.split("/")[0]
        beside = [
            (f"{topic}/{word}", "ignore") for word in ("set", "get", "set/{_to}", "get/{_of}")
        ]
        if "{" not in base:
            beside.append((f"{base}/bridge/{{_rest*}}", "ignore"))
        if not present:
            beside.append((f"{topic}/availability", "availability"))
        for each, role in beside:
            if each not in said:
                said.append(each)
                ways.append((("match", index), {"via": "mqtt", "topic": each, "role": role}))
    return ways
