"""Which tables of the embedded store hold which measurement, and which series have which id.

One measurement is two tables: ``points."env"`` (time, series, one column for each field) and
``series."env"`` (id, one column for each tag). DuckDB does not tell ``Temp`` from ``temp``, line
protocol does: a name that differs only in case from an older one gets ``~2`` behind it in the
file, and ``tidegate.columns`` says which name is which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from collector.query import Measurement, order_tags
from collector.timeseries.series import (
    FIELDS,
    Kind,
    Point,
    Unwritable,
    check_name,
    check_tag,
    check_value,
)
from gateway_core.model import Value

MEASUREMENTS = 1_000
TAGS = 64
SERIES = 2_000_000
"""Most series of one store; about 300 bytes of memory each."""

SQL_TYPES: dict[Kind, str] = {
    "float": "DOUBLE",
    "int": "BIGINT",
    "bool": "BOOLEAN",
    "str": "VARCHAR",
}

FORMAT = 1
"""Of the tables below; a store without a number is of format 1."""

_SCHEMA = (
    "CREATE SCHEMA IF NOT EXISTS tidegate",
    "CREATE SCHEMA IF NOT EXISTS points",
    "CREATE SCHEMA IF NOT EXISTS series",
    "CREATE TABLE IF NOT EXISTS tidegate.measurements (name VARCHAR, tab VARCHAR)",
    """CREATE TABLE IF NOT EXISTS tidegate.columns
       (measurement VARCHAR, role VARCHAR, name VARCHAR, type VARCHAR, col VARCHAR)""",
    "CREATE TABLE IF NOT EXISTS tidegate.format (version INTEGER)",
)

Statement = tuple[str, list[Any]]
NewSeries = tuple[int, dict[str, str]]
"""Id, and tag key to value."""


class Shelf:
    """The tables of one measurement.

    Attributes:
        name: The measurement.
        tab: Its tables' name, quoted.
        tags: Tag key to quoted column.
        fields: Field key to (type, quoted column).
        types: Field key to Python type, for the quick check of a value.
        ids: Series (sorted pairs of its tags) to id.
        newest: Time of the newest point; below it points may clash with ones that are there.
    """

    __slots__ = ("_taken", "fields", "ids", "name", "newest", "tab", "tags", "types")

    def __init__(self, name: str, tab: str) -> None:
        self.name = name
        self.tab = tab
        self.tags: dict[str, str] = {}
        self.fields: dict[str, tuple[Kind, str]] = {}
        self.types: dict[str, type] = {}
        self.ids: dict[tuple[tuple[str, str], ...], int] = {}
        self.newest: int | None = None
        self._taken = {"time", "series", "id"}

    def take(self, role: str, name: str, kind: Kind, column: str) -> None:
        """Enter a column that exists."""
        self._taken.add(column.casefold())
        if role == "tag":
            self.tags[name] = quote(column)
        else:
            self.fields[name] = (kind, quote(column))
            self.types[name] = _TYPES[kind]

    def spare(self, name: str) -> str:
        """Return a column name for `name` that DuckDB does not take for another."""
        return spare_name(name, self._taken)


_TYPES: dict[Kind, type] = {"float": float, "int": int, "bool": bool, "str": str}


class Catalogue:
    """All shelves, in memory as in the file.

    Changes are made in memory while a batch is gathered; `drain` returns the statements that make
    the same changes in the file. When those fail, begin anew with another `Catalogue`.
    """

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        self._tabs: set[str] = set()
        self._schema: list[Statement] = []
        self._series: dict[str, list[NewSeries]] = {}
        self._count = 0

    def load(self, connection: Any) -> None:
        """Create what a new file lacks and read everything; call once.

        Raises:
            Unwritable: ``newer_format``: a newer program changed the tables.
        """
        for statement in _SCHEMA:
            connection.execute(statement)
        found = connection.execute("SELECT max(version) FROM tidegate.format").fetchone()[0]
        if found is None:
            connection.execute("INSERT INTO tidegate.format VALUES (?)", [FORMAT])
        elif found > FORMAT:
            why = f"its tables have format {found}, this program reads {FORMAT}"
            raise Unwritable("newer_format", f"{why}: install the version that wrote it")
        for name, tab in connection.execute(
            "SELECT name, tab FROM tidegate.measurements"
        ).fetchall():
            self.shelves[name] = Shelf(name, quote(tab))
            self._tabs.add(tab.casefold())
        columns = "SELECT measurement, role, name, type, col FROM tidegate.columns"
        for name, role, key, kind, column in connection.execute(columns).fetchall():
            self.shelves[name].take(role, key, kind, column)
        for shelf in self.shelves.values():
            self._load_series(connection, shelf)

    def place(self, point: Point) -> tuple[Shelf, int]:
        """Return the shelf and the series id for a point's measurement and tags, making them.

        Raises:
            Unwritable: A name or tag cannot be carried, or a limit is reached.
        """
        shelf = self.shelves.get(point.measurement) or self._new_shelf(point.measurement)
        series = tuple(sorted((key, value) for key, value in point.tags.items() if value))
        known = shelf.ids.get(series)
        if known is not None:
            return shelf, known
        for key, value in series:
            check_name("tag", key)
            check_tag(key, value)
        if self._count >= SERIES:
            raise Unwritable("too_many_series", f"this store holds at most {SERIES} series")
        fresh = [key for key, _ in series if key not in shelf.tags]
        if len(shelf.tags) + len(fresh) > TAGS:
            raise Unwritable("too_many_tags", f"{shelf.name} has {TAGS} tags already")
        for key in fresh:
            self._new_column(shelf, "tag", key, "str")
        return shelf, self._new_series(shelf, series)

    def admit(self, shelf: Shelf, fields: Mapping[str, Value]) -> None:
        """Judge a point's fields, making columns for new ones once all of them passed.

        Raises:
            Unwritable: ``field_type`` when a field has another type already; or as `check_value`.
        """
        fresh = []
        for name, value in fields.items():
            kind = check_value(name, value)
            known = shelf.fields.get(name)
            if known is None:
                check_name("field", name)
                fresh.append((name, kind))
            elif known[0] != kind:
                raise Unwritable("field_type", f"{shelf.name}.{name} is {known[0]}, this is {kind}")
        if fresh and len(shelf.fields) + len(fresh) > FIELDS:
            raise Unwritable("too_many_fields", f"{shelf.name} can have {FIELDS} fields")
        for name, kind in fresh:
            self._new_column(shelf, "field", name, kind)

    def drain(self) -> tuple[list[Statement], dict[str, list[NewSeries]]]:
        """Return and forget what the file lacks: tables and columns; series by measurement."""
        out = self._schema, self._series
        self._schema, self._series = [], {}
        return out

    def measurements(self) -> list[Measurement]:
        """Return what can be asked for, sorted by name."""
        return [
            Measurement(
                shelf.name,
                order_tags(shelf.tags),
                {name: kind for name, (kind, _) in sorted(shelf.fields.items())},
            )
            for _, shelf in sorted(self.shelves.items())
            if shelf.fields
        ]

    def _new_shelf(self, name: str) -> Shelf:
        check_name("measurement", name)
        if len(self.shelves) >= MEASUREMENTS:
            raise Unwritable("too_many_measurements", f"this store holds {MEASUREMENTS} already")
        plain = spare_name(name, self._tabs)
        self._tabs.add(plain.casefold())
        shelf = self.shelves[name] = Shelf(name, quote(plain))
        self._schema += [
            (
                f"CREATE TABLE points.{shelf.tab} (time BIGINT NOT NULL, series INTEGER NOT NULL)",
                [],
            ),
            (f"CREATE TABLE series.{shelf.tab} (id INTEGER NOT NULL)", []),
            ("INSERT INTO tidegate.measurements VALUES (?, ?)", [name, plain]),
        ]
        return shelf

    def _new_column(self, shelf: Shelf, role: str, name: str, kind: Kind) -> None:
        column = shelf.spare(name)
        table = f"{'series' if role == 'tag' else 'points'}.{shelf.tab}"
        shelf.take(role, name, kind, column)
        self._schema += [
            (f"ALTER TABLE {table} ADD COLUMN {quote(column)} {SQL_TYPES[kind]}", []),
            (
                "INSERT INTO tidegate.columns VALUES (?, ?, ?, ?, ?)",
                [shelf.name, role, name, kind, column],
            ),
        ]

    def _new_series(self, shelf: Shelf, series: tuple[tuple[str, str], ...]) -> int:
        number = len(shelf.ids) + 1
        shelf.ids[series] = number
        self._count += 1
        self._series.setdefault(shelf.name, []).append((number, dict(series)))
        return number

    def _load_series(self, connection: Any, shelf: Shelf) -> None:
        keys = sorted(shelf.tags)
        columns = "".join(f", {shelf.tags[key]}" for key in keys)
        found = connection.execute(f"SELECT id{columns} FROM series.{shelf.tab}")  # noqa: S608
        while rows := found.fetchmany(10_000):
            for number, *values in rows:
                series = tuple((k, v) for k, v in zip(keys, values, strict=True) if v is not None)
                shelf.ids[series] = number
        self._count += len(shelf.ids)
        newest = connection.execute(f"SELECT max(time) FROM points.{shelf.tab}")  # noqa: S608
        shelf.newest = newest.fetchone()[0]


def quote(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def spare_name(name: str, taken: Iterable[str]) -> str:
    """Return `name`, numbered if it differs from one of `taken` (case-folded) only in case."""
    number, spare = 1, name
    while spare.casefold() in taken:
        number += 1
        spare = f"{name}~{number}"
    return spare
