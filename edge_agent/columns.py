"""Records as columns: the tables that the archive stores and that on-site queries read.

Every table has ``seq``; a reading's fields keep their own types. Where two records give a field
different types (a profile was changed), they go to tables of their own and meet in the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from gateway_core.model import (
    Alarm,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    Record,
    SystemHealth,
)

READINGS = "readings"
"""Top folder of readings; below it one folder for each measurement."""

RESERVED = ("time", "received", "seq", "edge", "device", "profile", "flags")
"""Columns of a reading that are not its fields; a field of that name becomes ``field.<name>``."""

TAG = "tag."
"""In front of the name of a tag, so that it never meets a field of the same name."""

FOLDERS: dict[type[Record], str] = {
    FeedHealth: "feed_health",
    SystemHealth: "system_health",
    Alarm: "alarm",
    Loss: "loss",
    Listed: "inventory",
    ProfileUse: "profile_use",
}
_INT64_MAX = 2**63 - 1
_TEXTS = pa.list_(pa.string())
_TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
}
_KINDS: dict[str, pa.DataType] = {
    "time": pa.int64(),
    "checks": pa.int64(),
    "failures": pa.int64(),
    "first": pa.int64(),
    "last": pa.int64(),
    "since": pa.int64(),
    "until": pa.int64(),
    "rtt_ms": pa.float64(),
    "up_s": pa.float64(),
    "lat": pa.float64(),
    "lon": pa.float64(),
    "hourly": pa.bool_(),
    "online": pa.bool_(),
    "faults": _TEXTS,
}

Numbered = tuple[int, Record]
"""A record and its sequence number."""


def topic(record: Record) -> str:
    """Return the folder of a record's kind, as ``readings/env`` or ``alarm``."""
    if type(record) is Reading:
        return f"{READINGS}/{record.measurement}"
    return FOLDERS[type(record)]


def field_column(name: str) -> str:
    """Return the column of a reading's field."""
    return f"field.{name}" if name in RESERVED else name


def tables(rows: Sequence[Numbered]) -> list[pa.Table]:
    """Return records of one kind (and one measurement) as tables; usually it is one.

    Args:
        rows: At least one; ascending by sequence number.
    """
    return columnar([seq for seq, _ in rows], [record for _, record in rows])


def columnar(seqs: Sequence[int], records: Sequence[Record]) -> list[pa.Table]:
    """Return records of one kind (and one measurement) as tables; usually it is one.

    Args:
        seqs: Their sequence numbers; at least one, ascending.
        records: As many.
    """
    if type(records[0]) is not Reading:
        return [_plain(seqs, records)]
    found = _readings(seqs, records)
    if found is not None:
        return [found]
    groups = _by_type(seqs, records)
    return [part for group in groups if (part := _readings(*group)) is not None]


def _plain(seqs: Sequence[int], records: Sequence[Record]) -> pa.Table:
    """Return verdicts, alarms and the like, one column for each attribute."""
    columns: dict[str, pa.Array] = {"seq": pa.array(seqs, pa.int64())}
    for name in records[0].__struct_fields__:
        if name == "seq":  # empty until the collector enters what stands here already
            continue
        values: list[Any] = [getattr(record, name) for record in records]
        if name == "text":  # language to text: JSON, which every tool reads
            values = [msgspec.json.encode(value).decode() if value else None for value in values]
        columns[name] = pa.array(values, _KINDS.get(name, pa.string()))
    return pa.table(columns)


def _readings(seqs: Sequence[int], records: Sequence[Any]) -> pa.Table | None:
    """Return readings as one table; None when a field has values of different types."""
    every = [one.fields for one in records]
    fields = _values(every)
    columns: dict[str, pa.Array] = {
        "time": pa.array([one.time for one in records], pa.int64()),
        "received": pa.array([one.received for one in records], pa.int64()),
        "seq": pa.array(seqs, pa.int64()),
        "edge": _texts([one.edge for one in records]),
        "device": _texts([one.device for one in records]),
        "profile": _texts([one.profile for one in records]),
    }
    flags, tags = [one.flags for one in records], [one.tags for one in records]
    if any(flags):
        columns["flags"] = pa.array(flags, _TEXTS)
    if any(tags):
        for tag in dict.fromkeys(tag for each in tags for tag in each):
            columns[TAG + tag] = _texts([each.get(tag) for each in tags])
    for name, values in fields.items():
        column = _field(values)
        if column is None:
            return None
        columns[field_column(name)] = column
    return pa.table(columns)


def _values(every: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of each field; for most records all have the same fields."""
    names = every[0]
    if set(map(len, every)) == {len(names)}:
        try:
            return {name: [fields[name] for fields in every] for name in names}
        except KeyError:
            pass
    names = dict.fromkeys(name for fields in every for name in fields)
    return {name: [fields.get(name) for fields in every] for name in names}


def _texts(values: list[str | None]) -> pa.Array:
    """Return a column of texts; for most of them all are the same."""
    if len(values) > 1 and values[0] is not None and values.count(values[0]) == len(values):
        return pa.repeat(pa.scalar(values[0], pa.string()), len(values))
    return pa.array(values, pa.string())


def _field(values: list[Any]) -> pa.Array | None:
    """Return a column of a field's values; None when they have different types."""
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if len(kinds) > 1:
        return None
    (kind,) = kinds
    if kind is int and max(filter(None, values), default=0) > _INT64_MAX:
        if min(value for value in values if value is not None) < 0:
            return None
        return pa.array(values, pa.uint64())
    return pa.array(values, _TYPES[kind])


def _by_type(seqs: Sequence[int], records: Sequence[Any]) -> list[tuple[list[int], list[Record]]]:
    """Put readings together whose fields agree about their types."""
    groups: list[tuple[dict[str, object], list[int], list[Record]]] = []
    for seq, record in zip(seqs, records, strict=True):
        kinds = {name: _kind(value) for name, value in record.fields.items()}
        for known, numbers, group in groups:
            if all(known.get(name, kind) == kind for name, kind in kinds.items()):
                known.update(kinds)
                numbers.append(seq)
                group.append(record)
                break
        else:
            groups.append((kinds, [seq], [record]))
    return [(numbers, group) for _, numbers, group in groups]


def _kind(value: object) -> object:
    if type(value) is int and value > _INT64_MAX:
        return "uint64"
    return type(value)
