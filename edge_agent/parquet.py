"""Parquet files that survive a power cut: written beside, synced, then given their name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from edge_agent.vouched import BLANK, KEY, Altered, check, vouch
from gateway_core.errors import GatewayError

_MERGED = b"tidegate.merged"
_ROW_GROUP = 100_000
# what pyarrow says of a file whose bytes make no sense, and its ArrowInvalid is a ValueError
UNREADABLE = (OSError, ValueError, MemoryError, OverflowError, RuntimeError, pa.ArrowException)


# Arrow's own allocators keep what a batch needed; malloc gives it to whoever needs it next.
pa.set_memory_pool(pa.system_memory_pool())


class DamagedFile(GatewayError):
    """A Parquet file that cannot be read.

    Attributes:
        path: Which.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


def write_table(path: Path, table: pa.Table) -> int:
    """Write a file, synced; return its size in bytes. Call `sync_folder` before relying on it.

    Raises:
        OSError: The disk did not take it; nothing has the name.
    """
    beside = path.with_name(f".{path.name}.tmp")
    try:
        told = {**(table.schema.metadata or {}), KEY: BLANK}
        pq.write_table(table.replace_schema_metadata(told), beside, **_layout(table.schema))
        return _named(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def merge(paths: Sequence[Path], target: Path) -> int:
    """Write the rows of several files into one; return its size.

    Some hundred thousand rows are in memory at a time, however large the files are.

    Args:
        paths: Files whose columns agree about their types; see `mergeable`.
        target: Its metadata names ``paths``, so that a crash before they are removed is undone.

    Raises:
        DamagedFile: One of them cannot be read.
        OSError: The disk did not take it; nothing has the name.
    """
    for path in paths:
        check_file(path)
    schema = pa.unify_schemas([read_schema(path) for path in paths])
    named = msgspec.json.encode([path.name for path in paths])
    schema = schema.with_metadata({_MERGED: named, KEY: BLANK})
    beside = target.with_name(f".{target.name}.tmp")
    held: list[pa.Table] = []
    try:
        with pq.ParquetWriter(beside, schema, **_layout(schema)) as writer:
            for group in (group for path in paths for group in _row_groups(path)):
                held.append(_as_wide(group, schema))
                if sum(table.num_rows for table in held) >= _ROW_GROUP:
                    writer.write_table(pa.concat_tables(held), row_group_size=_ROW_GROUP)
                    held.clear()
            if held:
                writer.write_table(pa.concat_tables(held), row_group_size=_ROW_GROUP)
        return _named(beside, target)
    except (OSError, DamagedFile):
        beside.unlink(missing_ok=True)
        raise


def _row_groups(path: Path) -> Iterator[pa.Table]:
    """Read a file piece by piece, verifying every page.

    Raises:
        DamagedFile: It cannot be read.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, use_threads=False)
    except UNREADABLE as exc:
        raise DamagedFile(path, str(exc)) from exc


def _as_wide(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with all columns of a schema, null where it has none."""
    for name in schema.names:
        if name not in table.column_names:
            empty = pa.nulls(table.num_rows, schema.field(name).type)
            table = table.append_column(name, empty)
    return table.select(schema.names).cast(schema)


def mergeable(paths: Sequence[Path]) -> list[list[Path]]:
    """Put files together whose columns agree about their types.

    Raises:
        DamagedFile: One of them cannot be read.
    """
    groups: list[tuple[dict[str, pa.DataType], list[Path]]] = []
    for path in paths:
        schema = read_schema(path)
        types = dict(zip(schema.names, schema.types, strict=True))
        for known, group in groups:
            if all(known.get(name, kind) == kind for name, kind in types.items()):
                known.update(types)
                group.append(path)
                break
        else:
            groups.append((types, [path]))
    return [group for _, group in groups]


def read_table(path: Path) -> pa.Table:
    """Read a whole file, verifying every page.

    Raises:
        DamagedFile: It cannot be read.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(use_threads=False)
    except UNREADABLE as exc:
        raise DamagedFile(path, str(exc)) from exc


def read_schema(path: Path) -> pa.Schema:
    """Read a file's columns and their types.

    Raises:
        DamagedFile: It cannot be read.
    """
    try:
        return pq.read_schema(path)
    except UNREADABLE as exc:
        raise DamagedFile(path, str(exc)) from exc


def merged_from(path: Path) -> list[str]:
    """Return the names of the files that a file was merged from; empty for any other.

    Raises:
        DamagedFile: It cannot be read.
    """
    names = (read_schema(path).metadata or {}).get(_MERGED)
    if not names:
        return []
    check_file(path)  # what is not named rightly would be there twice
    return msgspec.json.decode(names, type=list[str])


def check_file(path: Path) -> None:
    """See that a file is what was written; one of an older program by its pages alone.

    Raises:
        DamagedFile: It is not.
    """
    try:
        vouched = check(path)
    except (Altered, *UNREADABLE) as exc:
        raise DamagedFile(path, str(exc)) from exc
    if not vouched:
        read_table(path)


def _layout(schema: pa.Schema) -> dict[str, Any]:
    """Return how columns are written: whole numbers as differences, texts as a dictionary."""
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    return {
        "compression": "zstd",
        "compression_level": 1,
        "write_page_checksum": True,
        "use_dictionary": [field.name for field in schema if pa.types.is_string(field.type)],
        "column_encoding": dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
    }


def _named(beside: Path, path: Path) -> int:
    with beside.open("rb+") as file:
        vouch(file)
        file.flush()
        os.fsync(file.fileno())
        size = file.seek(0, os.SEEK_END)
    beside.rename(path)
    return size
