"""A first profile from messages of a device that nobody documented: it lints and tests at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_profiles.catalogue import Catalogue
from device_profiles.decoded import Decoded
from device_profiles.draft_fields import Found, Guess, look
from device_profiles.draft_names import meaning, plain_name, theme_of
from device_profiles.draft_samples import BadSample, Sample, bodies, concrete, template_of
from device_profiles.examples import Bench, Received
from device_profiles.profile import FieldSpec, Profile, load_profile
from device_profiles.topics import names_in
from gateway_core.clock import NS
from gateway_core.errors import ConfigError

_SAFE_ID = "[0-9A-Za-z._:-]{1,64}"
_AGE = "7d"
_MOST_VECTORS = 10
_FEWEST_VECTORS = 3


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


def draft(wish: Wish, samples: Sequence[Sample], beside: Catalogue) -> str:
    """Return the text of a profile that reads the samples and has them as its vectors.

    Args:
        wish: What the author says.
        samples: Messages of the device; all are JSON objects.
        beside: Profiles whose types and units it keeps to, so that one store can hold both.

    Raises:
        BadSample: No topic, no device, or nothing that could be measured.
    """
    template = template_of(wish.topic, samples)
    names = names_in(template)
    measurement = wish.measurement or _measurement(samples, wish.id)
    stored: dict[str, FieldSpec] = {}
    for profile in beside.profiles.values():
        if profile.measurement == measurement and profile.id != wish.id:
            stored |= profile.fields
    found = look(bodies(samples), needs_device="device" not in names, stored=stored)
    if not found.fields:
        raise BadSample("no member of the samples could be measured: nothing but ids and times")
    device = _device_template(names, found, template)
    head = _head(wish, template, device, found, measurement)
    probe = _load(head + _PLACEHOLDER.format(topic=concrete(template, samples[0])), wish.id)
    vectors = _vectors(probe, template, samples, found)
    return head + vectors


def _measurement(samples: Sequence[Sample], name: str) -> str:
    knowns = [
        meaning(plain_name(key))[0]
        for body in bodies(samples)
        for key, value in body.items()
        if not isinstance(value, dict | list)
    ]
    return theme_of(k for k in knowns if k is not None) or plain_name(name.replace("/", "_"))


def _device_template(names: Sequence[str], found: Found, template: str) -> str:
    if "device" in names:
        return "{device}"
    if found.device is not None:
        return f"{{{found.device}}}"
    if names:
        return f"{{{names[-1]}}}"
    raise BadSample(
        f"neither {template!r} nor a member of the samples names the device: put + in the topic "
        "where its name stands"
    )


def _load(text: str, name: str) -> Profile:
    try:
        return load_profile(text, f"{name}.yaml")
    except ConfigError as exc:
        raise BadSample(f"the samples lead to a profile with a mistake: {exc}") from exc


def _head(wish: Wish, template: str, device: str, found: Found, measurement: str) -> str:
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
        f"title: {_flow(title)}",
        f"vendor: {_flow(vendor)}",
        f"model: {_flow(model)}",
        "license: CC0-1.0",
        f"docs: {_flow(docs)}",
        "",
        "match:",
        f"  - {{via: mqtt, topic: {_flow(template)}, payload: json}}",
        f"device: {{id: {_flow(device)}, pattern: {_flow(_SAFE_ID)}}}",
    ]
    if found.time is not None:
        path, form = found.time
        lines.append(
            f"time: {{from: {_flow(path)}, format: {form}, max_age: {_AGE}, max_ahead: 5m}}"
        )
    lines += ["decode: [{json: {}}]", "", "measurements:"]
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
    keys = ", ".join(f"{key}: {_flow(value)}" for key, value in guess.spec.items())
    note = f"  # {guess.note}" if guess.note else ""
    return f"  {_flow(guess.name)}: {{{keys}}}{note}"


def _flow(value: Any) -> str:
    """Return a value in YAML's flow form; JSON is that."""
    if isinstance(value, str) and value.isidentifier() and value.lower() not in _WORDS:
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_flow(key)}: {_flow(item)}' for key, item in value.items())}}}"
    return quoted(value)


def quoted(value: Any) -> str:
    """Return a value as JSON that YAML reads as the same: what cannot be printed is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)


_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})

_PLACEHOLDER = """\
tests:
  - {{name: a, recv: {{topic: "{topic}", hex: "ff"}}, expect: {{reject: not_json}}}}
  - {{name: b, recv: {{topic: "{topic}", hex: "ff"}}, expect: {{reject: not_json}}}}
  - {{name: c, recv: {{topic: "{topic}", hex: "ff"}}, expect: {{reject: not_json}}}}
"""


def _vectors(probe: Profile, template: str, samples: Sequence[Sample], found: Found) -> str:
    """Return the samples as vectors, with what they give, and messages that are refused."""
    lines = ["tests:"]
    for number, sample in enumerate(samples[:_MOST_VECTORS], 1):
        topic = concrete(template, sample)
        payload = quoted(sample.body)
        result, at = _send(probe, topic, json.dumps(sample.body))
        if result.decoded is None:
            raise BadSample(f"sample {number} would be refused: {result.reject}: {result.detail}")
        expect = _expect(result.decoded, result.quality, timed=at is not None)
        when = f"at: {at}, " if at is not None else ""
        lines += [
            f"  - name: {_flow(f'sample {number}')}",
            "    source: a message of the device itself",
            f"    recv: {{topic: {_flow(topic)}, {when}payload: {payload}}}",
            f"    expect: {expect}",
        ]
    topic = concrete(template, samples[0])
    lines += _out_of_range(probe, topic, samples[0], found)
    lines += [
        "  - name: not JSON",
        f'    recv: {{topic: {_flow(topic)}, hex: "ff"}}',
        "    expect: {reject: not_json}",
    ]
    if sum(line.startswith("  - name") for line in lines) < _FEWEST_VECTORS:
        result, _ = _send(probe, topic, "[]")
        lines += [
            "  - name: no member that is known",
            f'    recv: {{topic: {_flow(topic)}, payload: "[]"}}',
            f"    expect: {{reject: {result.reject}}}"
            if result.reject
            else "    expect: {points: []}",
        ]
    return "\n".join(lines) + "\n"


def _send(probe: Profile, topic: str, payload: str) -> tuple[Received, int | None]:
    """Return what a message gives and the receive time at which its own time counts, or None."""
    result = Bench(probe).receive(topic, payload.encode(), 0)
    times = [point.time for point in result.decoded.readings] if result.decoded else []
    if not times or times[0] == 0:
        return result, None
    return result, -(-times[0] // NS)


def _expect(decoded: Decoded, quality: list[str], *, timed: bool) -> str:
    points = []
    for point in decoded.readings:
        time = {"time": point.time / NS if point.time % NS else point.time // NS} if timed else {}
        points.append({**time, **point.fields})
    expect: dict[str, Any] = {"device": decoded.device, "points": points}
    if quality:
        expect["quality"] = quality
    return quoted(expect)


def _out_of_range(probe: Profile, topic: str, sample: Sample, found: Found) -> list[str]:
    """Return a vector that shows a bad value left out and the rest kept."""
    for guess in found.fields:
        path = guess.spec.get("from", guess.name)
        if "range" not in guess.spec or path not in sample.body:
            continue
        body = {**sample.body, path: guess.spec["range"][1] * 10 + 1000}
        result, at = _send(probe, topic, json.dumps(body))
        if result.decoded is None:
            continue
        when = f"at: {at}, " if at is not None else ""
        payload = quoted(body)
        return [
            f"  - name: {guess.name} out of range is left out",
            f"    recv: {{topic: {_flow(topic)}, {when}payload: {payload}}}",
            f"    expect: {_expect(result.decoded, result.quality, timed=at is not None)}",
        ]
    return []
