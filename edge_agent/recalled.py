"""Records read back from the archive's columns, as they were when they came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import pyarrow.parquet as pq

from edge_agent.columns import FOLDERS, READINGS, RESERVED, TAG
from edge_agent.parquet import UNREADABLE, DamagedFile, check_file
from edge_agent.shelf import Part
from gateway_core.model import Reading, Record, Value

_KIND_OF = {folder: kind for kind, folder in FOLDERS.items()}
_OWN = frozenset(RESERVED)
_text = msgspec.json.Decoder(dict[str, str]).decode


def recall(part: Part, first: int, last: int) -> list[tuple[int, Record]]:
    """Return the records of a file with numbers from ``first`` to ``last``; blocks.

    Raises:
        DamagedFile: It cannot be read.
    """
    check_file(part.path)
    wanted = [("seq", ">=", first), ("seq", "<=", last)]
    try:
        with pq.ParquetFile(part.path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
        table = pq.read_table(
            part.path, filters=wanted, page_checksum_verification=True, use_threads=False
        )
        columns = {name: table.column(name).to_pylist() for name in names}
    except UNREADABLE as exc:
        raise DamagedFile(part.path, str(exc)) from exc
    rows = zip(*columns.values(), strict=True)
    make = _maker(part.topic, list(columns))
    at = list(columns).index("seq")
    return [(row[at], make(row)) for row in rows]


def _maker(topic: str, names: list[str]) -> Callable[[tuple[Any, ...]], Record]:
    kind = _KIND_OF.get(topic)
    if kind is not None:
        return partial(_plain, kind, names)
    return partial(_reading, topic.removeprefix(f"{READINGS}/"), names)


def _plain(kind: type[Any], names: list[str], row: tuple[Any, ...]) -> Record:
    """Return a verdict, an alarm or the like; what a column has no value for is the default."""
    held = {name: value for name, value in zip(names, row, strict=True) if value is not None}
    del held["seq"]
    for name, value in held.items():
        if name == "text":
            held[name] = _text(value)
        elif isinstance(value, list):
            held[name] = tuple(value)
    known = kind.__struct_fields__
    made: Record = kind(**{name: value for name, value in held.items() if name in known})
    return made


def _reading(measurement: str, names: list[str], row: tuple[Any, ...]) -> Record:
    held = dict(zip(names, row, strict=True))
    return Reading(
        edge=held["edge"],
        device=held["device"],
        profile=held["profile"],
        measurement=measurement,
        time=held["time"],
        received=held["received"],
        fields=dict(_fields(held)),
        tags={
            name.removeprefix(TAG): value
            for name, value in held.items()
            if name.startswith(TAG) and value is not None
        },
        flags=tuple(held.get("flags") or ()),
    )


def _fields(held: dict[str, Any]) -> Iterator[tuple[str, Value]]:
    for name, value in held.items():
        if value is None or name in _OWN or name.startswith(TAG):
            continue
        yield name.removeprefix("field."), value
