"""The store for a centre without InfluxDB: one DuckDB file in the collector's own process.

Invariants (tests/collector/timeseries/test_embedded.py):

* `Embedded.write` returns after a commit that DuckDB fsynced;
* one series has at most one point at one time: a second one is merged into it, field by field,
  the later value winning, so that writing a batch again changes nothing;
* one thread writes; questions are answered beside it from a consistent snapshot.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from collector.query import Measurement, Query, Row, Table, answer, plan
from collector.timeseries.alike import Alike, Looks
from collector.timeseries.block import Block
from collector.timeseries.copying import StoreCopy
from collector.timeseries.damage import refused
from collector.timeseries.selection import select
from collector.timeseries.series import (
    OWN_TAGS,
    Kind,
    Unwritable,
    check_time,
    to_point,
    with_marks,
)
from collector.timeseries.shelf import Catalogue, NewSeries, Shelf, Statement
from gateway_core.errors import ConfigError, Fault, Unavailable
from gateway_core.model import Batch, Reading, Receipt, Record, Rejection, Value

_ARROW: dict[Kind, Any] = {
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "str": pa.string(),
}
T = TypeVar("T")


class Embedded:
    """Time series in one DuckDB file; made by `open_embedded`."""

    name = "embedded"

    def __init__(self, connection: Any, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._catalogue = Catalogue()
        self._looks = Looks(lambda reading: self._place(reading)[1])
        self._writer = ThreadPoolExecutor(1, "timeseries-write")
        self._readers = ThreadPoolExecutor(2, "timeseries-read")
        self._known: dict[str, Measurement] = {}
        self._load()

    async def write(self, batch: Batch) -> Receipt:
        """Store a batch in one transaction; see `collector.query.TimeSeries`."""
        return await self._in(self._writer, functools.partial(self._write, batch))

    async def query(self, query: Query) -> Table:
        """Answer a question from one snapshot per page; see `collector.query.TimeSeries`."""
        planned = plan(query, self._known)
        shelf = self._catalogue.shelves[query.measurement]

        async def fetch(start: int, stop: int, limit: int | None) -> list[Row]:
            sql, values = select(shelf, planned, start, stop, limit)
            return await self._in(self._readers, functools.partial(self._read, sql, values))

        return await answer(planned, fetch)

    async def measurements(self) -> list[Measurement]:
        """Return what can be asked for, sorted by name."""
        return list(self._known.values())

    async def ping(self) -> str:
        """Return the product and its version."""
        return f"DuckDB {duckdb.__version__}"

    async def begin_copy(self) -> StoreCopy:
        """Return the store as of now, to be copied while it is written."""
        return await self._in(self._readers, lambda: StoreCopy(self._connection, self._path))

    def close(self) -> None:
        """Finish what is being written, write a checkpoint and close the file."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._connection.close()

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        except duckdb.Error as exc:
            raise Unavailable(f"embedded time series: {exc}") from exc

    def _load(self) -> None:
        fresh = Catalogue()
        fresh.load(self._connection)
        self._looks.forget()
        self._catalogue = fresh  # whole: questions read it from another thread
        self._known = {each.name: each for each in self._catalogue.measurements()}

    def _write(self, batch: Batch) -> Receipt:
        batch = with_marks(batch)
        blocks: dict[str, Block] = {}
        rejected: list[Rejection] = []
        apart = 0
        alike, others = self._looks.part(batch.records)
        for group in alike:
            if not self._gather_alike(group, blocks):
                others += group.places
        for place in sorted(others):  # so that a column gets the type of its first value
            try:
                apart += not self._gather(place, batch.records[place], blocks)
            except Unwritable as reason:
                rejected.append(Rejection(batch.first + place, reason.code, reason.detail))
        try:
            self._store(blocks)
        except duckdb.Error:
            with contextlib.suppress(duckdb.Error):  # there may be no transaction to undo
                self._connection.rollback()
            self._load()
            raise
        dropped = {"not_a_series": apart} if apart else {}
        return Receipt(rejected=tuple(rejected), dropped=dropped)

    def _gather_alike(self, group: Alike[int], blocks: dict[str, Block]) -> bool:
        """Put readings into their block at once; False where each is to be judged on its own."""
        shelf = self._catalogue.shelves.get(group.look.measurement)
        times, columns = group.times(), group.columns()
        if shelf is None or times is None or columns is None:
            return False
        types = shelf.types
        cells = {}
        for name, (column, kind) in zip(group.look.names, columns, strict=True):
            if types.get(name) is not kind:
                return False
            cells[name] = column
        self._block(shelf, blocks).extend(group.places, times, group.series, cells)
        return True

    def _gather(self, place: int, record: Record, blocks: dict[str, Block]) -> bool:
        """Put one record into its block; False for a kind that is not a series."""
        if type(record) is Reading:
            shelf, series = self._place(record)
            fields, time = record.fields, record.time
        else:
            point = to_point(record)
            if point is None:
                return False
            shelf, series = self._catalogue.place(point)
            fields, time = point.fields, point.time
        self._judge(shelf, record, fields, time)
        self._block(shelf, blocks).add(place, time, series, fields)
        return True

    def _block(self, shelf: Shelf, blocks: dict[str, Block]) -> Block:
        block = blocks.get(shelf.name)
        if block is None:
            block = blocks[shelf.name] = Block()
        return block

    def _place(self, record: Reading) -> tuple[Shelf, int]:
        """Return where a reading goes, by its measurement and tags."""
        clash = OWN_TAGS & record.tags.keys()
        if clash:
            raise Unwritable("reserved_name", f"tag {min(clash)}")
        point = to_point(record)
        assert point is not None
        return self._catalogue.place(point)

    def _judge(self, shelf: Shelf, record: Record, fields: dict[str, Value], time: int) -> None:
        if not fields:
            raise Unwritable("no_fields", "a point needs at least one field")
        check_time(time)
        if type(record) is Reading:
            tags = record.tags
            if not (OWN_TAGS.isdisjoint(fields) and (not tags or tags.keys().isdisjoint(fields))):
                clash = (tags.keys() | OWN_TAGS) & fields.keys()
                raise Unwritable("field_is_tag", ",".join(sorted(clash)))
        self._catalogue.admit(shelf, fields)

    def _store(self, blocks: dict[str, Block]) -> None:
        schema, series = self._catalogue.drain()
        if schema:  # on its own: a table cannot be altered and filled in one transaction
            self._run([*schema])
        if not blocks and not series:
            return
        self._connection.begin()
        for name, fresh in series.items():
            self._enter(self._catalogue.shelves[name], fresh)
        for name, block in blocks.items():
            self._append(self._catalogue.shelves[name], block.merged())
        self._connection.commit()
        for name, block in blocks.items():
            shelf = self._catalogue.shelves[name]
            newest = max(block.times)
            shelf.newest = newest if shelf.newest is None else max(shelf.newest, newest)
        if schema:
            self._known = {each.name: each for each in self._catalogue.measurements()}

    def _run(self, statements: list[Statement]) -> None:
        self._connection.begin()
        for sql, values in statements:
            self._connection.execute(sql, values)
        self._connection.commit()

    def _append(self, shelf: Shelf, block: Block) -> None:
        columns = block.columns()
        arrays = [pa.array(block.times, pa.int64()), pa.array(block.series, pa.int32())]
        arrays += [pa.array(cells, _ARROW[shelf.fields[f][0]]) for f, cells in columns.items()]
        plain = [f"c{at}" for at in range(len(columns))]
        with self._incoming(pa.table(arrays, names=["time", "series", *plain])):
            self._merge(shelf, [shelf.fields[name][1] for name in columns], block)

    def _enter(self, shelf: Shelf, fresh: list[NewSeries]) -> None:
        keys = sorted({key for _, tags in fresh for key in tags})
        arrays = [pa.array([number for number, _ in fresh], pa.int32())]
        arrays += [pa.array([tags.get(key) for _, tags in fresh], pa.string()) for key in keys]
        names = "".join(f", {shelf.tags[key]}" for key in keys)
        with self._incoming(pa.table(arrays, names=["id", *(f"c{n}" for n in range(len(keys)))])):
            self._connection.execute(f"INSERT INTO series.{shelf.tab} (id{names}) FROM incoming")

    @contextlib.contextmanager
    def _incoming(self, table: Any) -> Iterator[None]:
        """Let SQL see an Arrow table as ``incoming``."""
        self._connection.register("incoming", table)
        try:
            yield
        finally:
            self._connection.unregister("incoming")

    def _merge(self, shelf: Shelf, columns: list[str], block: Block) -> None:
        """Insert ``incoming``, whose cells are named c0, c1…; merge it where a point is already."""
        low, high = min(block.times), max(block.times)
        names = "".join(f", {column}" for column in columns)
        cells = "".join(f", i.c{at}" for at in range(len(columns)))
        rest = ""
        values: list[int] = []
        if shelf.newest is not None and low <= shelf.newest:
            there = f"(FROM points.{shelf.tab} WHERE time BETWEEN ? AND ?)"
            clash = f"FROM {there} SEMI JOIN incoming USING (time, series) LIMIT 1"
            values = [low, high]
            if self._connection.execute(clash, values).fetchone():
                merge = ", ".join(
                    f"{column} = coalesce(i.c{at}, p.{column})" for at, column in enumerate(columns)
                )
                self._connection.execute(
                    f"UPDATE points.{shelf.tab} p SET {merge} FROM incoming i WHERE"  # noqa: S608
                    " p.time = i.time AND p.series = i.series AND p.time BETWEEN ? AND ?",
                    values,
                )
                rest = f" ANTI JOIN {there} USING (time, series)"
        self._connection.execute(
            f"INSERT INTO points.{shelf.tab} (time, series{names})"  # noqa: S608
            f" SELECT i.time, i.series{cells} FROM incoming i{rest}",
            values if rest else [],
        )

    def _read(self, sql: str, values: list[Any]) -> list[Row]:
        cursor = self._connection.cursor()
        try:
            found = cursor.execute(sql, values)
            rows: list[Row] = []
            while some := found.fetchmany(10_000):  # in parts, so that other threads get a turn
                rows += some
            return rows
        finally:
            cursor.close()


@contextlib.asynccontextmanager
async def open_embedded(path: Path, memory: int, threads: int = 2) -> AsyncIterator[Embedded]:
    """Open (or create) the store at `path`.

    Args:
        path: The DuckDB file.
        memory: Most bytes that DuckDB may hold.
        threads: Threads that a question may use.

    Raises:
        ConfigError: The file is damaged, a newer program's, or may not be written.
        Unavailable: The file cannot be opened, for example because another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory // 2**20}MiB",
        "threads": threads,
        "checkpoint_threshold": "64MiB",
        "temp_directory": str(path.with_suffix(".tmp")),
    }
    try:
        connection = await asyncio.to_thread(duckdb.connect, str(path), config=options)
        store = await asyncio.to_thread(Embedded, connection, path)
    except duckdb.Error as exc:
        raise refused(path, exc) from exc
    except Unwritable as exc:
        raise ConfigError(Fault(path, 0, 0, "", exc.detail)) from exc
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)
