"""Layouts of bytes as people jot them down: ``battery:u8:%, temperature:i16*0.1:Cel, skip1``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from device_profiles.draft_fields import Found, Guess
from device_profiles.draft_names import meaning, plain_name, theme_of
from device_profiles.draft_samples import BadSample, Sample, concrete, template_of
from device_profiles.draft_text import (
    PLACEHOLDER,
    Wish,
    expectation,
    flow,
    head_of,
    load_draft,
    send,
)
from device_profiles.topics import names_in

_FIELD = re.compile(
    r"(?P<name>\w+)\s*:\s*(?P<type>[a-z]+\d*(?:le|be|cdab|badc)?)"
    r"(?:\s*\*\s*(?P<scale>\d+(?:\.\d+)?))?(?:\s*:\s*(?P<unit>\S+))?"
)
_SKIP = re.compile(r"skip\d+")
_NUMBERS = ("u", "i", "f", "dec", "sdec")


def read_layout(text: str) -> tuple[list[Any], Found]:
    """Return the fields of a ``struct`` step, and the measurements of them.

    Args:
        text: ``name:type``, perhaps ``*scale`` and ``:unit``, or ``skipN``; commas between them.
            Types are those of `struct`: ``u8 i16 u32le f32 bcd4 ascii8``.

    Raises:
        BadSample: A part is none of these.
    """
    fields: list[Any] = []
    found = Found()
    for part in filter(None, (part.strip() for part in text.split(","))):
        if _SKIP.fullmatch(part):
            fields.append(part)
            continue
        match = _FIELD.fullmatch(part)
        if match is None:
            raise BadSample(
                f"--layout: expected name:type, perhaps *scale and :unit, or skipN, found {part!r}"
            )
        fields.append({match["name"]: match["type"]})
        found.fields.append(_guess(match, {guess.name for guess in found.fields}))
    if not found.fields:
        raise BadSample("--layout: no field in it: battery:u8:%, temperature:i16*0.1:Cel")
    return fields, found


def _guess(match: re.Match[str], taken: set[str]) -> Guess:
    source = match["name"]
    known, _ = meaning(plain_name(source))
    name = known.field if known is not None and known.field not in taken else plain_name(source)
    while name in taken:
        name += "_2"
    spec: dict[str, Any] = {} if name == source else {"from": source}
    if not match["type"].startswith(_NUMBERS):
        return Guess(name, {**spec, "type": "string", "kind": "diagnostic"})
    scale = match["scale"]
    if scale is not None:
        spec["scale"] = float(scale) if "." in scale else int(scale)
    unit = match["unit"] or (known.unit if known is not None else "1")
    whole = scale is None and match["type"][0] != "f" and (known is None or known.type == "int")
    spec |= {"type": "int" if whole else "float", "unit": unit}
    if known is not None and known.kind:
        spec["kind"] = known.kind
    note = "" if match["unit"] or known is not None else "which unit?"
    return Guess(name, spec, known, note)


def draft_bytes(wish: Wish, messages: Sequence[bytes], layout: str) -> str:
    """Return the text of a profile that reads messages of bytes, which are its vectors.

    Args:
        wish: What the author says; the topic is needed.
        messages: Of the device.
        layout: As `read_layout` takes it.

    Raises:
        BadSample: No topic, no device in it, or a message that the layout does not read.
    """
    fields, found = read_layout(layout)
    template = template_of(wish.topic, [Sample({})])
    names = names_in(template)
    if not names:
        raise BadSample(f"{template!r} names no device: put + in the topic where its name stands")
    device = "{device}" if "device" in names else f"{{{names[-1]}}}"
    measurement = wish.measurement or theme_of(g.known for g in found.fields if g.known)
    decode = f"decode: [{{struct: {{order: big, fields: {flow(fields)}}}}}]"
    head = head_of(
        wish,
        template,
        device,
        found,
        measurement or plain_name(wish.id.replace("/", "_")),
        decode=decode,
        payload="bytes",
    )
    topic = concrete(template, Sample({}))
    probe = load_draft(head + PLACEHOLDER.format(topic=topic), wish.id)
    lines = ["tests:"]
    for number, message in enumerate(messages, 1):
        result, _ = send(probe, topic, message)
        if result.decoded is None:
            raise BadSample(f"message {number} would be refused: {result.reject}: {result.detail}")
        expect = expectation(result.decoded, result.quality, timed=False)
        lines += _vector(f"message {number}", topic, message, expect, "of the device itself")
    first = messages[0]
    for name, message in (("cut short", first[:-1]), ("a byte too many", first + b"\0")):
        result, _ = send(probe, topic, message)
        lines += _vector(name, topic, message, f"{{reject: {result.reject}}}")
    return head + "\n".join(lines) + "\n"


def _vector(
    name: str, topic: str, message: bytes, expect: str, source: str = "changed by one byte"
) -> list[str]:
    return [
        f"  - name: {flow(name)}",
        f"    source: a message {source}",
        f"    recv: {{topic: {flow(topic)}, hex: {flow(message.hex(' '))}}}",
        f"    expect: {expect}",
    ]
