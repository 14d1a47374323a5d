"""Messages of a device, as people have them: JSON, lines of a file, what a site refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from device_profiles.topics import fill, names_in
from gateway_core.errors import GatewayError

MOST_SAMPLES = 50
"""Messages that a draft is made from; more would only make it slower."""

LARGEST = 1 << 20
"""Bytes of a file of samples."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One message.

    Attributes:
        body: The JSON object.
        topic: Where it came to, or None: nobody said.
    """

    body: dict[str, Any]
    topic: str | None = None


class BadSample(GatewayError):
    """What was given is no message that a draft can be made from; it says which and why."""


def read_sample(text: str, name: str = "the sample") -> Sample:
    """Return the message that a text is: a JSON object, or ``topic {…}`` as mosquitto_sub -v says.

    Raises:
        BadSample: Neither.
    """
    text = text.strip()
    topic, body = None, text
    if text[:1] not in ("{", "["):
        topic, _, body = text.partition(" ")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadSample(f"{name}: expected a JSON object, or a topic and one: {exc}") from exc
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise BadSample(f"{name}: half of a character (a lone surrogate) is in it") from exc
    if isinstance(found, dict) and isinstance(found.get("payload"), dict) and "topic" in found:
        return Sample(found["payload"], str(found["topic"]))
    if not isinstance(found, dict) or not found:
        raise BadSample(f"{name}: expected a JSON object with members, found {body[:40]!r}")
    return Sample(found, topic)


def read_samples(text: str, name: str) -> list[Sample]:
    """Return the messages of a file: a message a line, or what ``edge refused --json`` prints.

    Raises:
        BadSample: A line is none, there are none, or the file is too large.
    """
    if len(text) > LARGEST:
        raise BadSample(f"{name}: larger than 1 MiB; some fifty messages are plenty")
    refused = _refused(text, name)
    if refused is not None:
        return refused
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise BadSample(f"{name}: no message in it")
    return [read_sample(line, f"{name}:{number}") for number, line in lines[:MOST_SAMPLES]]


def _refused(text: str, name: str) -> list[Sample] | None:
    """Return the messages among refused payloads, or None where it is another file."""
    try:
        rows = json.loads(text)
    except ValueError:
        return None
    if not isinstance(rows, list):
        return None
    samples = []
    for row in rows[:MOST_SAMPLES]:
        if not isinstance(row, dict) or "payload" not in row or "address" not in row:
            raise BadSample(
                f"{name}: expected messages, a line each, or what refused --json prints"
            )
        try:
            payload = base64.b64decode(str(row["payload"])).decode()
        except ValueError:
            continue  # bytes of something else, or no base64
        if payload.lstrip()[:1] == "{":
            samples.append(Sample(read_sample(payload, name).body, str(row["address"])))
    if not samples:
        raise BadSample(f"{name}: none of the refused payloads is a JSON object")
    return samples


def template_of(topic: str | None, samples: Sequence[Sample]) -> str:
    """Return the topic's template: ``+`` becomes ``{device}`` (the last) or ``{part1}``.

    Args:
        topic: As given, with ``+`` or ``{names}``; None: levels that differ among the samples.
        samples: The messages.

    Raises:
        BadSample: Nothing tells the topic, or it is no template.
    """
    if topic is None:
        topic = _common([sample.topic for sample in samples if sample.topic])
    if "#" in topic:
        raise BadSample(
            f"{topic!r}: write + for each level that varies; # cannot stand in a profile"
        )
    levels = topic.split("/")
    varying = [index for index, level in enumerate(levels) if level == "+"]
    for count, index in enumerate(varying, 1):
        last = index == varying[-1] and "device" not in names_in(topic)
        levels[index] = "{device}" if last else f"{{part{count}}}"
    return "/".join(levels)


def _common(topics: Sequence[str]) -> str:
    if not topics:
        raise BadSample("no topic: add --topic acme/+/up, with + where the device's name stands")
    split = [topic.split("/") for topic in topics]
    if len({len(levels) for levels in split}) > 1:
        raise BadSample("the samples' topics have different lengths: add --topic acme/+/up")
    levels = ["+" if len(set(level)) > 1 else level[0] for level in zip(*split, strict=True)]
    if "+" not in levels:
        raise BadSample(
            f"all samples came to {topics[0]}: add --topic with + for the device's name"
        )
    return "/".join(levels)


def concrete(template: str, sample: Sample) -> str:
    """Return a topic that the template matches: the sample's own, else one with made-up names."""
    if sample.topic is not None and _fits(template, sample.topic):
        return sample.topic
    return fill(template, {name: f"{name}1" for name in names_in(template)})


def _fits(template: str, topic: str) -> bool:
    wanted, found = template.split("/"), topic.split("/")
    return len(wanted) == len(found) and all(
        "{" in level or level == other for level, other in zip(wanted, found, strict=True)
    )


def bodies(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """Return the objects alone."""
    return [sample.body for sample in samples]
