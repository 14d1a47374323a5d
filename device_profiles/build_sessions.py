"""Compile ``via: sparkplug-b``: one element of ``match`` stands for six kinds of topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from device_profiles.codecs.sparkplug import KINDS, device_captures
from device_profiles.faults import Faults, Place
from device_profiles.route import Open, Opened

SPARKPLUG = "sparkplug-b"
SESSION_NAMES = frozenset({"device", "group", "node", "name"})
"""Captures that every Sparkplug B message has."""

_NEVER = ("topic", "path", "payload", "content_format", "role", "online")


def expanded(
    spec: Mapping[str, Any], data: Mapping[str, Any], place: Place, faults: Faults
) -> Iterator[Mapping[str, Any]]:
    """Yield the elements that one element of ``match`` stands for; most stand for themselves."""
    decodes = SPARKPLUG in data["decode"][-1]
    if spec["via"] != SPARKPLUG:
        if decodes and spec.get("role", "data") == "data":
            faults.add((*place, "via"), f"the codec {SPARKPLUG} needs 'via: {SPARKPLUG}'")
        yield spec
        return
    if not decodes:
        faults.add((*place, "via"), f"needs 'decode: [{{{SPARKPLUG}: {{}}}}]'")
        return
    for key in _NEVER:
        if key in spec:
            faults.add((*place, key), f"{SPARKPLUG} says this itself; narrow it down with 'where'")
            return
    for kind in KINDS:
        tail = "/{name}" if kind[0] == "D" else ""
        yield {**spec, "topic": f"spBv1.0/{{group}}/{kind}/{{node}}{tail}"}


def session_open(topic: str) -> Open:
    """Return the opener of messages of one kind."""
    kind = topic.split("/")[2]

    def opens(payload: bytes, captures: Mapping[str, str], _format: int | None) -> Opened:
        return Opened(payload, device_captures(captures, kind))

    return opens
