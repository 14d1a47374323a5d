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

from collector.timeseries.alike import Alike, Looks
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

_PREFIXES = 10_000
"""Series prefixes kept for readings that look like no others; 300 bytes each. At the limit all are
forgotten and made again."""
_KEYS = 20_000
_SUFFIX: dict[type, str] = {float: "", int: "i", bool: "", str: ""}
_json = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Lines:
    """A batch in line protocol.

    Attributes:
        text: Lines of one point each, with a newline between them.
        seqs: ``seqs[i]`` is the sequence number of ``lines[i]``.
        rejected: What the protocol cannot carry.
        not_series: How many records are of a kind that is not a series.
    """

    text: str = ""
    seqs: Sequence[int] = ()
    rejected: list[Rejection] = field(default_factory=list)
    not_series: int = 0

    @property
    def lines(self) -> list[str]:
        """The lines one by one."""
        return self.text.split("\n") if self.text else []


class LineEncoder:
    """Turns records into line protocol, remembering the escaped start of every series."""

    def __init__(self) -> None:
        self._looks = Looks(self._prefix)
        self._prefixes: dict[tuple[str, ...], str] = {}
        self._keys: dict[str, str] = {}

    def encode_batch(self, batch: Batch) -> Lines:
        """Encode a batch; a record that cannot be carried becomes a rejection, never a raise."""
        batch = with_marks(batch)
        alike, others = self._looks.part(batch.records)
        if len(alike) == 1 and not others:
            text = self._alike(alike[0])
            if text is not None:
                return Lines(text, range(batch.first, batch.last + 1))
        out = Lines()
        lines: list[str | None] = [None] * len(batch.records)
        for group in alike:
            text = self._alike(group)
            if text is None:
                others += group.places
                continue
            for place, line in zip(group.places, text.split("\n"), strict=True):
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
        out.text = "\n".join([line for line in lines if line is not None])
        return out

    def _alike(self, group: Alike[str]) -> str | None:
        """Return one line for each reading; None where they are to be judged one by one."""
        times, columns = group.times(), group.columns()
        if times is None or columns is None or len(columns) > FIELDS:
            return None
        try:
            keys = [self._keys.get(name) or self._key(name) for name in group.look.names]
        except Unwritable:
            return None
        row, before = [""], ""
        for key, (_, kind) in zip(keys, columns, strict=True):
            row += [before + key, ""]
            before = f"{_SUFFIX[kind]},"
        row += [f"{before[:-1]} ", "", "\n"]
        # one list of everything and one join: a string for each line would cost as much again
        parts, width = row * len(times), len(row)
        parts[::width] = group.series
        for at, (column, kind) in enumerate(columns):
            parts[2 + 2 * at :: width] = _literals(column, kind)
        parts[width - 2 :: width] = _literals(times, int)
        parts.pop()
        return "".join(parts)

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
        prefix = self._prefixes.get(series)
        if prefix is None:
            if len(self._prefixes) >= _PREFIXES:
                self._prefixes.clear()
            prefix = self._prefixes[series] = self._prefix(record)
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

    def _prefix(self, record: Reading) -> str:
        """Return what the lines of a reading's series begin with."""
        clash = OWN_TAGS & record.tags.keys()
        if clash:
            raise Unwritable("reserved_name", f"tag {min(clash)}")
        point = to_point(record)
        assert point is not None
        return f"{_series(point.measurement, point.tags)} "

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


def _literals(cells: Sequence[Any], kind: type) -> list[str]:
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
