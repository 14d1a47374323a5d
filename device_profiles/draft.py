"""A first profile from messages of a device that nobody documented: it lints and tests at once."""

from __future__ import annotations

import json
from collections.abc import Sequence

from device_profiles.catalogue import Catalogue
from device_profiles.draft_fields import Found, look
from device_profiles.draft_names import meaning, plain_name, theme_of
from device_profiles.draft_samples import BadSample, Sample, bodies, concrete, template_of
from device_profiles.draft_text import (
    PLACEHOLDER,
    Wish,
    expectation,
    flow,
    head_of,
    load_draft,
    quoted,
    send,
)
from device_profiles.profile import FieldSpec, Profile
from device_profiles.topics import names_in

_MOST_VECTORS = 10
_FEWEST_VECTORS = 3


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
    head = head_of(wish, template, device, found, measurement)
    probe = load_draft(head + PLACEHOLDER.format(topic=concrete(template, samples[0])), wish.id)
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


def _vectors(probe: Profile, template: str, samples: Sequence[Sample], found: Found) -> str:
    """Return the samples as vectors, with what they give, and messages that are refused."""
    lines = ["tests:"]
    for number, sample in enumerate(samples[:_MOST_VECTORS], 1):
        topic = concrete(template, sample)
        payload = quoted(sample.body)
        result, at = send(probe, topic, json.dumps(sample.body).encode())
        if result.decoded is None:
            raise BadSample(f"sample {number} would be refused: {result.reject}: {result.detail}")
        expect = expectation(result.decoded, result.quality, timed=at is not None)
        when = f"at: {at}, " if at is not None else ""
        lines += [
            f"  - name: {flow(f'sample {number}')}",
            "    source: a message of the device itself",
            f"    recv: {{topic: {flow(topic)}, {when}payload: {payload}}}",
            f"    expect: {expect}",
        ]
    topic = concrete(template, samples[0])
    lines += _out_of_range(probe, topic, samples[0], found)
    lines += [
        "  - name: not JSON",
        f'    recv: {{topic: {flow(topic)}, hex: "ff"}}',
        "    expect: {reject: not_json}",
    ]
    if sum(line.startswith("  - name") for line in lines) < _FEWEST_VECTORS:
        result, _ = send(probe, topic, b"[]")
        lines += [
            "  - name: no member that is known",
            f'    recv: {{topic: {flow(topic)}, payload: "[]"}}',
            f"    expect: {{reject: {result.reject}}}"
            if result.reject
            else "    expect: {points: []}",
        ]
    return "\n".join(lines) + "\n"


def _out_of_range(probe: Profile, topic: str, sample: Sample, found: Found) -> list[str]:
    """Return a vector that shows a bad value left out and the rest kept."""
    for guess in found.fields:
        path = guess.spec.get("from", guess.name)
        if "range" not in guess.spec or path not in sample.body:
            continue
        body = {**sample.body, path: guess.spec["range"][1] * 10 + 1000}
        result, at = send(probe, topic, json.dumps(body).encode())
        if result.decoded is None:
            continue
        when = f"at: {at}, " if at is not None else ""
        payload = quoted(body)
        return [
            f"  - name: {guess.name} out of range is left out",
            f"    recv: {{topic: {flow(topic)}, {when}payload: {payload}}}",
            f"    expect: {expectation(result.decoded, result.quality, timed=at is not None)}",
        ]
    return []
