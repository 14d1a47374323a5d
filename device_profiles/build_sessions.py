"""Compile ``via: sparkplug-b`` and ``homeassistant``: one element of ``match`` is many topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from device_profiles.codecs.sparkplug import KINDS, device_captures
from device_profiles.faults import Faults, Place
from device_profiles.homeassistant.learning import KIND, TOPICS
from device_profiles.opened import Open, Opened

SPARKPLUG = "sparkplug-b"
SESSION_NAMES = frozenset({"device", "group", "node", "name"})
"""Captures that every Sparkplug B message has."""

_ALL_TOPICS = {
    SPARKPLUG: tuple(
        f"spBv1.0/{{group}}/{kind}/{{node}}" + ("/{name}" if kind[0] == "D" else "")
        for kind in KINDS
    ),
    KIND: TOPICS,
}
_NEVER = ("topic", "path", "payload", "content_format", "role", "online")


def expanded(
    spec: Mapping[str, Any], data: Mapping[str, Any], place: Place, faults: Faults
) -> Iterator[Mapping[str, Any]]:
    """Yield the elements that one element of ``match`` stands for; most stand for themselves."""
    via, step = spec["via"], next(iter(spec.get("decode", data["decode"])[-1]))
    if via not in _ALL_TOPICS:
        if step in _ALL_TOPICS and spec.get("role", "data") == "data":
            faults.add((*place, "via"), f"the codec {step} needs 'via: {step}'")
        yield spec
        return
    if step != via:
        faults.add((*place, "via"), f"needs 'decode: [{{{via}: {{}}}}]'")
        return
    for key in _NEVER:
        if key in spec:
            faults.add((*place, key), f"{via} says this itself; narrow it down with 'where'")
            return
    for topic in _ALL_TOPICS[via]:
        yield {**spec, "topic": topic}


def session_open(topic: str) -> Open:
    """Return the opener of messages of one kind."""
    kind = topic.split("/")[2]

    def opens(payload: bytes, captures: Mapping[str, str], _format: int | None) -> Opened:
        return Opened(payload, device_captures(captures, kind))

    return opens
