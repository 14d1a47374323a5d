"""Compile ``decode``: the profile's, and those of single elements of ``match``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from device_profiles.build_devices import tells_of_many
from device_profiles.build_sessions import SPARKPLUG
from device_profiles.codecs import Decode, SpecError, compile_carrier, compile_decode
from device_profiles.codecs.trace import tracing
from device_profiles.faults import Faults, Place
from device_profiles.homeassistant.learning import KIND, learn
from device_profiles.js.step import compile_js

_ASKS_NOTHING = frozenset(
    {"id", "title", "vendor", "model", "hardware", "docs", "store", "egress", "alarms", "commands"}
    | {"tests", "decode", "match"}
)
_ITEMS = re.compile(r"\bitems\b")


def steps_of(data: Mapping[str, Any], spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the decode steps of an element of ``match``: its own, else the profile's."""
    steps: list[dict[str, Any]] = spec.get("decode", data["decode"])
    return steps


def build_decode(
    data: Mapping[str, Any],
    steps: list[dict[str, Any]],
    place: Place,
    faults: Faults,
    folder: Path | None,
) -> Decode | None:
    """Compile a ``decode`` list; None after entering its mistake."""
    trace = tracing()
    if trace is not None:
        trace.base = place
    if KIND in steps[-1] and len(steps) == 1:
        if steps[-1][KIND]:
            faults.add((*place, 0, KIND), "nothing can be said here: write {}")
        return learn
    try:
        if "js" in steps[-1] and len(steps) <= 2:  # alone, or what another message carries
            carrier = compile_carrier(steps[0]) if len(steps) == 2 else None
            return compile_js(steps[-1]["js"], (len(steps) - 1, "js"), folder, carrier)
        split = data.get("device", {}).get("split")
        return compile_decode(
            steps, split=split, many=tells_of_many(data), lists=_reads_items(data)
        )
    except SpecError as exc:
        faults.add((*place, *exc.path), exc.message)
        return None


def _is_jt808(frame: object) -> bool:
    return frame == "jt808" or (isinstance(frame, dict) and frame.get("name") == "jt808")


def needs_others(steps: list[dict[str, Any]]) -> bool:
    """Return whether a message of this profile may be only a part of one."""
    return any(
        _is_jt808(step.get("frame")) or "fragments" in step or SPARKPLUG in step or KIND in step
        for step in steps
    )


def _reads_items(data: Mapping[str, Any]) -> bool:
    """Return whether anything in a profile asks for the ``items`` of a message that is a list."""
    asking = {key: value for key, value in data.items() if key not in _ASKS_NOTHING}
    return _ITEMS.search(json.dumps(asking)) is not None
