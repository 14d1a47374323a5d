"""What a record becomes in a time-series store, and what no store can hold. Pure.

The rules are those of line protocol, applied to every store alike, so that a record which one
store would refuse is refused by all of them and moving to another store changes nothing
(docs/reference/formats/series.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec import structs

from gateway_core.errors import GatewayError
from gateway_core.model import (
    Alarm,
    Batch,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    Record,
    SystemHealth,
    Value,
)
from gateway_core.time_marks import FIELD, mark_of

Kind = Literal["float", "int", "bool", "str"]
"""The four field types of line protocol."""

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
TIME_MIN, TIME_MAX = INT_MIN + 2, INT_MAX - 1
"""InfluxDB keeps the outermost instants for itself (models/time.go)."""
NAME_BYTES = 256
TAG_BYTES = 1024
STRING_BYTES = 65_536
FIELDS = 1_024
"""Most fields of one point."""

OWN_TAGS = frozenset({"edge", "device", "profile"})
"""Tags that every reading has; a profile's tag or field of that name would be ambiguous."""

_CONTROLS = dict.fromkeys((*range(32), 127))
_TEXT_CONTROLS = dict.fromkeys((*range(9), *range(10, 32), 127))
_KINDS: dict[type, Kind] = {float: "float", int: "int", bool: "bool", str: "str"}


class Unwritable(GatewayError):
    """A record that no store can hold as it is.

    Attributes:
        code: A stable reason, for example ``not_finite`` (docs/reference/formats/series.md).
        detail: Which name or value, cut short.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail[:200]


@dataclass(frozen=True, slots=True)
class Point:
    """One instant of one series.

    Attributes:
        measurement: The series' measurement.
        tags: Tag key to value; empty values have been left out.
        fields: Field key to value; never empty.
        time: Nanoseconds since 1970.
    """

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    time: int


def to_point(record: Record) -> Point | None:
    """Return the point that `record` becomes; None for a kind that is not a series.

    Names and values are not judged here: see `check_point`.
    """
    match record:
        case Reading():
            tags = {"edge": record.edge, "device": record.device, "profile": record.profile}
            return Point(
                record.measurement, {**tags, **record.tags}, dict(record.fields), record.time
            )
        case FeedHealth():
            return _health("feed_health", {"edge": record.edge, "feed": record.feed}, record)
        case SystemHealth():
            return _health("system_health", {"edge": record.edge, "system": record.system}, record)
        case Alarm():
            return _alarm(record)
        case Loss():
            fields: dict[str, Value] = {
                "epoch": record.epoch,
                "first": record.first,
                "last": record.last,
                "records": record.last - record.first + 1,
            }
            if record.until:
                fields |= {"since": record.since, "until": record.until}
            if record.detail:
                fields["detail"] = _one_line(record.detail)
            return Point(
                "loss", {"edge": record.edge, "reason": record.reason}, fields, record.time
            )
        case Listed() | ProfileUse():
            return None


def with_marks(batch: Batch) -> Batch:
    """Return a batch whose readings tell what is known against their times, as a field."""
    found = {
        place: mark
        for place, each in enumerate(batch.records)
        if type(each) is Reading and each.flags and (mark := mark_of(each.flags))
    }
    if not found:
        return batch
    records = [
        structs.replace(each, fields={FIELD: found[place], **each.fields})
        if place in found and isinstance(each, Reading)
        else each
        for place, each in enumerate(batch.records)
    ]
    return Batch(batch.first, records)


def check_point(point: Point) -> None:
    """Judge every name and value of `point`.

    Raises:
        Unwritable: Something in it cannot be carried by line protocol.
    """
    check_name("measurement", point.measurement)
    for key, value in point.tags.items():
        check_name("tag", key)
        check_tag(key, value)
    if not point.fields:
        raise Unwritable("no_fields", "a point needs at least one field")
    if len(point.fields) > FIELDS:
        raise Unwritable("too_many_fields", f"{len(point.fields)} fields, at most {FIELDS}")
    for key, field in point.fields.items():
        check_name("field", key)
        if key in point.tags:
            raise Unwritable("field_is_tag", key)
        check_value(key, field)
    check_time(point.time)


def check_name(what: Literal["measurement", "tag", "field"], name: str) -> None:
    """Judge a measurement, tag key or field key.

    Raises:
        Unwritable: It is empty, reserved, too long, or holds what cannot be escaped.
    """
    if not name:
        raise Unwritable("empty_name", what)
    if name[0] == "_" or (name == "time" and what != "measurement"):
        raise Unwritable("reserved_name", f"{what} {name}")
    if what == "measurement" and name[0] == "#":
        raise Unwritable("reserved_name", f"{name}: a line that opens with # is a comment")
    _check_text(what, name, NAME_BYTES)


def check_tag(key: str, value: str) -> None:
    """Judge a tag's value; an empty one is fine, it is left out.

    Raises:
        Unwritable: It is too long or holds what cannot be escaped.
    """
    _check_text(key, value, TAG_BYTES)


def check_value(key: str, value: Value) -> Kind:
    """Judge a field's value and return its type.

    Raises:
        Unwritable: NaN, infinite, beyond 64 bits, too long, or not plain text.
    """
    kind = _KINDS.get(type(value))
    if kind == "float" and value - value != 0.0:  # type: ignore[operator] # inf and NaN
        raise Unwritable("not_finite", f"{key} is {value}")
    if kind == "int" and not INT_MIN <= value <= INT_MAX:  # type: ignore[operator]
        raise Unwritable("int_range", f"{key} does not fit in 64 bits with a sign")
    if kind == "str":
        check_string(key, value)  # type: ignore[arg-type]
    if kind is None:
        raise Unwritable("bad_type", f"{key} is {type(value).__name__}")
    return kind


def check_string(key: str, value: str) -> None:
    """Judge a string field.

    Raises:
        Unwritable: It is too long, not UTF-8, or holds a newline or another control character.
    """
    if value.isprintable() and value.isascii() and len(value) <= STRING_BYTES:
        return
    if len(_utf8(key, value)) > STRING_BYTES:
        raise Unwritable("too_long", f"{key}: more than {STRING_BYTES} bytes")
    if len(value.translate(_TEXT_CONTROLS)) != len(value):
        raise Unwritable("control_character", f"{key} holds a newline, NUL or the like")


def check_time(time: int) -> None:
    """Judge an instant.

    Raises:
        Unwritable: A store cannot hold it (before 1677 or after 2262).
    """
    if not TIME_MIN <= time <= TIME_MAX:
        raise Unwritable("time_range", str(time))


def kind_of(value: Value) -> Kind:
    """Return the field type of a value that `check_value` let pass."""
    return _KINDS[type(value)]


def _check_text(what: str, text: str, limit: int) -> None:
    if len(_utf8(what, text)) > limit:
        raise Unwritable("too_long", f"{what}: more than {limit} bytes")
    if len(text.translate(_CONTROLS)) != len(text):
        raise Unwritable("control_character", f"{what} {text!r}")
    if "\\" in text:
        _check_backslashes(what, text)


def _check_backslashes(what: str, text: str) -> None:
    r"""Refuse a backslash before ``,``, ``=``, space, ``\`` or the end.

    The readers of line protocol disagree about these: InfluxDB's line splitter takes ``\\`` as one
    escaped character where its key scanner takes two plain ones; others fold ``\\`` into one.
    """
    for left, right in zip(text, text[1:] + "\\", strict=True):
        if left == "\\" and right in "\\,= ":
            raise Unwritable("backslash", f"{what} {text!r}")


def _utf8(what: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise Unwritable("bad_utf8", what) from exc


def _health(measurement: str, tags: dict[str, str], record: FeedHealth | SystemHealth) -> Point:
    fields: dict[str, Value] = {
        "state": record.state,
        "checks": record.checks,
        "failures": record.failures,
        "up_s": float(record.up_s),
        "hourly": record.hourly,
    }
    if record.faults:
        fields["faults"] = ",".join(record.faults)
    if record.rtt_ms is not None:
        fields["rtt_ms"] = float(record.rtt_ms)
    if isinstance(record, FeedHealth) and record.worst:
        fields["worst"] = record.worst
    if record.mark:
        fields[FIELD] = record.mark
    return Point(measurement, tags, fields, record.time)


def _alarm(record: Alarm) -> Point:
    tags = {
        "edge": record.edge,
        "device": record.device,
        "rule": record.rule,
        "severity": record.severity,
    }
    fields: dict[str, Value] = {
        "state": record.state,
        "raised": record.state == "raised",
        "profile": record.profile,
    }
    if record.mark:
        fields[FIELD] = record.mark
    for language, text in record.text.items():
        fields[f"text_{language}"] = _one_line(text)
    if record.text:
        fields["text"] = _one_line(record.text.get("en") or next(iter(record.text.values())))
    return Point("alarm", tags, fields, record.time)


def _one_line(text: str) -> str:
    """Fold white space: texts for people may span lines, line protocol may not."""
    return " ".join(text.split())
