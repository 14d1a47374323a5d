"""Line protocol, written and read. Pure.

InfluxDB 1, 2 and 3 and VictoriaMetrics read what `LineEncoder` writes as the same point; what the
protocol cannot carry is refused with a reason instead of being altered (docs/reference/formats/
series.md). `parse_line` reads with InfluxDB's own rules and exists so that tests can state
``parse_line(encode(x)) == x``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from collector.timeseries.alike import Alike, part
from collector.timeseries.series import (
    FIELDS,
    INT_MAX,
    INT_MIN,
    OWN_TAGS,
    Point,
    Unwritable,
    check_name,
    check_point,
    check_string,
    check_tag,
    check_time,
    check_value,
    to_point,
    with_marks,
)
from gateway_core.model import Batch, Reading, Record, Rejection, Value

_PREFIXES = 100_000
"""Series prefixes kept; about 300 bytes each. At the limit all are forgotten and made again."""
_KEYS = 20_000
_SUFFIX: dict[type, str] = {float: "", int: "i", bool: "", str: ""}
_json = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Lines:
    """A batch in line protocol.

    Attributes:
        lines: One point each, without the newline.
        seqs: ``seqs[i]`` is the sequence number of ``lines[i]``.
        rejected: What the protocol cannot carry.
        not_series: How many records are of a kind that is not a series.
    """

    lines: list[str] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    not_series: int = 0


class LineEncoder:
    """Turns records into line protocol, remembering the escaped start of every series."""

    def __init__(self) -> None:
        self._prefixes: dict[tuple[str, ...], str] = {}
        self._keys: dict[str, str] = {}

    def encode_batch(self, batch: Batch) -> Lines:
        """Encode a batch; a record that cannot be carried becomes a rejection, never a raise."""
        batch = with_marks(batch)
        out = Lines()
        lines: list[str | None] = [None] * len(batch.records)
        alike, others = part(batch.records)
        for group in alike:
            encoded = self._alike(group)
            if encoded is None:
                others += group.places
                continue
            for place, line in zip(group.places, encoded, strict=True):
                lines[place] = line
        for place in others:
            try:
                one = self.encode(batch.records[place])
            except Unwritable as reason:
                out.rejected.append(Rejection(batch.first + place, reason.code, reason.detail))
                continue
            lines[place] = one
            out.not_series += one is None
        out.rejected.sort(key=lambda each: each.seq)
        out.seqs = [seq for seq, line in enumerate(lines, batch.first) if line is not None]
        out.lines = [line for line in lines if line is not None]
        return out

    def _alike(self, group: Alike) -> list[str] | None:
        """Return one line for each reading; None where they are to be judged one by one."""
        times, columns = group.times(), group.columns()
        if times is None or columns is None or len(columns) > FIELDS:
            return None
        try:
            prefixes = self._prefixes_of(group.readings)
            keys = [self._keys.get(name) or self._key(name) for name in group.names]
        except Unwritable:
            return None
        body = ",".join(
            f"{key.replace('%', '%%')}%s{_SUFFIX[kind]}"
            for key, (_, kind) in zip(keys, columns, strict=True)
        )
        cells = [_literals(column, kind) for column, kind in columns]
        form = f"%s{body} %d"
        return [form % row for row in zip(prefixes, *cells, times, strict=True)]

    def _prefixes_of(self, readings: list[Reading]) -> list[str]:
        known = self._prefixes
        out = []
        for each in readings:
            series: tuple[str, ...] = (each.measurement, each.edge, each.device, each.profile)
            if each.tags:
                series += tuple(text for pair in each.tags.items() for text in pair)
            out.append(known.get(series) or self._prefix(series, each))
        return out

    def encode(self, record: Record) -> str | None:
        """Return one line without newline; None for a kind that is not a series.

        Raises:
            Unwritable: The protocol cannot carry it.
        """
        if type(record) is Reading:
            return self._reading(record)
        point = to_point(record)
        return None if point is None else encode_point(point)

    def _reading(self, record: Reading) -> str:
        tags, fields = record.tags, record.fields
        series: tuple[str, ...] = (record.measurement, record.edge, record.device, record.profile)
        if tags:
            if not tags.keys().isdisjoint(fields):
                raise Unwritable("field_is_tag", ",".join(sorted(tags.keys() & fields.keys())))
            series += tuple(text for pair in tags.items() for text in pair)
        prefix = self._prefixes.get(series) or self._prefix(series, record)
        if not 0 < len(fields) <= FIELDS:
            reason = "too_many_fields" if fields else "no_fields"
            raise Unwritable(reason, f"{len(fields)} fields, 1 to {FIELDS} can be written")
        check_time(record.time)
        keys, body = self._keys, ""
        for name, value in fields.items():
            key = keys.get(name) or self._key(name)
            if type(value) is float and value - value == 0.0:  # neither NaN nor infinite
                body += f"{key}{_json(value).decode()},"
            else:
                body += f"{key}{_literal(name, value)},"
        return f"{prefix}{body[:-1]} {record.time}"

    def _prefix(self, series: tuple[str, ...], record: Reading) -> str:
        clash = OWN_TAGS & record.tags.keys()
        if clash:
            raise Unwritable("reserved_name", f"tag {min(clash)}")
        point = to_point(record)
        assert point is not None
        prefix = f"{_series(point.measurement, point.tags)} "
        if len(self._prefixes) >= _PREFIXES:
            self._prefixes.clear()
        self._prefixes[series] = prefix
        return prefix

    def _key(self, name: str) -> str:
        check_name("field", name)
        if name in OWN_TAGS:
            raise Unwritable("field_is_tag", name)
        key = f"{_escape_key(name)}="
        if len(self._keys) >= _KEYS:
            self._keys.clear()
        self._keys[name] = key
        return key


def encode_point(point: Point) -> str:
    """Return one line without newline.

    Raises:
        Unwritable: The protocol cannot carry it.
    """
    check_point(point)
    fields = ",".join(
        f"{_escape_key(key)}={_literal(key, value)}" for key, value in point.fields.items()
    )
    return f"{_series(point.measurement, point.tags)} {fields} {point.time}"


def parse_line(line: str) -> Point:
    """Read one line as InfluxDB does (models/points.go).

    Raises:
        ValueError: It is not one point with a time.
    """
    head, rest = _split(line, " ")
    body, stamp = _split_fields(rest)
    measurement, *pairs = _cut(head, ",")
    tags = {}
    for pair in pairs:
        key, value = _split(pair, "=")
        tags[_unescape_key(key)] = _unescape_key(value)
    fields = {}
    for key, literal in body:
        fields[_unescape_key(key)] = _value(literal)
    name = measurement.replace("\\,", ",").replace("\\ ", " ")
    return Point(name, tags, fields, int(stamp))


def _series(measurement: str, tags: dict[str, str]) -> str:
    """Escape and check the part of a line that names the series; tags sorted as InfluxDB likes."""
    check_name("measurement", measurement)
    parts = [measurement.replace(",", "\\,").replace(" ", "\\ ")]
    for key in sorted(tags):
        check_name("tag", key)
        check_tag(key, tags[key])
        if tags[key]:
            parts.append(f"{_escape_key(key)}={_escape_key(tags[key])}")
    return ",".join(parts)


def _escape_key(text: str) -> str:
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _unescape_key(text: str) -> str:
    return text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")


def _literal(name: str, value: Value) -> str:
    kind = type(value)
    if kind is int:
        if INT_MIN <= value <= INT_MAX:  # type: ignore[operator]
            return f"{value}i"
        raise Unwritable("int_range", f"{name} does not fit in 64 bits with a sign")
    if kind is bool:
        return "true" if value else "false"
    if kind is str:
        check_string(name, value)  # type: ignore[arg-type]
        text = value.replace("\\", "\\\\").replace('"', '\\"')  # type: ignore[union-attr]
        return f'"{text}"'
    check_value(name, value)
    return _json(value).decode()


def _literals(cells: Sequence[Any], kind: type) -> Sequence[str]:
    """Return how line protocol writes the cells of a column that `Alike.columns` found good."""
    if kind is str:
        known = {text: _literal("", text) for text in set(cells)}
        return [known[text] for text in cells]
    # JSON writes numbers and booleans as line protocol does, and a column at once costs a third
    return _json(cells)[1:-1].decode().split(",")


def _cut(text: str, mark: str) -> list[str]:
    """Split at every `mark` that no backslash precedes."""
    parts, start = [], 0
    for at, char in enumerate(text):
        if char == mark and (at == 0 or text[at - 1] != "\\"):
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _split(text: str, mark: str) -> tuple[str, str]:
    """Split at the first `mark` that no backslash precedes."""
    for at, char in enumerate(text):
        if char == mark and (at == 0 or text[at - 1] != "\\"):
            return text[:at], text[at + 1 :]
    raise ValueError(f"no {mark!r} in {text!r}")


def _split_fields(text: str) -> tuple[list[tuple[str, str]], str]:
    """Split ``k=v,k="v" time`` into pairs and the time, minding quotes."""
    pairs: list[tuple[str, str]] = []
    while True:
        key, text = _split(text, "=")
        end = _string_end(text) if text.startswith('"') else _plain_end(text)
        pairs.append((key, text[:end]))
        if end >= len(text) or text[end] not in ", ":
            raise ValueError("a field ends in neither comma nor time")
        mark, text = text[end], text[end + 1 :]
        if mark == " ":
            return pairs, text


def _plain_end(text: str) -> int:
    return next((at for at, char in enumerate(text) if char in ", "), len(text))


def _string_end(text: str) -> int:
    at = 1
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text[at] == '"':
            return at + 1
        else:
            at += 1
    raise ValueError("a string does not end")


def _value(literal: str) -> Value:
    if literal.startswith('"'):
        return literal[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if literal in {"true", "false"}:
        return literal == "true"
    if literal.endswith("i"):
        return int(literal[:-1])
    return float(literal)
