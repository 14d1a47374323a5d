"""What opens the messages of one element of ``match``: envelope, payload kind, place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from device_profiles.bodies import (
    read_base64,
    read_cbor,
    read_hex,
    read_json,
    read_object,
    read_text,
    read_word,
)
from device_profiles.build_sessions import SPARKPLUG, session_open
from device_profiles.codecs.envelope import OPENERS
from device_profiles.opened import Open, envelope_open, plain_open
from device_profiles.paths import PathFault, parse_path
from device_profiles.reader import Reader

_SCALAR = "value"
"""The name under which a message that is one number, text or bool can be reached."""


def is_object(steps: list[dict[str, Any]]) -> bool:
    """Return whether decoded values are the message's own JSON or CBOR object."""
    step = steps[0]
    return "json" in step and "payload" not in (step["json"] or {})


def opener(steps: list[dict[str, Any]], spec: Mapping[str, Any], reader: Reader) -> Open:
    """Return what opens the messages of one element of ``match``.

    Args:
        steps: What decodes them.
        spec: The element.
        reader: Makes points.
    """
    via, kind = spec["via"], spec.get("payload")
    if via == SPARKPLUG:
        return session_open(spec["topic"])
    if via in OPENERS:
        return envelope_open(via, decoded=is_object(steps), digits=kind == "hex")
    see = _seen(steps[0], kind) if "where" in spec else None
    if kind == "hex":
        return plain_open(lambda payload, _format: read_hex(payload), see)
    if kind == "base64":
        return plain_open(lambda payload, _format: read_base64(payload), see)
    if not is_object(steps):
        return plain_open(lambda payload, _format: payload, see)
    if "as" in spec:
        return plain_open(_within(spec["as"], read_word if kind == "text" else read_object))
    if kind == "text":
        return plain_open(lambda payload, _format: read_text(payload))
    read: Callable[[bytes, int | None], Any] = read_object
    if kind == "cbor":
        read = lambda payload, _format: read_cbor(payload)  # noqa: E731
    elif kind == "json":
        read = lambda payload, _format: read_json(payload)  # noqa: E731
    takes_scalar = any(measure.source == _SCALAR for measure in reader.measures)
    return plain_open(_with_scalars(read) if takes_scalar else read)


def _seen(step: Mapping[str, Any], kind: str | None) -> Callable[[bytes], Any] | None:
    """Return what reads the object that ``where`` sees where the decoder takes bytes."""
    name = next(iter(step))
    if name in ("cbor", "json"):
        return read_cbor if name == "cbor" else read_json
    return read_text if kind == "text" else None


def _within(
    place: str, read: Callable[[bytes, int | None], Any]
) -> Callable[[bytes, int | None], Any]:
    """Return a reader that puts a message at a path, where the measurements look for it."""
    try:
        path = parse_path(place)
    except PathFault:
        path = ()  # entered where the element is checked

    def read_within(payload: bytes, content_format: int | None) -> Any:
        body = read(payload, content_format)
        for name in reversed(path):
            body = {name: body}
        return body

    return read_within


def _with_scalars(read: Callable[[bytes, int | None], Any]) -> Callable[[bytes, int | None], Any]:
    def read_any(payload: bytes, content_format: int | None) -> Any:
        body = read(payload, content_format)
        return body if isinstance(body, dict | list) else {_SCALAR: body}

    return read_any
