"""Records as columns: the tables that the archive stores and that on-site queries read.

Every table has ``seq``; a reading's fields keep their own types. Where two records give a field
different types (a profile was changed), they go to tables of their own and meet in the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from gateway_core.model import Alarm, FeedHealth, Listed, Loss, Reading, Record, SystemHealth

READINGS = "readings"
"""Top folder of readings; below it one folder for each measurement."""

RESERVED = ("time", "received", "seq", "edge", "device", "profile", "flags")
"""Columns of a reading that are not its fields; a field of that name becomes ``field.<name>``."""

TAG = "tag."
"""In front of the name of a tag, so that it never meets a field of the same name."""

_FOLDERS: dict[type[Record], str] = {
    FeedHealth: "feed_health",
    SystemHealth: "system_health",
    Alarm: "alarm",
    Loss: "loss",
    Listed: "inventory",
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
    return _FOLDERS[type(record)]


def field_column(name: str) -> str:
    """Return the column of a reading's field."""
    return f"field.{name}" if name in RESERVED else name


def tables(rows: Sequence[Numbered]) -> list[pa.Table]:
    """Return records of one kind (and one measurement) as tables; usually it is one.

    Args:
        rows: At least one; ascending by sequence number.
    """
    if type(rows[0][1]) is not Reading:
        return [_plain(rows)]
    found = _readings(rows)
    if found is not None:
        return [found]
    return [part for group in _by_type(rows) if (part := _readings(group)) is not None]


def _plain(rows: Sequence[Numbered]) -> pa.Table:
    """Return verdicts, alarms and the like, one column for each attribute."""
    columns: dict[str, pa.Array] = {"seq": pa.array([seq for seq, _ in rows], pa.int64())}
    for name in rows[0][1].__struct_fields__:
        values: list[Any] = [getattr(record, name) for _, record in rows]
        if name == "text":  # language to text: JSON, which every tool reads
            values = [msgspec.json.encode(value).decode() for value in values]
        columns[name] = pa.array(values, _KINDS.get(name, pa.string()))
    return pa.table(columns)


def _readings(rows: Sequence[Numbered]) -> pa.Table | None:
    """Return readings as one table; None when a field has values of different types."""
    readings: list[Any] = [record for _, record in rows]
    names = dict.fromkeys(name for one in readings for name in one.fields)
    columns: dict[str, pa.Array] = {
        "time": pa.array([one.time for one in readings], pa.int64()),
        "received": pa.array([one.received for one in readings], pa.int64()),
        "seq": pa.array([seq for seq, _ in rows], pa.int64()),
        "edge": pa.array([one.edge for one in readings], pa.string()),
        "device": pa.array([one.device for one in readings], pa.string()),
        "profile": pa.array([one.profile for one in readings], pa.string()),
    }
    if any(one.flags for one in readings):
        columns["flags"] = pa.array([one.flags for one in readings], _TEXTS)
    for tag in dict.fromkeys(tag for one in readings for tag in one.tags):
        columns[TAG + tag] = pa.array([one.tags.get(tag) for one in readings], pa.string())
    for name in names:
        values = [one.fields.get(name) for one in readings]
        kinds = set(map(type, values))
        kinds.discard(type(None))
        if len(kinds) > 1:
            return None
        (kind,) = kinds
        if kind is int and max(filter(None, values), default=0) > _INT64_MAX:
            if min(value for value in values if value is not None) < 0:
                return None
            columns[field_column(name)] = pa.array(values, pa.uint64())
        else:
            columns[field_column(name)] = pa.array(values, _TYPES[kind])
    return pa.table(columns)


def _by_type(rows: Sequence[Numbered]) -> list[list[Numbered]]:
    """Put records together whose fields agree about their types."""
    groups: list[tuple[dict[str, object], list[Numbered]]] = []
    for row in rows:
        record = row[1]
        assert isinstance(record, Reading)
        kinds = {name: _kind(value) for name, value in record.fields.items()}
        for known, group in groups:
            if all(known.get(name, kind) == kind for name, kind in kinds.items()):
                known.update(kinds)
                group.append(row)
                break
        else:
            groups.append((kinds, [row]))
    return [group for _, group in groups]


def _kind(value: object) -> object:
    if type(value) is int and value > _INT64_MAX:
        return "uint64"
    return type(value)
