"""The ``decode`` list of a profile, compiled into one function."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from device_profiles.codecs.cayenne import compile_cayenne
from device_profiles.codecs.cbor import parse_cbor
from device_profiles.codecs.condition import Condition, compile_condition
from device_profiles.codecs.contract import Context, Decode, Packet, SpecError, Values
from device_profiles.codecs.fields import compile_fields
from device_profiles.codecs.fragments import compile_fragments, joined
from device_profiles.codecs.frame import Frame, compile_frame
from device_profiles.codecs.grammar import (
    Path,
    choice,
    kind,
    mapping,
    order_of,
    sequence,
    text,
)
from device_profiles.codecs.jsontext import parse_json
from device_profiles.codecs.layout import check_rest, whole_decoder
from device_profiles.codecs.naming import NAMING
from device_profiles.codecs.nested import nest
from device_profiles.codecs.prose import compile_text
from device_profiles.codecs.senml import compile_senml
from device_profiles.codecs.sparkplug import compile_sparkplug
from device_profiles.codecs.table import compile_csv
from device_profiles.codecs.tlv import compile_tlv
from device_profiles.codecs.trace import tracing
from gateway_core.errors import PayloadError

MESSAGE_NAMES = ("fport", "size", "content_format")
"""What a step's ``when`` may ask beside the frame's values: port, bytes of payload, CoAP format.

``byte<n>`` is the payload's byte at n, counted from 0.
"""

_WHOLE = ("json", "cbor", "senml", "sparkplug-b", *NAMING)
STEPS = (*_WHOLE, "frame", "fragments", "struct", "tlv", "cayenne-lpp", "csv", "text")
"""The codecs of this package; a JavaScript codec (``js``) stands alone and is run elsewhere."""

_BYTE = re.compile(r"\bbyte(0|[1-9]\d{0,3})\b")
_CBOR_FORMATS = (60, 112)

Body = Callable[[bytes], Values]
"""Decodes the bytes of one message."""

Carrier = Callable[[bytes], tuple[bytes, Values]]
"""From a message to the bytes within and to what stands around them; raises `PayloadError`."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """One of several layouts of a message, and when it is the right one.

    ``peeks`` are the positions of the payload's bytes that ``when`` asks for.
    """

    when: Condition | None
    decode: Body
    peeks: tuple[int, ...] = ()


def compile_decode(
    steps: Sequence[dict[str, Any]],
    *,
    split: str | None = None,
    many: bool = False,
    lists: bool = True,
) -> Decode:
    """Compile the ``decode`` list of a profile.

    Args:
        steps: Any number of ``frame`` and ``fragments`` (and one ``json``/``cbor`` that carries
            bytes) steps, then either one step that decodes a whole message (``json``, ``senml``,
            …), or one or more ``struct``, ``tlv`` and ``cayenne-lpp`` steps, of which the first
            whose ``when`` holds decodes the message.
        split: The profile's ``device.split``, for SenML.
        many: Whether one message may tell of several devices that the codec itself tells apart.
        lists: Whether a JSON or CBOR message may be a list; the profile must read its ``items``.

    Returns:
        The decoder. It takes bytes (``json``, ``cbor`` and ``senml`` also objects already
        parsed) and gives values, or for SenML packets; it raises `PayloadError` and nothing else.

    Raises:
        SpecError: A step is wrong.
    """
    opened = [_opened(step, (index,)) for index, step in enumerate(sequence(list(steps), ()))]
    lead = 0
    while lead < len(opened) and _leads(*opened[lead][:2]):
        lead += 1
    frames: list[Frame] = []
    for step in opened[:lead]:
        frames.append(_lead(*step, [name for frame in frames for name in frame.names]))
    trace = tracing()
    if trace is not None:
        frames = [
            replace(frame, open=trace.watch_frame(frame.open, frame.find, path))
            if frame.open is not _as_it_is
            else frame
            for frame, (_, _, path) in zip(frames, opened, strict=False)
        ]
    body = opened[lead:]
    if not body:
        raise SpecError((len(opened) - 1,), "a frame needs a step that decodes what it holds")
    names = {name for frame in frames for name in frame.names}
    if body[0][0] in _WHOLE:
        if len(body) > 1:
            raise SpecError((lead + 1,), f"nothing can follow {body[0][0]}")
        return _whole_message(frames, body[0], split, many=many, lists=lists)
    return _binary(
        frames, [_branch(step, names, len(body) == i + 1) for i, step in enumerate(body)]
    )


Step = tuple[str, Any, Path]


def _opened(step: object, path: Path) -> Step:
    """Return name, specification and path of a step."""
    if not isinstance(step, dict) or len(step) != 1:
        raise SpecError(path, f"expected one step such as 'json: {{}}', found {kind(step)}")
    name, spec = next(iter(step.items()))
    if name == "js":
        raise SpecError(
            (*path, "js"), "a JavaScript codec stands alone, or after one json or cbor step"
        )
    return choice(name, path, STEPS), spec, (*path, name)


def compile_carrier(step: object) -> Carrier:
    """Compile the ``json`` or ``cbor`` step that carries the bytes of a JavaScript codec.

    Raises:
        SpecError: It is another step, or carries nothing.
    """
    name, spec, path = _opened(step, (0,))
    if name not in ("json", "cbor") or not _leads(name, spec):
        raise SpecError(path, "only 'json' or 'cbor' with 'payload' can stand before js")
    return _lead(name, spec, path).open


def _leads(name: str, spec: object) -> bool:
    """Return whether a step opens something that a later step decodes."""
    return name in ("frame", "fragments") or (
        name in ("json", "cbor") and isinstance(spec, dict) and "payload" in spec
    )


def _lead(name: str, spec: Any, path: Path, names: Sequence[str] = ()) -> Frame:
    """Compile a step that opens something; ``names`` are values that those before it give."""
    if name == "frame":
        return compile_frame(spec, path)
    if name == "fragments":
        return Frame(_as_it_is, (), part=compile_fragments(spec, names, path))
    found = mapping(spec, path, ("payload", "encoding"), "payload")
    key = text(found["payload"], (*path, "payload")).split(".")
    encoding = choice(
        found.get("encoding", "base64"), (*path, "encoding"), ("base64", "hex", "text")
    )
    parse = parse_json if name == "json" else parse_cbor

    def open_carrier(payload: bytes) -> tuple[bytes, Values]:
        outer = parse(payload)
        inner = outer
        for part in key:
            inner = inner.get(part) if isinstance(inner, dict) else None
        if not isinstance(inner, str):
            raise PayloadError("bad_envelope", f"{'.'.join(key)} is missing or not text")
        return _bytes_of(inner, encoding), outer

    return Frame(open_carrier, ())


def _as_it_is(data: bytes) -> tuple[bytes, Values]:
    return data, {}


def _bytes_of(inner: str, encoding: str) -> bytes:
    try:
        if encoding == "text":
            return inner.encode()
        if encoding == "hex":
            return bytes.fromhex(inner)
        return base64.b64decode(inner, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise PayloadError("bad_envelope", f"the payload is not {encoding}") from exc


def _whole_message(
    frames: list[Frame], step: Step, split: str | None, *, many: bool, lists: bool
) -> Decode:
    """Return the decoder of a message that is one JSON, CBOR or SenML value."""
    name, spec, path = step
    if frames:
        raise SpecError(path, f"{name} cannot stand after a frame")
    if name == "sparkplug-b":
        return compile_sparkplug(spec, path)
    if name == "senml":
        return compile_senml(spec, path, split, many=many)
    if name in NAMING:
        return NAMING[name](spec, path, many=many)
    mapping(spec if spec is not None else {}, path, ())
    always_cbor = name == "cbor"
    wanted = "an object or a list" if lists else "an object"

    def decode(payload: object, context: Context) -> Values | list[Packet]:
        if isinstance(payload, bytes):
            is_cbor = always_cbor or context.content_format in _CBOR_FORMATS
            payload = parse_cbor(payload) if is_cbor else parse_json(payload)
        if isinstance(payload, dict):
            return payload
        if isinstance(payload, list) and lists:
            return {"items": payload}
        code = "not_cbor" if always_cbor else "not_json"
        raise PayloadError(code, f"expected {wanted}, found {_kind_of(payload)}")

    return decode


def _kind_of(payload: object) -> str:
    if isinstance(payload, list):
        return "a list, and the profile reads none of its 'items'"
    return "text" if isinstance(payload, str) else "a single value"


def _binary(frames: list[Frame], branches: list[_Branch]) -> Decode:
    """Return the decoder of bytes: frames opened from the outside, then the branch that fits."""
    if not frames and len(branches) == 1 and branches[0].when is None:
        only = branches[0].decode

        def decode_plain(payload: object, _context: Context) -> Values:
            return only(payload if type(payload) is bytes else _raw(payload))

        return decode_plain

    def decode(payload: object, context: Context) -> Values:
        data = _raw(payload)
        values: Values = {}
        for frame in frames:
            data, found = frame.open(data)
            values.update(found)
            part = None if frame.part is None else frame.part(values)
            if part is not None:
                data = joined(data, part, context)
        for branch in branches:
            if branch.when is None or branch.when(_scope(values, data, context, branch.peeks)):
                values.update(branch.decode(data))
                return values
        raise PayloadError("not_applicable", "no layout of this profile is for this message")

    return decode


def _scope(values: Values, data: bytes, context: Context, peeks: tuple[int, ...]) -> Values:
    """Return what a step's condition may ask."""
    scope = {
        **values,
        "fport": context.fport,
        "size": len(data),
        "content_format": context.content_format,
    }
    scope.update({f"byte{at}": data[at] for at in peeks if at < len(data)})
    scope.update({f"captures.{name}": text for name, text in context.captures.items()})
    return scope


def _raw(payload: object) -> bytes:
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, bytearray | memoryview):
        return bytes(payload)
    raise PayloadError("not_bytes", "the message holds no bytes, only what its server made of them")


def _branch(step: Step, names: set[str], last: bool) -> _Branch:  # noqa: FBT001
    """Compile a step that decodes bytes, one of `_BODIES`."""
    name, spec, path = step
    if name not in _BODIES:
        raise SpecError(path, f"{name} cannot stand here")
    when, peeks = None, set[str]()
    if isinstance(spec, dict) and "when" in spec:
        peeks = set(_BYTE.findall(str(spec["when"])))
        known = {*names, *MESSAGE_NAMES, *(f"byte{at}" for at in peeks)}
        when = compile_condition(spec["when"], known, (*path, "when"))
    elif not last:
        raise SpecError(path, "needs 'when', because another layout follows")
    body = _BODIES[name](spec, path)
    peeked = tuple(int(at) for at in sorted(peeks))
    trace = tracing()
    if trace is not None:
        body = trace.watch_body(body, path, peeked)
    return _Branch(when, body, peeked)


def _struct(spec: Any, path: Path) -> Body:
    found = mapping(spec, path, ("order", "when", "fields", "rest"), "fields")
    rest = choice(found.get("rest", "error"), (*path, "rest"), ("error", "ignore"))
    order = order_of(found, path, "big")
    layout = compile_fields(found["fields"], order, (*path, "fields"), nest)
    exact = rest == "error"
    if layout.run is not None:
        return whole_decoder(layout.run, exact=exact)

    def decode(data: bytes) -> Values:
        out: Values = {}
        check_rest(layout.read(data, 0, len(data), out), len(data), exact=exact)
        return out

    return decode


def _tlv(spec: Any, path: Path) -> Body:
    read = compile_tlv(spec, "big", path, nest)

    def decode(data: bytes) -> Values:
        out: Values = {}
        read(data, 0, 0, len(data), out)
        return out

    return decode


_BODIES: dict[str, Callable[[Any, Path], Body]] = {
    "cayenne-lpp": compile_cayenne,
    "csv": compile_csv,
    "struct": _struct,
    "text": compile_text,
    "tlv": _tlv,
}
