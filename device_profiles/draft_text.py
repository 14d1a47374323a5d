"""The parts of a drafted profile: its head, and what its vectors expect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_profiles.decoded import Decoded
from device_profiles.draft_fields import Found, Guess
from device_profiles.draft_samples import BadSample
from device_profiles.examples import Bench, Received
from device_profiles.profile import Profile, load_profile
from gateway_core.clock import NS
from gateway_core.errors import ConfigError

_SAFE_ID = "[0-9A-Za-z._:-]{1,64}"
_AGE = "7d"
JSON_STEP = "decode: [{json: {}}]"
"""The decode list of messages that are JSON."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the author says of the device.

    Attributes:
        id: ``vendor/model``.
        topic: With ``+`` or ``{names}``; None: taken from the samples.
        measurement: Where its readings go; None: what most of its fields are stored under.
        title: Language to text.
        docs: Public documentation, or none.
    """

    id: str
    topic: str | None = None
    measurement: str | None = None
    title: Mapping[str, str] = field(default_factory=dict)
    docs: Sequence[str] = ()


def load_draft(text: str, name: str) -> Profile:
    """Return the profile of a drafted text; raises `BadSample` where it has a mistake."""
    try:
        return load_profile(text, f"{name}.yaml")
    except ConfigError as exc:
        raise BadSample(f"the samples lead to a profile with a mistake: {exc}") from exc


def head_of(
    wish: Wish,
    template: str,
    device: str,
    found: Found,
    measurement: str,
    *,
    decode: str = JSON_STEP,
    payload: str = "json",
) -> str:
    """Return everything of a profile but its tests."""
    vendor, model = wish.id.split("/")
    title = {"en": f"{vendor} {model}", "zh": f"{vendor} {model}", **wish.title}
    docs = list(wish.docs) or ["no public documentation; drafted from messages of the device"]
    lines = [
        "# Drafted from messages of the device: look at units and ranges, then prove them with",
        "# more vectors. Every key: docs/reference/profile-format.md",
        "format: 1",
        f"id: {wish.id}",
        "version: 0.1.0",
        "status: draft",
        f"title: {flow(title)}",
        f"vendor: {flow(vendor)}",
        f"model: {flow(model)}",
        "license: CC0-1.0",
        f"docs: {flow(docs)}",
        "",
        "match:",
        f"  - {{via: mqtt, topic: {flow(template)}, payload: {payload}}}",
        f"device: {{id: {flow(device)}, pattern: {flow(_SAFE_ID)}}}",
    ]
    if found.time is not None:
        path, form = found.time
        lines.append(
            f"time: {{from: {flow(path)}, format: {form}, max_age: {_AGE}, max_ahead: 5m}}"
        )
    lines += [decode, "", "measurements:"]
    lines += [_measure(guess) for guess in found.fields]
    lines += [f"  # {quoted(path)[1:-1]}: {why}" for path, why in found.left]
    lines += [
        f"store: {{measurement: {measurement}, tags: [edge, device, profile]}}",
        "",
        "egress:                         # nothing leaves the site unless it is listed here",
        "  class: operational",
        "  default: none",
        "  # allow: {name: {every: 5m, fns: [mean, min, max, count]}}",
        "",
    ]
    return "\n".join(lines)


def _measure(guess: Guess) -> str:
    keys = ", ".join(f"{key}: {flow(value)}" for key, value in guess.spec.items())
    note = f"  # {guess.note}" if guess.note else ""
    return f"  {flow(guess.name)}: {{{keys}}}{note}"


def flow(value: Any) -> str:
    """Return a value in YAML's flow form; JSON is that."""
    if isinstance(value, str) and value.isidentifier() and value.lower() not in _WORDS:
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{flow(key)}: {flow(item)}' for key, item in value.items())}}}"
    return quoted(value)


def quoted(value: Any) -> str:
    """Return a value as JSON that YAML reads as the same: what cannot be printed is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)


_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})

PLACEHOLDER = """\
tests:
  - {{name: a, recv: {{topic: "{topic}", hex: "ff"}}, expect: {{reject: not_json}}}}
  - {{name: b, recv: {{topic: "{topic}", hex: "ff"}}, expect: {{reject: not_json}}}}
  - {{name: c, recv: {{topic: "{topic}", hex: "ff"}}, expect: {{reject: not_json}}}}
"""
"""Vectors that let a head be loaded, before there are others."""


def send(probe: Profile, topic: str, payload: bytes) -> tuple[Received, int | None]:
    """Return what a message gives and the receive time at which its own time counts, or None."""
    result = Bench(probe).receive(topic, payload, 0)
    times = [point.time for point in result.decoded.readings] if result.decoded else []
    if not times or times[0] == 0:
        return result, None
    return result, -(-times[0] // NS)


def expectation(decoded: Decoded, quality: list[str], *, timed: bool) -> str:
    """Return the ``expect`` of a vector that gives what was decoded."""
    points = []
    for point in decoded.readings:
        time = {"time": point.time / NS if point.time % NS else point.time // NS} if timed else {}
        points.append({**time, **point.fields})
    expect: dict[str, Any] = {"device": decoded.device, "points": points}
    if quality:
        expect["quality"] = quality
    return quoted(expect)
